"""Batches of our own events: order, retries, quarantine, over a real store."""

import asyncio
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path

import pytest

import modelwitness
from audit.clock import system_clock
from audit.errors import Broken, Busy
from audit.events import Event
from audit.group import Appended
from audit.options import Parts
from collector.ingest import Appends
from collector.limits import Limits
from collector.quarantine import Quarantine
from collector.streams.carried import Carried
from collector.streams.declaration import Stream
from collector.streams.native import Native
from collector.streams.taking import Patience, Stopped, Taken

STREAM = Stream(
    name="s", broker="kafka", address="x", topics=("t",), group="g", integration="scoring",
    format="predictions",
)  # fmt: skip


class Reluctant:
    """A ledger that answers as `answer` says before it does its work."""

    def __init__(self, ledger: Appends, answer: Callable[[Sequence[Event]], Exception | None]):
        self._ledger = ledger
        self._answer = answer
        self.asked: list[int] = []

    def submit(self, events: Sequence[Event]) -> "Future[list[Appended]]":
        self.asked.append(len(events))
        refusal = self._answer(events)
        if refusal is None:
            return self._ledger.submit(events)
        refused: Future[list[Appended]] = Future()
        refused.set_exception(refusal)
        return refused

    def checkpoint(self) -> bytes:
        return self._ledger.checkpoint()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    with modelwitness.opened(tmp_path / "data") as opened:
        yield opened


def take(
    parts: Parts,
    messages: Sequence[Carried],
    ledger: Appends | None = None,
    stopping: asyncio.Event | None = None,
    limits: Limits | None = None,
) -> tuple[Taken, list[str]]:
    told: list[str] = []

    async def run() -> Taken:
        limit = limits or Limits()
        native = Native(
            ledger or parts.store.ledger,
            Quarantine(parts.store.work, system_clock, limit),
            limit,
            Patience(stopping or asyncio.Event(), told.append),
        )
        return await native.log(await native.read(STREAM, messages))

    return asyncio.run(run()), told


def message(number: int, lane: str = "t/0", output: object = 1) -> Carried:
    body = {
        "id": f"e-{number}",
        "time": "2026-01-01T00:00:00Z",
        "model": {"name": "m", "version": "1"},
        "inputs": {},
        "output": output,
    }
    return Carried(place=f"{lane}/{number}", lane=lane, body=json.dumps(body).encode())


def ids(parts: Parts) -> list[str]:
    reader = parts.store.reader
    opened = reader.open(range(reader.size()))
    return [json.loads(each.body)["id"] for each in opened if each.leaf.type == "PredictionLogged"]


def kept(parts: Parts) -> list[tuple[str, bytes]]:
    quarantine = Quarantine(parts.store.work, system_clock)
    found = [quarantine.get(each.id) for each in quarantine.list()[0]]
    return [(each.place, each.body) for one in found for each in one.deliveries]


def test_a_batch_is_one_append_in_its_order(parts: Parts) -> None:
    ledger = Reluctant(parts.store.ledger, lambda _: None)
    taken, _ = take(parts, [message(number) for number in range(100)], ledger)
    assert taken == Taken(logged=100)
    assert ledger.asked == [100]
    assert ids(parts) == [f"e-{number}" for number in range(100)]


def test_lanes_are_appended_side_by_side_each_in_its_order(parts: Parts) -> None:
    ledger = Reluctant(parts.store.ledger, lambda _: None)
    take(parts, [message(number, f"t/{number % 3}") for number in range(30)], ledger)
    assert ledger.asked == [10, 10, 10]
    for lane in range(3):
        found = [each for each in ids(parts) if int(each[2:]) % 3 == lane]
        assert found == [f"e-{number}" for number in range(lane, 30, 3)]


def test_what_comes_again_is_known(parts: Parts) -> None:
    take(parts, [message(1), message(2)])
    taken, _ = take(parts, [message(1), message(2), message(3)])
    assert taken == Taken(logged=1, duplicates=2)


