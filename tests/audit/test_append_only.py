"""Every way round append-only is tried on both databases; what cannot be refused is seen.

On SQLite as whoever can open the file, with the engine's defaults; on PostgreSQL as the role that
serves, which is not the owner.
"""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import LargeBinary, Text, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from audit import rebuild, rotation, tables
from audit.clock import system_clock
from audit.errors import Tampered
from audit.fsck import OK, TAMPERED
from audit.migrate import NotMigrated
from tests.audit.stores import checked, opened, prediction, varied

KEPT = ("head", "series", "entry", "payload", "tile", "subject_key", "key_ring", "idempotency")
FROZEN = {
    "head": ("id", "origin"),
    "series": ("id", "type", "integration", "model", "version", "status", "retention"),
    "entry": ("idx", "leaf", "series", "event_us"),
    "payload": ("idx", "sealed", "handle"),
    "tile": ("level", "n", "hashes", "root"),
    "subject_key": ("handle", "tag"),
    "key_ring": ("kind", "version"),
    "idempotency": ("key", "content", "idx"),
}
"""Columns that nothing may change; the others hold wrapped keys and where the tree ends."""

NOT_NUMBERS = (LargeBinary, Text)
CHANGES = [
    *(f"DELETE FROM {table}" for table in KEPT),
    *(
        f"UPDATE {table} SET {name} = "
        + ("NULL" if isinstance(tables.metadata.tables[table].c[name].type, NOT_NUMBERS) else "77")
        for table, names in FROZEN.items()
        for name in names
    ),
    "UPDATE head SET size = size - 1",
]


@pytest.fixture(scope="module")
def sqlite_store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("sqlite")
    store = opened(folder)
    store.ledger.append(varied(300))
    store.close()
    yield folder
    assert checked(store.settings)[0] == OK  # nothing that was tried has left a trace


@pytest.fixture
def attacker(sqlite_store: Path) -> Iterator[sqlite3.Connection]:
    connection = sqlite3.connect(sqlite_store / "ledger.db")
    assert connection.execute("PRAGMA recursive_triggers").fetchone() == (0,)
    yield connection
    connection.rollback()
    connection.close()


@pytest.mark.parametrize("statement", CHANGES)
def test_sqlite_refuses_to_change_or_delete(attacker: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        attacker.execute(statement)


@pytest.mark.parametrize("table", KEPT)
@pytest.mark.parametrize("verb", ["INSERT OR REPLACE", "REPLACE"])
def test_sqlite_refuses_to_replace(attacker: sqlite3.Connection, verb: str, table: str) -> None:
    """Without recursive triggers REPLACE deletes a row and asks no DELETE trigger."""
    row = "SELECT * FROM (SELECT * FROM {0} LIMIT 1 OFFSET (SELECT count(*) / 2 FROM {0}))"
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        attacker.execute(f"{verb} INTO {table} {row.format(table)}")


@pytest.mark.parametrize("table", KEPT)
def test_sqlite_refuses_an_upsert(attacker: sqlite3.Connection, table: str) -> None:
    column = FROZEN[table][-1]
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        attacker.execute(
            f"INSERT INTO {table} SELECT * FROM {table} WHERE true"
            f" ON CONFLICT DO UPDATE SET {column} = NULL"
        )


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO entry SELECT idx + 1000, leaf, series, event_us FROM entry LIMIT 1",
        "INSERT INTO series SELECT id + 1000, type, integration, model, version, status, retention"
        " FROM series LIMIT 1",
        "UPDATE OR REPLACE entry SET idx = 1 WHERE idx = 2",
        "UPDATE OR REPLACE payload SET idx = 1 WHERE idx = 2",
    ],
)
def test_sqlite_refuses_gaps_and_moves(attacker: sqlite3.Connection, statement: str) -> None:
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        attacker.execute(statement)


@pytest.mark.parametrize(
    "change",
    [
        "DROP TRIGGER entry_keep",
        "DROP INDEX entry_by_series",
        "CREATE TRIGGER mine AFTER INSERT ON entry BEGIN SELECT 1; END",
        "ALTER TABLE work ADD COLUMN mine TEXT",
    ],
)
def test_a_changed_sqlite_schema_is_refused_and_found(tmp_path: Path, change: str) -> None:
    store = opened(tmp_path)
    store.close()
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.execute(change)
    connection.close()
    with pytest.raises(Tampered, match="schema"):
        opened(tmp_path)
    found, said = checked(store.settings)
    assert (found, "schema" in said) == (TAMPERED, True)


