"""Every stored column, flipped once behind the guards' back, is found, in the first and last row.

Left out: `work`, which is neither ledger nor projection (its bodies are opened by `fsck --deep`,
its leases and due times are nobody's evidence). Of `head.key_epoch`, which only tells caches that
they are old, `fsck` knows a lower bound: one rotation for each that was logged.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Column, SmallInteger, Table, and_, create_engine, select, text, update
from sqlalchemy.pool import NullPool

from audit import rotation, tables
from audit.clock import system_clock
from audit.fsck import OK, TAMPERED
from audit.settings import AuditSettings
from tests.audit.guards import without_guards
from tests.audit.stores import checked, opened, prediction, varied
from tests.postgres import Postgres

COLUMNS = [
    (table, column)
    for table in tables.metadata.sorted_tables
    if table is not tables.work
    for column in table.columns
]
PLAIN = {"entry.leaf", "entry.idx", "payload.idx", "payload.sealed", "tile.hashes", "tile.root"}
"""What the check without keys must find by itself and name an entry for."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AuditSettings]:
    """A store with something in every column; each test leaves it as it was."""
    folder = tmp_path_factory.mktemp("store")
    server: Postgres | None = None
    url = ""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.create()
    store = opened(folder, url)
    store.ledger.append(varied(300))
    store.ledger.append([prediction(7, output="other")])  # a conflict
    rotation.rotate_store_key(store, clock=system_clock)
    store.ledger.append([prediction(number) for number in range(1000, 1003)])
    store.close()
    assert checked(store.settings)[0] == OK
    yield store.settings
    assert checked(store.settings)[0] == OK
    if server is not None:
        server.drop(url)


@pytest.mark.parametrize("place", ["first", "last"])
@pytest.mark.parametrize(
    ("table", "column"), COLUMNS, ids=[f"{table.name}.{column.name}" for table, column in COLUMNS]
)
def test_a_flipped_column_is_found(
    settings: AuditSettings, table: Table, column: Column[Any], place: str
) -> None:
    row = _row(settings, table, column, place)
    was = row[column.name]
    became = _flipped(column, was)
    _write(settings, table, column, row, became)
    try:
        found, said = checked(settings)
        if (name := f"{table.name}.{column.name}") in PLAIN:
            plain, told = checked(settings, deep=False)
            assert (name, plain) == (name, TAMPERED)
            assert "at entry" in told or "one of the entries" in told
    finally:
        _write(settings, table, column, {**row, column.name: became}, was)
    assert found == TAMPERED, said


@pytest.mark.parametrize("table", dict.fromkeys(table for table, _ in COLUMNS), ids=str)
def test_a_deleted_row_is_found(settings: AuditSettings, table: Table) -> None:
    row = _row(settings, table, next(iter(table.columns)), "last")
    with without_guards(settings.url) as connection:
        connection.execute(table.delete().where(_is(table, row)))
    try:
        found, said = checked(settings)
    finally:
        with without_guards(settings.url) as connection:
            connection.execute(table.insert().values(**row))
    # Without a head there is no ledger to judge: that is not sound either.
    assert found == (2 if table is tables.head else TAMPERED), said


def test_a_later_row_is_not_blamed_for_an_earlier_one(settings: AuditSettings) -> None:
    column = tables.entry.c.event_us
    row = _row(settings, tables.entry, column, "middle")
    _write(settings, tables.entry, column, row, row["event_us"] + 1)
    try:
        said = checked(settings, deep=False)[1]
    finally:
        _write(settings, tables.entry, column, row, row["event_us"])
    assert f"at entry {row['idx']}:" in said


def test_a_schema_without_its_guards_is_found(settings: AuditSettings) -> None:
    engine = create_engine(settings.url, poolclass=NullPool)
    with engine.begin() as connection:
        if engine.dialect.name == "sqlite":
            name = "entry_freeze"
            definition = connection.execute(
                text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": name}
            ).scalar_one()
            away, back = f"DROP TRIGGER {name}", str(definition)
        else:
            away = "ALTER TABLE entry ENABLE TRIGGER entry_freeze"  # but no longer ALWAYS
            back = "ALTER TABLE entry ENABLE ALWAYS TRIGGER entry_freeze"
        connection.exec_driver_sql(away)
    assert checked(settings, deep=False)[0] == OK
    found, said = checked(settings)
    with engine.begin() as connection:
        connection.exec_driver_sql(back)
    assert found == TAMPERED
    assert "schema" in said


def test_a_changed_schema_version_is_found(settings: AuditSettings) -> None:
    change = text("UPDATE alembic_version SET version_num = :version")
    engine = create_engine(settings.url, poolclass=NullPool)
    with engine.begin() as connection:
        was = connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one()
        connection.execute(change, {"version": "0000"})
    found, _ = checked(settings)
    with engine.begin() as connection:
        connection.execute(change, {"version": was})
    assert found == TAMPERED


def _row(settings: AuditSettings, table: Table, column: Column[Any], place: str) -> dict[str, Any]:
    engine = create_engine(settings.url, poolclass=NullPool)
    with engine.connect() as connection:
        query = select(table).where(column.is_not(None)).order_by(*table.primary_key)
        rows = connection.execute(query).mappings().all()
    assert rows, f"nothing to flip in {table.name}.{column.name}"
    return dict(rows[{"first": 0, "middle": len(rows) // 2, "last": -1}[place]])


def _flipped(column: Column[Any], value: Any) -> Any:
    if isinstance(value, bytes):
        at = len(value) // 2
        return value[:at] + bytes([value[at] ^ 1]) + value[at + 1 :]
    if isinstance(value, str):
        return ("b" if value[0] == "a" else "a") + value[1:]
    if column.name == "key_epoch":
        return value - 1
    return value + (11 if isinstance(column.type, SmallInteger) else 1_000_003)


def _write(
    settings: AuditSettings, table: Table, column: Column[Any], row: dict[str, Any], value: Any
) -> None:
    with without_guards(settings.url) as connection:
        changed = connection.execute(update(table).where(_is(table, row)).values({column: value}))
        assert changed.rowcount == 1


def _is(table: Table, row: dict[str, Any]) -> Any:
    return and_(*(column == row[column.name] for column in table.primary_key))
