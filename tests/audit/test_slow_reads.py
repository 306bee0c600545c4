"""No answer keeps the database at work for ever; what streams a window may take its time."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, event

from audit.database import Database, open_database
from audit.errors import TooSlow
from audit.problems import problem_from
from audit.search import Query
from audit.settings import AuditSettings
from audit.store import Store
from tests.audit.stores import START, opened, prediction

BOUND = 0.2
COUNT = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d) %s"
LONG = COUNT % (4_000_000, "SELECT max(i) FROM n")


def bounded(url: str) -> Database:
    return open_database(url, BOUND)


def test_a_read_that_takes_too_long_is_cut_short_and_the_next_is_not(database: str) -> None:
    found = bounded(database)
    for _ in range(2):
        began = time.monotonic()
        with pytest.raises(TooSlow), found.reading() as connection:
            connection.exec_driver_sql(LONG).scalar()
        assert time.monotonic() - began < 10
        with found.reading() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    found.engine.dispose()


def test_what_the_driver_is_asked_directly_is_cut_short_too(database: str) -> None:
    found = bounded(database)
    with pytest.raises(TooSlow), found.reading() as connection:
        connection.connection.cursor().execute(LONG)
    found.engine.dispose()


def test_an_unlimited_read_goes_on_to_its_end(database: str) -> None:
    for limited, unlimited in ((open_database(database), False), (bounded(database), True)):
        with limited.reading(unlimited=unlimited) as connection:
            assert connection.exec_driver_sql(LONG).scalar() == 4_000_000
        limited.engine.dispose()


def test_a_write_after_a_bounded_read_is_not_cut_short(tmp_path: Path) -> None:
    found = bounded(f"sqlite:///{tmp_path / 'own.db'}")
    with found.reading() as connection:
        connection.exec_driver_sql("SELECT 1")
    with found.writing() as connection:  # by the same connection, which the pool gives again
        assert connection.exec_driver_sql(LONG).scalar() == 4_000_000
    found.engine.dispose()


def test_whoever_asked_is_told_to_narrow_the_range() -> None:
    found = problem_from(TooSlow())
    assert (found.status, found.title) == (503, "Took too long")
    assert "narrower range" in found.remedy


def test_the_bound_is_a_setting(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert AuditSettings.of(tmp_path).read_seconds == 15
    monkeypatch.setenv("MODELWITNESS_READ_SECONDS", "2.5")
    assert AuditSettings.of(tmp_path).read_seconds == 2.5


@contextmanager
def asked(store: Store) -> Iterator[list[str]]:
    told: list[str] = []

    def tell(_connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        told.append(statement)

    event.listen(store.database.engine, "before_cursor_execute", tell)
    try:
        yield told
    finally:
        event.remove(store.database.engine, "before_cursor_execute", tell)


def test_a_window_is_read_without_a_bound_and_a_search_is_not(
    tmp_path: Path, postgres: str
) -> None:
    store = opened(tmp_path, postgres, bounded_reads=True)
    store.ledger.append([prediction(1)])
    with asked(store) as told:
        assert store.reader.search(Query(0, 2**60)).leaves
    assert not [each for each in told if "statement_timeout" in each]
    with asked(store) as told:
        assert list(store.reader.window("PredictionLogged", "credit", None, 0, START * 2))
    assert "SET LOCAL statement_timeout = 0" in told
    store.close()