@pytest.fixture(scope="module")
def served(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, str, str]]:
    """Folder, and the addresses of one database as its owner and as the role that serves."""
    server = request.getfixturevalue("postgres_server")
    owner = server.create()
    role = f"app_{owner.rsplit('_', 1)[1][:12]}"
    _execute(owner, f"CREATE ROLE {role} LOGIN NOSUPERUSER")
    folder = tmp_path_factory.mktemp("served")
    app = make_url(owner).set(username=role).render_as_string(hide_password=False)
    with pytest.raises(NotMigrated):
        opened(folder, app, may_migrate=False)
    opened(folder, owner, app_role=role).close()
    store = opened(folder, app, may_migrate=False)
    store.ledger.append(varied(300))
    store.close()
    yield folder, owner, app
    assert checked(store.settings)[0] == OK
    server.drop(owner)


@pytest.mark.parametrize(
    "statement",
    [
        *CHANGES,
        *(f"TRUNCATE {table} CASCADE" for table in KEPT),
        *(f"ALTER TABLE {table} DISABLE TRIGGER ALL" for table in KEPT),
        *(f"DROP TABLE {table}" for table in KEPT),
        *(
            f"INSERT INTO {table} SELECT * FROM {table} LIMIT 1"
            f" ON CONFLICT ON CONSTRAINT {table}_pkey DO UPDATE SET {FROZEN[table][-1]} = NULL"
            for table in KEPT
        ),
        "SET session_replication_role = replica",
        "DROP TRIGGER entry_keep ON entry",
        "DROP FUNCTION modelwitness_refuse() CASCADE",
        "CREATE OR REPLACE FUNCTION modelwitness_refuse() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN RETURN NEW; END $$",
        "CREATE TABLE mine (x int)",
        "CREATE INDEX mine ON entry (idx)",
        "UPDATE alembic_version SET version_num = '0'",
    ],
)
def test_postgresql_refuses_the_app_role(served: tuple[Path, str, str], statement: str) -> None:
    with pytest.raises(DBAPIError) as caught:
        _execute(served[2], statement)
    assert isinstance(caught.value.orig, psycopg.errors.InsufficientPrivilege)


def test_the_app_role_cannot_give_itself_rights(served: tuple[Path, str, str]) -> None:
    """PostgreSQL only warns of a GRANT that grants nothing."""
    _, owner, app = served
    before = _granted(owner)
    _execute(app, "GRANT ALL ON entry TO CURRENT_USER")
    assert _granted(owner) == before


@pytest.mark.parametrize("statement", CHANGES)
def test_postgresql_refuses_even_the_owner_who_replicates(
    served: tuple[Path, str, str], statement: str
) -> None:
    """A plain trigger does not fire for a session in replica mode; ours do."""
    engine = create_engine(served[1], poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SET session_replication_role = replica"))
        with pytest.raises(DBAPIError, match="append-only"):
            connection.execute(text(statement))


def test_the_app_role_can_do_all_that_serving_needs(served: tuple[Path, str, str]) -> None:
    folder, _, app = served
    store = opened(folder, app, may_migrate=False)
    store.ledger.append([prediction(number) for number in range(5000, 5010)])
    store.ledger.append([prediction(5000, output="other")])
    store.work.put("quarantine", "1", b"refused")
    store.work.done("quarantine", "1")
    rotation.rotate_root(store, clock=system_clock)
    rotation.rotate_store_key(store, clock=system_clock)
    rotation.rotate_subject_keys(store, clock=system_clock)
    rebuild.run(store)
    store.close()
    assert checked(store.settings)[0] == OK


def test_a_guard_that_the_owner_disabled_is_refused_and_found(
    tmp_path: Path, postgres: str
) -> None:
    store = opened(tmp_path, postgres)
    store.close()
    _execute(postgres, "ALTER TABLE entry ENABLE TRIGGER entry_freeze")  # no longer ALWAYS
    with pytest.raises(Tampered, match="schema"):
        opened(tmp_path, postgres)
    assert checked(store.settings)[0] == TAMPERED


def _granted(url: str) -> list[tuple[str, str]]:
    query = "SELECT relname, relacl::text FROM pg_class WHERE relnamespace = 'public'::regnamespace"
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return sorted((row[0], str(row[1])) for row in connection.execute(text(query)))


def _execute(url: str, statement: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statement))
