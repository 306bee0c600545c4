"""How a store comes to be, and when it does not open."""

import os
from pathlib import Path

import pytest
from sqlalchemy import text

from audit.errors import RolledBack, Tampered
from audit.fsck import OK
from audit.migrate import NotMigrated
from audit.rootkey import NoRootKey
from tests.audit.guards import without_guards
from tests.audit.stores import checked, opened, prediction


def test_a_new_store_begins_with_its_schema(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    assert store.reader.size() == 1
    assert store.reader.leaf(0).type == "SchemaMigrated"
    assert store.ledger.origin.startswith("modelwitness.local/")
    store.close()


def test_a_store_stays_itself_when_opened_again(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([prediction(1)])
    was = (store.ledger.origin, store.ledger.vkey, store.ledger.checkpoint(), store.root.id)
    store.close()
    store = opened(tmp_path, database)
    assert (store.ledger.origin, store.ledger.vkey, store.ledger.checkpoint(), store.root.id) == was
    store.close()


def test_two_stores_have_nothing_in_common(tmp_path: Path) -> None:
    one, two = opened(tmp_path / "one"), opened(tmp_path / "two")
    assert one.ledger.origin != two.ledger.origin
    assert one.ledger.vkey != two.ledger.vkey
    assert one.root.id != two.root.id
    one.close()
    two.close()


def test_a_served_database_is_not_migrated_by_whoever_opens_it(
    tmp_path: Path, postgres: str
) -> None:
    with pytest.raises(NotMigrated, match="modelwitness migrate"):
        opened(tmp_path, postgres, may_migrate=None)


def test_keys_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.close()
    for name in ("root.key", "log.key"):
        path = tmp_path / "keys" / name
        assert path.stat().st_mode & 0o777 == 0o600
        path.chmod(0o640)
        with pytest.raises(NoRootKey, match="chmod 600"):
            opened(tmp_path)
        path.chmod(0o600)
    assert (tmp_path / "keys").stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["root.key", "log.key"])
def test_a_lost_key_is_not_made_anew(tmp_path: Path, name: str) -> None:
    store = opened(tmp_path)
    store.close()
    (tmp_path / "keys" / name).unlink()
    with pytest.raises(NoRootKey, match=name):
        opened(tmp_path)
    assert not (tmp_path / "keys" / name).exists()


def test_another_root_key_opens_nothing(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.close()
    (tmp_path / "keys" / "root.key").write_text(os.urandom(32).hex())
    with pytest.raises(Tampered, match="root key"):
        opened(tmp_path)


def test_a_tree_that_does_not_continue_what_was_signed_is_refused(
    tmp_path: Path, database: str
) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([prediction(1)])
    store.close()
    with without_guards(store.settings.url) as connection:
        connection.execute(text("UPDATE entry SET event_us = event_us + 1 WHERE idx = 1"))
    with pytest.raises(Tampered, match="does not continue"):
        opened(tmp_path, database)


def test_fewer_entries_than_were_signed_are_refused(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([prediction(1)])
    store.close()
    with without_guards(store.settings.url) as connection:
        connection.execute(text("UPDATE head SET size = 1"))
    with pytest.raises(RolledBack):
        opened(tmp_path, database)


def test_what_was_committed_but_not_signed_is_signed_on_opening(tmp_path: Path) -> None:
    """A crash between commit and signature: the entries are there, the checkpoint is behind."""
    store = opened(tmp_path)
    last = tmp_path / "checkpoints" / "last-signed"
    behind = last.read_bytes()
    store.ledger.append([prediction(1)])
    signed = store.ledger.checkpoint()
    store.close()
    last.write_bytes(behind)
    store = opened(tmp_path)
    assert store.ledger.append([prediction(1)])[0].duplicate
    assert store.ledger.checkpoint() == signed
    store.close()
    assert checked(store.settings)[0] == OK