def test_poison_and_conflict_are_kept_and_their_neighbours_logged(parts: Parts) -> None:
    take(parts, [message(1)])
    poison = Carried(place="t/0/7", lane="t/0", body=b"\xff", headers=((b"h", b"\xfe"),))
    other = message(1, output="another")
    taken, _ = take(parts, [message(0), poison, other, message(2)])
    assert taken == Taken(logged=2, quarantined=2)
    assert sorted(kept(parts)) == [("kafka:t/0/1", other.body), ("kafka:t/0/7", b"\xff")]


def test_items_of_a_message_meet_their_fates_one_by_one(parts: Parts) -> None:
    bodies = [message(1).body, b'{"id": 1}', message(2).body]
    body = b"[" + b",".join(each for each in bodies if each) + b"]"
    taken, _ = take(parts, [Carried(place="t/0/1", lane="t/0", body=body)])
    assert taken == Taken(logged=2, quarantined=1)
    assert kept(parts) == [("kafka:t/0/1", b'{"id": 1}')]


def test_a_tombstone_is_counted_and_nothing_else(parts: Parts) -> None:
    taken, _ = take(parts, [Carried(place="t/0/1", lane="t/0", body=None)])
    assert taken == Taken(tombstones=1)
    assert kept(parts) == []


def test_a_busy_ledger_is_waited_for(parts: Parts) -> None:
    refusals: list[Exception] = [Busy("away"), Busy("away")]
    ledger = Reluctant(parts.store.ledger, lambda _: refusals.pop() if refusals else None)
    taken, told = take(parts, [message(1)], ledger)
    assert taken == Taken(logged=1)
    assert told == ["waits: away", "goes on"]


def test_to_be_stopped_while_waiting_leaves_the_batch_undone(parts: Parts) -> None:
    async def run() -> None:
        stopping = asyncio.Event()
        patience = Patience(stopping, lambda _: stopping.set())
        quarantine = Quarantine(parts.store.work, system_clock)
        ledger = Reluctant(parts.store.ledger, lambda _: Busy("away"))
        native = Native(ledger, quarantine, Limits(), patience)
        with pytest.raises(Stopped):
            await native.log(await native.read(STREAM, [message(1)]))

    asyncio.run(run())
    assert ids(parts) == []


def test_a_broken_ledger_ends_it(parts: Parts) -> None:
    with pytest.raises(Broken):
        take(parts, [message(1)], Reluctant(parts.store.ledger, lambda _: Broken("gone")))


def test_one_event_that_the_ledger_cannot_append_holds_nobody_up(parts: Parts) -> None:
    def answer(events: Sequence[Event]) -> Exception | None:
        return RuntimeError("?") if any(each.id == "e-3" for each in events) else None

    sent = [message(number) for number in range(8)]
    taken, _ = take(parts, sent, Reluctant(parts.store.ledger, answer))
    assert taken == Taken(logged=7, quarantined=1)
    assert ids(parts) == [f"e-{number}" for number in range(8) if number != 3]
    assert kept(parts) == [("kafka:t/0/3", sent[3].body)]


def test_a_ledger_that_can_append_nothing_ends_it_and_fills_no_quarantine(parts: Parts) -> None:
    ledger = Reluctant(parts.store.ledger, lambda _: RuntimeError("?"))
    with pytest.raises(Exception, match="can append nothing"):
        take(parts, [message(1), message(2)], ledger)
    assert kept(parts) == []


def test_a_full_quarantine_is_waited_for(parts: Parts) -> None:
    limits = Limits(quarantine_parcels=1)
    poison = [Carried(place=f"t/0/{at}", lane="t/0", body=b"\xff") for at in range(2)]
    take(parts, poison[:1], limits=limits)

    async def run() -> None:
        stopping = asyncio.Event()
        patience = Patience(stopping, lambda _: stopping.set())
        quarantine = Quarantine(parts.store.work, system_clock, limits)
        native = Native(parts.store.ledger, quarantine, limits, patience)
        with pytest.raises(Stopped):
            await native.log(await native.read(STREAM, poison[1:]))

    asyncio.run(run())
    assert [place for place, _ in kept(parts)] == ["kafka:t/0/0"]
