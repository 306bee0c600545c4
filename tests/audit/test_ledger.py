"""What the ledger promises to whoever appends, over both databases."""

import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.event import listen
from sqlalchemy.pool import NullPool

from audit.checkpoint import parse
from audit.documents import Applied, View
from audit.errors import Busy, RolledBack
from audit.events import Event, event_of
from audit.fsck import OK
from audit.group import Appended
from audit.ledger import MOST_WAITING
from audit.merkle import leaf_hash
from audit.search import Query
from audit.tables import metadata
from tests.audit.guards import without_guards
from tests.audit.stores import (
    PROJECTIONS,
    anonymous,
    checked,
    opened,
    outcome,
    prediction,
    system,
    varied,
)


def test_answers_say_where_events_stand(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    events = [prediction(number) for number in range(5)]
    answers = store.ledger.append(events)
    assert [each.index for each in answers] == [1, 2, 3, 4, 5]  # 0 is SchemaMigrated
    assert {each.tree_size for each in answers} == {6}
    assert [each.leaf_hash for each in answers] == [
        leaf_hash(each.leaf.raw) for each in store.reader.open(range(1, 6))
    ]
    assert [each.body for each in store.reader.open(range(1, 6))] == [
        event.body for event in events
    ]
    store.close()


def test_an_answer_is_covered_by_the_signed_checkpoint(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    for number in range(5):
        answer = store.ledger.append([prediction(number)])[0]
        signed = (tmp_path / "checkpoints" / "last-signed").read_text()
        assert parse(signed.partition("\n\n")[0] + "\n").size >= answer.tree_size > answer.index
    store.close()


def test_nothing_submitted_is_answered_at_once(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.ledger.append([]) == []
    store.close()


def test_the_same_content_is_a_duplicate(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    first = store.ledger.append([prediction(1)])[0]
    again = store.ledger.append([prediction(1), prediction(2), prediction(1)])
    assert [(each.index, each.duplicate, each.conflict) for each in again] == [
        (first.index, True, False),
        (first.index + 1, False, False),
        (first.index, True, False),
    ]
    assert again[0].leaf_hash == first.leaf_hash
    assert store.reader.size() == 3
    store.close()


def test_one_id_serves_several_types_and_integrations(tmp_path: Path) -> None:
    store = opened(tmp_path)
    about = {"prediction": {"id": "p-1"}, "outcome": 1, "id": "p-1", "time": "2013-01-01T00:00:00Z"}
    answers = store.ledger.append(
        [
            prediction(1),
            prediction(1, integration="batch"),
            event_of("OutcomeObserved", "web", about),
        ]
    )
    assert [each.duplicate or each.conflict for each in answers] == [False] * 3
    store.close()


def test_other_content_is_a_conflict_that_is_recorded_once(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    first = store.ledger.append([prediction(1)])[0]
    other = prediction(1, output="other")
    for _ in range(3):
        answers = store.ledger.append([other, other])
        assert {(each.index, each.conflict, each.duplicate) for each in answers} == {
            (first.index, True, False)
        }
    third = store.ledger.append([prediction(1, output="third")])[0]
    assert third.conflict
    page = store.reader.search(Query(0, 2**62, type="ConflictRecorded"))
    assert len(page.leaves) == 2
    assert store.reader.open([first.index])[0].body == prediction(1).body
    store.close()
    assert checked(store.settings)[0] == OK


def test_one_submission_may_contradict_itself(tmp_path: Path) -> None:
    store = opened(tmp_path)
    answers = store.ledger.append([prediction(1), prediction(1, output="other"), prediction(1)])
    assert [(each.duplicate, each.conflict) for each in answers] == [
        (False, False),
        (False, True),
        (True, False),
    ]
    assert store.reader.size() == 3
    store.close()
    assert checked(store.settings)[0] == OK


def test_an_id_sent_by_many_threads_is_appended_once(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    start, answers = threading.Barrier(8), list[Appended]()

    def send() -> None:
        start.wait()
        for number in range(10):
            answers.extend(store.ledger.append([prediction(number)]))

    threads = [threading.Thread(target=send) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(not each.duplicate for each in answers) == 10
    assert {each.index for each in answers} == set(range(1, 11))
    assert store.reader.size() == 11
    store.close()


def test_an_outcome_may_come_before_its_prediction(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    early = store.ledger.append([outcome(1, of="p-1")])[0]
    store.ledger.append([prediction(1)])
    late = store.ledger.append([outcome(2, of="p-1")])[0]
    assert store.reader.about("web", "p-1") == [early.index, late.index]
    store.close()
    assert checked(store.settings)[0] == OK


def test_what_follows_a_prediction_is_under_its_subjects_key(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(1), anonymous(1)])
    store.ledger.append([outcome(1, of="p-1"), prediction(8)])  # 8 is about the same person as 1
    with store.database.reading() as connection:
        handles = (
            connection.execute(text("SELECT handle FROM payload ORDER BY idx")).scalars().all()
        )
    schema, one, nobody, truth, same = handles
    assert schema == 0
    assert one == truth == same
    assert nobody not in (schema, one)
    store.close()


class _Fragile:
    """A projection that one event breaks, as a fault of ours in an apply might."""

    name = "fragile"
    types = frozenset({"HoldPlaced"})
    kinds = frozenset({"fragile"})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        for each in entries:
            if each.event.id == "poison":
                raise ArithmeticError("broken by this event")
            view.put("fragile", each.event.id, b"{}")

    def forget(self, handle: int, view: View) -> None:
        """Nothing."""


def test_a_submission_that_breaks_does_not_fail_others(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database, projections=(*PROJECTIONS, _Fragile()))
    ids = [f"h-{number}" if number != 7 else "poison" for number in range(20)]
    waiting = [
        store.ledger.submit([system("HoldPlaced", id), prediction(i)]) for i, id in enumerate(ids)
    ]
    for id, answers in zip(ids, waiting, strict=True):
        if id == "poison":
            with pytest.raises(ArithmeticError):
                answers.result(60)
        else:
            assert len(answers.result(60)) == 2
    assert store.reader.size() == 1 + 2 * 19
    assert store.reader.find("web", "PredictionLogged", "p-7") is None
    store.ledger.append([prediction(7)])
    store.close()


def test_a_cancelled_wait_harms_nobody(tmp_path: Path) -> None:
    """A client that hangs up cancels the future of its request."""
    store = opened(tmp_path)
    waiting: list[Future[list[Appended]]] = []
    for number in range(50):
        waiting.append(store.ledger.submit([prediction(number)]))
        waiting[-1].cancel()
    assert store.ledger.append([prediction(100)])[0].index > 0
    store.close()
    assert checked(store.settings)[0] == OK


def test_a_full_queue_refuses_at_once(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    with store.database.writing():  # nobody can commit meanwhile
        waiting: list[Future[list[Appended]]] = []
        while store.ledger.waiting < MOST_WAITING:
            waiting.append(store.ledger.submit([prediction(len(waiting))]))
        with pytest.raises(Busy, match="more waiting"):
            store.ledger.submit([prediction(0)])
    assert {len(each.result(60)) for each in waiting} == {1}
    assert store.ledger.waiting == 0
    store.close()


def test_a_closed_ledger_refuses(tmp_path: Path) -> None:
    store = opened(tmp_path)
    waiting = [store.ledger.submit([prediction(number)]) for number in range(300)]
    store.close()
    assert all(each.result(0) for each in waiting)  # what waited was still committed
    with pytest.raises(Busy, match="closing"):
        store.ledger.submit([prediction(1)])


def test_a_database_that_is_away_is_busy_and_comes_back(tmp_path: Path, postgres: str) -> None:
    store = opened(tmp_path, postgres)
    store.ledger.append([prediction(1)])
    with without_guards(postgres) as connection:
        connection.execute(text("ALTER TABLE entry RENAME TO entry_away"))
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE pid <> pg_backend_pid() AND datname = current_database()"
            )
        )
        connection.execute(text("ALTER TABLE entry_away RENAME TO entry"))
    for number in range(5):  # at most the first may meet a dead connection
        try:
            store.ledger.append([prediction(10 + number)])
        except Busy:
            assert number == 0
    assert store.ledger.append([prediction(14)])[0].duplicate
    store.close()
    assert checked(store.settings)[0] == OK


def test_a_locked_database_is_busy(tmp_path: Path) -> None:
    store = opened(tmp_path)
    _pragma(store.database.engine, "busy_timeout=50")
    other = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Busy):
        store.ledger.append([prediction(1)])
    other.execute("ROLLBACK")
    other.close()
    assert not store.ledger.append([prediction(1)])[0].duplicate
    store.close()
    assert checked(store.settings)[0] == OK


def test_a_full_disk_is_busy_and_nothing_is_half_written(tmp_path: Path) -> None:
    store = opened(tmp_path)
    _pragma(store.database.engine, "max_page_count=1")  # SQLite keeps it at the present size
    with pytest.raises(Busy):
        store.ledger.append([prediction(number) for number in range(3000)])
    size = store.reader.size()
    _pragma(store.database.engine, "max_page_count=1000000")
    store.ledger.append([prediction(50_000)])
    assert store.reader.size() == size + 1
    store.close()
    assert checked(store.settings)[0] == OK


def test_a_database_that_shrank_under_a_running_ledger_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(1)])
    with store.database.reading() as connection:
        older = connection.execute(text("SELECT size, root FROM head")).mappings().one()
    store.ledger.append([prediction(2)])
    with without_guards(store.settings.url) as connection:
        connection.execute(text("UPDATE head SET size = :size, root = :root"), dict(older))
    with pytest.raises(RolledBack):
        store.ledger.append([prediction(9)])
    with pytest.raises(RolledBack):
        store.ledger.checkpoint()
    with pytest.raises(RolledBack):
        store.reader.open([1])
    store.close()


def test_time_of_logging_never_decreases(tmp_path: Path) -> None:
    times = iter([2_000, 1_000, 3_000])
    now = 0

    def clock() -> int:
        return now

    store = opened(tmp_path, clock=clock)
    for now in times:
        store.ledger.append([prediction(now)])
    logged = [store.reader.leaf(index).logged_us for index in range(1, 4)]
    assert logged == [2_000, 2_000, 3_000]
    store.close()


def test_nothing_personal_stands_in_clear(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append(varied(300))
    store.ledger.append([prediction(1, output="marker-of-a-conflict")])
    store.work.put("quarantine", "1", b"marker-of-work")
    store.close()
    if database.startswith("sqlite"):
        stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    else:
        stored = _dump(database)
    assert b"credit" in stored  # the names of models are clear
    assert b"marker-of" not in stored


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(st.lists(st.dictionaries(st.text(max_size=5), json, max_size=4), min_size=1, max_size=4))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_what_is_opened_is_what_was_appended(
    tmp_path_factory: pytest.TempPathFactory, inputs: list[dict[str, object]]
) -> None:
    store = opened(tmp_path_factory.mktemp("store"))
    events: list[Event] = [prediction(i, inputs=each) for i, each in enumerate(inputs)]
    answers = store.ledger.append(events)
    found = store.reader.open([each.index for each in answers])
    assert [each.body for each in found] == [event.body for event in events]
    store.close()


def _pragma(engine: Engine, setting: str) -> None:
    """Set it on the connections of the pool, old and new."""
    engine.dispose()
    listen(engine, "connect", lambda connection, _: connection.execute(f"PRAGMA {setting}"))


def _dump(url: str) -> bytes:
    """Every value of every table, as bytes."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        return b"\n".join(
            value if isinstance(value, bytes) else str(value).encode()
            for table in metadata.sorted_tables
            for row in connection.execute(table.select())
            for value in row
        )
