"""Work: taken once, given back by time, sealed; over both databases."""

from dataclasses import dataclass
from pathlib import Path
from threading import Barrier, Thread

import pytest

from audit.store import Store
from audit.work import WorkItem
from tests.audit.stores import opened

SECOND = 1_000_000


@dataclass
class Turned:
    now: int = 0

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Turned:
    return Turned()


@pytest.fixture
def store(tmp_path: Path, database: str, clock: Turned) -> Store:
    return opened(tmp_path, database, clock=clock)


@pytest.fixture(autouse=True)
def _closed(store: Store) -> object:
    yield
    store.close()


def test_an_item_is_kept_under_its_key_once(store: Store) -> None:
    work = store.work
    assert work.put("outbox", "a", b"first")
    assert not work.put("outbox", "a", b"second")
    assert work.get("outbox", "a") == WorkItem("outbox", "a", b"first", 0, 0)
    assert work.get("quarantine", "a") is None


def test_items_are_listed_by_key(store: Store) -> None:
    for key in ("b", "c", "a", "d"):
        store.work.put("outbox", key, b"")
    store.work.put("other", "b", b"")
    assert [item.key for item in store.work.list("outbox")] == ["a", "b", "c", "d"]
    assert [item.key for item in store.work.list("outbox", after="b", limit=1)] == ["c"]


def test_a_lease_takes_what_is_due_and_free(store: Store, clock: Turned) -> None:
    work = store.work
    work.put("outbox", "now", b"")
    work.put("outbox", "later", b"", due_us=10 * SECOND)
    assert [item.key for item in work.lease("outbox", "one", 5, 10)] == ["now"]
    assert work.lease("outbox", "two", 5, 10) == []
    clock.now = 6 * SECOND  # whoever held it was killed
    assert [item.key for item in work.lease("outbox", "two", 50, 10)] == ["now"]
    clock.now = 10 * SECOND
    assert [item.key for item in work.lease("outbox", "one", 5, 10)] == ["later"]


def test_a_failed_attempt_is_counted_and_due_again(store: Store, clock: Turned) -> None:
    work = store.work
    work.put("outbox", "a", b"body")
    work.lease("outbox", "one", 60, 1)
    work.later("outbox", "a", 3 * SECOND)
    assert work.lease("outbox", "one", 60, 1) == []
    clock.now = 3 * SECOND
    assert work.lease("outbox", "one", 60, 1) == [WorkItem("outbox", "a", b"body", 1, 3 * SECOND)]
    work.done("outbox", "a")
    assert work.list("outbox") == []


def test_one_of_many_takes_an_item(store: Store) -> None:
    store.work.put("signin", "code", b"who")
    start, taken = Barrier(6), list[WorkItem | None]()

    def take() -> None:
        start.wait()
        taken.append(store.work.take("signin", "code"))

    threads = [Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [item.body for item in taken if item is not None] == [b"who"]


def test_a_claim_is_held_renewed_and_passed_on(store: Store, clock: Turned) -> None:
    work = store.work
    assert work.claim("scheduler", "one", 10)
    assert not work.claim("scheduler", "two", 10)
    clock.now = 9 * SECOND
    assert work.claim("scheduler", "one", 10)
    clock.now = 18 * SECOND
    assert not work.claim("scheduler", "two", 10)
    clock.now = 19 * SECOND
    assert work.claim("scheduler", "two", 10)
    assert not work.claim("scheduler", "one", 10)
