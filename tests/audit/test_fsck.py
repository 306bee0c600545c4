"""fsck of sound, absent, rolled-back and erased ledgers, over both databases."""

import shutil
from pathlib import Path

import pytest
from sqlalchemy import text

from audit.database import open_database
from audit.fsck import CANNOT_TELL, OK, TAMPERED
from tests.audit.guards import without_guards
from tests.audit.stores import checked, opened, outcome, prediction, settings_of, system, varied


def test_a_sound_ledger_passes(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append(varied(600))
    store.work.put("quarantine", "1", b"refused")
    assert checked(store.settings, deep=False)[0] == OK
    assert checked(store.settings) == (
        OK,
        "the schema, guards included, is the one that was migrated",
    )
    store.close()
    assert checked(store.settings)[0] == OK


def test_an_empty_ledger_passes(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.close()
    assert checked(store.settings)[0] == OK


def test_fsck_makes_nothing_where_nothing_is(tmp_path: Path) -> None:
    found, said = checked(settings_of(tmp_path / "nowhere"))
    assert found == CANNOT_TELL
    assert "there is no database" in said
    assert list(tmp_path.iterdir()) == []


def test_an_empty_database_cannot_be_told(tmp_path: Path, database: str) -> None:
    engine = open_database(database).engine
    engine.connect().close()
    engine.dispose()
    assert checked(settings_of(tmp_path, database))[0] == CANNOT_TELL


def test_a_database_rolled_back_to_a_backup_is_found(tmp_path: Path) -> None:
    store = opened(tmp_path / "live")
    store.ledger.append([prediction(number) for number in range(10)])
    store.close()
    shutil.copy(tmp_path / "live" / "ledger.db", tmp_path / "backup.db")
    store = opened(tmp_path / "live")
    store.ledger.append([prediction(10)])
    store.close()
    shutil.copy(tmp_path / "backup.db", tmp_path / "live" / "ledger.db")
    found, said = checked(store.settings, deep=False)
    assert found == TAMPERED
    assert "rolled back" in said


def test_a_rewritten_history_contradicts_the_last_signed_checkpoint(tmp_path: Path) -> None:
    for name in ("live", "forged"):
        store = opened(tmp_path / name)
        store.ledger.append([prediction(1, output=name)])
        store.close()
    (tmp_path / "live" / "ledger.db").unlink()
    shutil.copy(tmp_path / "forged" / "ledger.db", tmp_path / "live" / "ledger.db")
    found, _ = checked(settings_of(tmp_path / "live"), deep=False)
    assert found != OK


def test_a_payload_deleted_without_a_logged_erasure_is_found(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([prediction(number) for number in range(300)])
    _erase(store.settings.url, 5, 299)
    assert checked(store.settings, deep=False)[0] == CANNOT_TELL
    found, said = checked(store.settings)
    assert found == TAMPERED
    assert "at entry 5:" in said

    store.ledger.append([system("ErasureCompleted", "e-1", ranges=[[299, 299]])])
    assert "at entry 5:" in checked(store.settings)[1]

    store.ledger.append([system("ErasureCompleted", "e-2", ranges=[[3, 9]])])
    assert checked(store.settings)[0] == OK
    store.close()


def test_a_destroyed_key_needs_a_logged_erasure_too(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(3)])
    with without_guards(store.settings.url) as connection:
        for damage in (
            "DELETE FROM subject_key WHERE handle > 0",
            "DELETE FROM blind_index",
            "UPDATE idempotency SET content = NULL WHERE idx = 1",
        ):
            connection.execute(text(damage))
    assert "at entry 1:" in checked(store.settings)[1]
    store.ledger.append([system("ErasureCompleted", "e", ranges=[[1, 1]])])
    store.close()
    assert checked(store.settings)[0] == OK


def test_no_erasure_covers_what_comes_after_it(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.ledger.append([system("ErasureCompleted", "e-1", ranges=[[0, 1000]])])
    store.ledger.append([prediction(number) for number in range(10)])
    store.close()
    _erase(store.settings.url, 6)
    assert checked(store.settings)[0] == TAMPERED


def test_what_outlived_an_erasure_is_found(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(number) for number in range(20)])
    store.ledger.append([system("ErasureCompleted", "e-1", ranges=[[5, 5]])])
    store.close()
    _erase(store.settings.url, 5, leave="blind_index")
    assert "blind index" in checked(store.settings)[1]


def test_a_cloud_event_envelope_is_not_content(tmp_path: Path) -> None:
    """Adapters keep their envelope in the body and leave it out of what must be the same."""
    from msgspec.structs import replace

    store = opened(tmp_path)
    plain = prediction(1)
    whole = prediction(1, cloudevent={"source": "web"})
    store.ledger.append([replace(whole, content=plain.body), outcome(1, of="p-1")])
    store.close()
    assert checked(store.settings)[0] == OK


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entry SET event_us = 'text' WHERE idx = 3",
        "UPDATE payload SET sealed = 7 WHERE idx = 3",
        "UPDATE entry SET leaf = 'text' WHERE idx = 3",
        "UPDATE head SET root = 'text'",
        "UPDATE subject_key SET tag = 'text'",
    ],
)
def test_a_value_of_the_wrong_kind_is_found(tmp_path: Path, damage: str) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(number) for number in range(5)])
    store.close()
    with without_guards(store.settings.url) as connection:
        connection.execute(text(damage))
    found, said = checked(store.settings, deep=False)
    assert found == TAMPERED
    assert "wrong kind" in said


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        ("UPDATE series SET model = CAST(x'ff63' AS TEXT) WHERE model = 'credit'", "series"),
        ("UPDATE head SET origin = CAST(x'ff63' AS TEXT)", "head"),
        ("UPDATE key_ring SET root_id = CAST(x'c328' AS TEXT)", "key_ring"),
    ],
)
def test_a_text_that_is_no_utf_8_was_tampered_with(tmp_path: Path, damage: str, named: str) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(number) for number in range(5)])
    store.close()
    with without_guards(store.settings.url) as connection:
        assert connection.execute(text(damage)).rowcount
    for deep in (False, True):
        found, said = checked(store.settings, deep=deep)
        assert found == TAMPERED, said
        assert f"table {named}" in said


def test_a_second_head_was_put_there(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([prediction(number) for number in range(5)])
    store.close()
    columns = "origin, size, root, logged_us, key_epoch"
    with without_guards(store.settings.url) as connection:
        connection.execute(text(f"INSERT INTO head SELECT 2, {columns} FROM head"))
    for deep in (False, True):
        found, said = checked(store.settings, deep=deep)
        assert found == TAMPERED, said
        assert "several heads" in said


def _erase(url: str, *indexes: int, leave: str = "") -> None:
    """Remove payloads as an erasure does, but for the row of table `leave`."""
    with without_guards(url) as connection:
        for statement in (
            "DELETE FROM payload WHERE idx = :idx",
            "DELETE FROM blind_index WHERE idx = :idx",
            "UPDATE idempotency SET content = NULL WHERE idx = :idx",
        ):
            if leave not in statement or not leave:
                for idx in indexes:
                    connection.execute(text(statement), {"idx": idx})
