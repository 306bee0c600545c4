"""rebuild gives the projections that appending gave, whatever happened to them since."""

from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, select, text
from sqlalchemy.pool import NullPool

from audit import rebuild, tables
from audit.errors import Tampered
from audit.fsck import OK, TAMPERED
from audit.store import Store
from tests.audit.guards import without_guards
from tests.audit.stores import checked, opened, prediction, varied


def test_a_rebuild_changes_nothing_that_was_right(tmp_path: Path, database: str) -> None:
    store = _filled(tmp_path, database)
    before = _projections(store)
    rebuild.run(store)
    assert _projections(store) == before
    assert checked(store.settings)[0] == OK
    store.close()


def test_a_rebuild_mends_every_projection(tmp_path: Path, database: str) -> None:
    store = _filled(tmp_path, database)
    before = _projections(store)
    store.close()
    with without_guards(store.settings.url) as connection:
        for damage in (
            "DELETE FROM blind_index WHERE idx > 20",
            "INSERT INTO rollup VALUES (1, 1, 1, 1)",
            "UPDATE rollup SET count = count + 1",
            "UPDATE document SET key = 'x' WHERE kind = 'version'",
            "DELETE FROM document WHERE kind = 'schema'",
        ):
            connection.execute(text(damage))
    assert checked(store.settings)[0] == TAMPERED
    with pytest.raises(Tampered, match="run rebuild"):
        opened(tmp_path, database)
    store = opened(tmp_path, database, repairing=True)
    rebuild.run(store)
    store.close()
    assert checked(store.settings)[0] == OK
    store = opened(tmp_path, database)
    assert _projections(store) == before
    store.close()


def test_a_rebuild_from_a_damaged_ledger_changes_nothing(tmp_path: Path, database: str) -> None:
    store = _filled(tmp_path, database)
    before = _projections(store)
    with without_guards(store.settings.url) as connection:
        connection.execute(text("UPDATE payload SET handle = 1 WHERE idx = 305"))
    with pytest.raises(Tampered, match="at entry 305"):
        rebuild.run(store)
    assert _projections(store) == before
    store.close()


def test_a_rebuild_does_not_bless_a_changed_schema(tmp_path: Path) -> None:
    store = _filled(tmp_path, "")
    store.close()
    engine = create_engine(store.settings.url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM document WHERE kind = 'schema'"))
        connection.execute(text("DROP TRIGGER entry_freeze"))
    store = opened(tmp_path, repairing=True)
    with pytest.raises(Tampered, match="schema"):
        rebuild.run(store)
    store.close()


def test_appends_go_on_after_a_rebuild(tmp_path: Path, database: str) -> None:
    store = _filled(tmp_path, database)
    rebuild.run(store)
    store.ledger.append([prediction(5000)])
    store.close()
    assert checked(store.settings)[0] == OK


def _filled(folder: Path, database: str) -> Store:
    store = opened(folder, database)
    store.ledger.append(varied(300))
    store.ledger.append([prediction(3, output="other")])
    return store


def _projections(store: Store) -> dict[str, Any]:
    """Every row of every projection; documents opened, since each sealing differs."""
    with store.database.reading() as connection:
        terms = connection.execute(select(tables.blind_index)).all()
        counts = connection.execute(select(tables.rollup)).all()
        keys = connection.execute(select(tables.document.c.kind, tables.document.c.key)).all()
    return {
        "blind_index": sorted((v, f, bytes(tag), idx) for v, f, tag, idx in terms),
        "rollup": sorted(map(tuple, counts)),
        "document": {(kind, key): store.documents.get(kind, key) for kind, key in keys},
    }
