"""A counted stream through a consumer that is killed and a broker that is restarted.

What is asked of every broker: at the end the ledger holds what was sent, nothing twice, each key
in its order; what is no event is in quarantine with its bytes; and nothing is left to acknowledge.
"""

import asyncio
import json
import logging
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

import modelwitness
from audit.clock import system_clock
from collector.quarantine import Quarantine
from collector.streams.applied import apply_text
from collector.streams.carried import Carried
from collector.streams.consuming import SOURCES
from collector.streams.declaration import Stream
from collector.streams.source import Deliver, Source, Where
from collector.streams.taking import Stopped
from tests.brokers import Broker
from tests.collector.streams.wires import WIRES, Sent, Wire

EVENTS, KEYS = 5_000, 20
GROUP = "modelwitness"
WAIT_SECONDS = 60
POISON = [b"\xff\xfe no text at all", b'{"id": "half', b'{"id": "p", "time": "yesterday"}']


def events(count: int, first: int = 0) -> list[Sent]:
    """Predictions whose key and number within it stand in their inputs."""
    return [_event(number) for number in range(first, first + count)]


def _event(number: int) -> Sent:
    key, place = f"k{number % KEYS}", number // KEYS
    body = {"id": f"e-{number}", "time": "2026-01-01T00:00:00Z", "output": 1}
    body |= {"model": {"name": "m", "version": "1"}, "inputs": {"key": key, "place": place}}
    return Sent(key, json.dumps(body).encode())


class Ledger:
    """What the store of a test holds, looked at from beside the process that writes it."""

    def __init__(self, data: Path) -> None:
        self.data = data
        with modelwitness.opened(data):
            pass  # made now, so that consumers find it

    def size(self) -> int:
        """Committed entries."""
        with modelwitness.opened(self.data) as parts:
            return parts.store.reader.size()

    @contextmanager
    def watched(self) -> Iterator[Callable[[int, "Consuming"], None]]:
        """A function that waits until so many entries have been committed since now."""
        with modelwitness.opened(self.data) as parts:
            begun = parts.store.reader.size()

            def until(size: int, process: "Consuming") -> None:
                def reached() -> bool:
                    process.require_running()
                    return parts.store.reader.size() - begun >= size

                wait_for(reached, f"{size} entries")

            yield until

    def bodies(self) -> list[dict[str, object]]:
        """All predictions in the order of the ledger."""
        with modelwitness.opened(self.data) as parts:
            reader = parts.store.reader
            opened = reader.open(range(reader.size()))
            return [
                json.loads(each.body) for each in opened if each.leaf.type == "PredictionLogged"
            ]

    def quarantined(self) -> list[tuple[bytes, str, dict[bytes, bytes]]]:
        """Body, place and headers of all that is kept."""
        with modelwitness.opened(self.data) as parts:
            quarantine = Quarantine(parts.store.work, system_clock)
            kept = [quarantine.get(each.id) for each in quarantine.list()[0]]
        return [
            (each.body, each.place, dict(each.headers)) for one in kept for each in one.deliveries
        ]


class Consuming:
    """`modelwitness consume` over one declaration."""

    def __init__(self, folder: Path, data: Path, broker: Broker, topic: str, **more: str) -> None:
        lines = {
            "kind": "stream",
            "name": topic,
            "broker": broker.name,
            "address": broker.address,
            "topics": f"[{topic}]",
            "group": GROUP,
            "integration": "scoring",
            "format": "predictions",
            "session": "2s",
            **more,
        }
        self.text = "".join(f"{key}: {value}\n" for key, value in lines.items())
        self._what = str(folder / f"{topic}.yaml")
        Path(self._what).write_text(self.text)
        self._data = data
        self._log = folder / f"{topic}-{len(list(folder.iterdir()))}.log"
        self._log.touch()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; it reads soon after."""
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    sys.executable, "-m", "modelwitness", "consume", self._what,
                    "--data", self._data,
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip

    def start_declared(self) -> None:
        """Start over what is in force, whatever that is."""
        self._what = "--declared"
        self.start()

    def kill(self) -> None:
        """kill -9 of the consumer and of the process that holds its ledger."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def stop(self) -> int:
        """SIGTERM; returns the status."""
        assert self._process is not None
        self._process.terminate()
        status = self._process.wait(60)
        self._process = None
        return status

    def require_running(self) -> None:
        """Fail with what it said where it has ended by itself."""
        assert self._process is not None
        assert self._process.poll() is None, self.told()

    def told(self) -> str:
        """All it has said."""
        return self._log.read_text()

    def await_told(self, text: str) -> None:
        """Wait until it has said so."""

        def said() -> bool:
            self.require_running()
            return text in self.told()

        wait_for(said, text)

    def messages(self) -> int:
        """How many messages it has taken, as it said when it stopped."""
        return int(re.findall(r": (\d+) messages,", self.told())[-1])


@contextmanager
def consuming(
    folder: Path, data: Path, broker: Broker, topic: str, **more: str
) -> Iterator[Consuming]:
    """A running consumer; killed at the end if it was not stopped."""
    process = Consuming(folder, data, broker, topic, **more)
    try:
        process.start()
        yield process
    finally:
        process.kill()


def survives(broker: Broker, folder: Path) -> None:
    """The counted stream: a consumer killed -9 and the broker restarted in the middle.

    Two consumers of one group: in Kafka they share the partitions, elsewhere one stands by.
    """
    wire, ledger = WIRES[broker.name](broker), Ledger(folder / "data")
    asyncio.run(wire.create("counted"))
    poison = [Sent("k0", body, {"origin": f"p{at}"}) for at, body in enumerate(POISON)]
    sent = events(EVENTS)
    with (
        ledger.watched() as until,
        consuming(folder, ledger.data, broker, "counted", batch="100") as first,
    ):
        first.await_told(": reads ")
        with consuming(folder, ledger.data, broker, "counted", batch="100") as second:
            second.await_told(": reads " if broker.name == "kafka" else ": stands by ")
            with sending(wire, "counted", [*sent[:3_000], *poison, *sent[3_000:]]):
                until(600, first)
                first.kill()
                until(2_000, second)
                broker.kill()
                broker.start()
                until(EVENTS, second)
            settled(wire, "counted")
            assert second.stop() == 0, second.told()
            assert second.messages() > 0
    assert asyncio.run(wire.unsettled("counted", GROUP)) == 0
    require_equal(ledger, EVENTS)
    kept = ledger.quarantined()
    assert {(body, headers[b"origin"]) for body, _, headers in kept} == {
        (each.body, each.headers["origin"].encode()) for each in poison
    }
    assert all(place.startswith(f"{broker.name}:counted/") for _, place, _ in kept)


def shared(broker: Broker, folder: Path, **more: str) -> None:
    """Two consumers of one group that both read, and both log their part."""
    wire, ledger = WIRES[broker.name](broker), Ledger(folder / "data")
    asyncio.run(wire.create("shared"))
    with (
        ledger.watched() as until,
        consuming(folder, ledger.data, broker, "shared", batch="20", **more) as first,
        consuming(folder, ledger.data, broker, "shared", batch="20", **more) as second,
    ):
        first.await_told(": reads ")
        second.await_told(": reads ")
        with sending(wire, "shared", events(2_000)):
            until(2_000, first)
        settled(wire, "shared")
        assert (first.stop(), second.stop()) == (0, 0), first.told() + second.told()
    times = Counter(str(body["id"]) for body in ledger.bodies())
    assert times == Counter(f"e-{number}" for number in range(2_000))
    assert first.messages() > 0
    assert second.messages() > 0
    assert first.messages() + second.messages() >= 2_000


def cloudevents(broker: Broker, folder: Path) -> None:
    """Binary mode with values as they are, and a tombstone, through the real broker."""
    wire, ledger, name = WIRES[broker.name](broker), Ledger(folder / "data"), "Zoë 50%25"
    attributes = {
        "ce_specversion": "1.0",
        "ce_id": "c-1",
        "ce_source": "/scoring",
        "ce_type": "modelwitness.PredictionLogged.v1",
        "ce_time": "2026-01-01T00:00:00Z",
        "ce_note": name,
        "content-type": "application/json",
    }
    data = json.dumps({"model": {"name": "m", "version": "1"}, "inputs": {}, "output": 1}).encode()
    asyncio.run(wire.create("clouds"))
    asyncio.run(wire.send("clouds", [Sent("k", None), Sent("k", data, attributes)]))
    with consuming(folder, ledger.data, broker, "clouds", format="cloudevents") as process:
        with ledger.watched() as until:
            until(1, process)
        settled(wire, "clouds")
        assert process.stop() == 0, process.told()
    [body] = ledger.bodies()
    assert body["id"] == "c-1"
    assert isinstance(body["cloudevent"], dict)
    assert body["cloudevent"]["note"] == name
    assert ledger.quarantined() == []
    assert "1 without content" in process.told()


def follows_what_is_in_force(broker: Broker, folder: Path) -> None:
    """`consume --declared` begins with what is applied, and ends with what is paused."""
    wire, ledger = WIRES[broker.name](broker), Ledger(folder / "data")
    asyncio.run(wire.create("applied"))
    asyncio.run(wire.send("applied", events(100)))
    process = Consuming(folder, ledger.data, broker, "applied")

    def apply(more: str) -> None:
        with modelwitness.opened(ledger.data) as parts:
            apply_text(parts.store, process.text + more, "test", clock=system_clock)

    try:
        process.start_declared()
        process.await_told("process ")
        with ledger.watched() as until:
            apply("")
            until(100, process)
        apply("paused: true\n")
        wait_for(lambda: "ends" in process.told(), "the end of what is paused")
        assert process.stop() == 0, process.told()
    finally:
        process.kill()
    require_equal(ledger, 100)


async def acknowledges(broker: Broker) -> None:
    """A source acknowledges after `deliver` returned, never before, and not if it failed."""
    wire, count = WIRES[broker.name](broker), 50
    await wire.create("acked")
    await wire.send("acked", events(count))
    stream = stream_of(broker, "acked")

    async def fails(_: Sequence[Carried]) -> None:
        reached.set()
        raise Stopped

    reached = asyncio.Event()
    async with source_of(stream, fails):
        await asyncio.wait_for(reached.wait(), WAIT_SECONDS)
    assert await wire.unsettled("acked", GROUP) == count

    open_inside, places = [], list[str]()

    async def takes(messages: Sequence[Carried]) -> None:
        open_inside.append(await wire.unsettled("acked", GROUP))
        places.extend(each.place for each in messages)

    async with source_of(stream, takes):
        deadline = time.monotonic() + WAIT_SECONDS
        while len(set(places)) < count or await wire.unsettled("acked", GROUP):
            assert time.monotonic() < deadline, "not all of it came again"
            await asyncio.sleep(0.05)
    assert await wire.unsettled("acked", GROUP) == 0
    if broker.name != "rabbitmq":  # which tells nobody how many it has given out
        assert open_inside[0] == count


def stream_of(broker: Broker, topic: str) -> Stream:
    """A declaration for a source that is opened here."""
    return Stream(
        name=topic, broker=broker.name, address=broker.address, topics=(topic,), group=GROUP,
        integration="scoring", format="predictions", session_seconds=2,
    )  # fmt: skip


async def nothing(_: Sequence[Carried]) -> None:
    """Take a batch and do nothing with it."""


@asynccontextmanager
async def source_of(
    stream: Stream, deliver: Deliver, environment: Mapping[str, str] = MappingProxyType({})
) -> AsyncIterator[None]:
    """An open source, outside any process of its own."""
    module, name = SOURCES[stream.broker]
    make: Callable[[Where, logging.Logger], Source] = getattr(import_module(module), name)
    source = make(Where(stream, environment, "test", deliver), logging.getLogger("test"))
    await source.open()
    try:
        yield
    finally:
        await source.close()


@contextmanager
def sending(wire: Wire, topic: str, messages: Sequence[Sent]) -> Iterator[None]:
    """Messages on their way beside the block; all confirmed when it ends well."""
    thread = threading.Thread(
        target=lambda: asyncio.run(wire.send(topic, messages)), name="sending", daemon=True
    )
    thread.start()
    yield
    thread.join(WAIT_SECONDS)
    assert not thread.is_alive(), "not everything could be sent"


def require_equal(ledger: Ledger, count: int) -> None:
    """The ledger holds each event once, and each key in its order."""
    bodies = ledger.bodies()
    times = Counter(str(body["id"]) for body in bodies)
    assert times == Counter(f"e-{number}" for number in range(count))
    places: dict[str, list[int]] = defaultdict(list)
    for body in bodies:
        inputs = body["inputs"]
        assert isinstance(inputs, dict)
        places[inputs["key"]].append(inputs["place"])
    assert {key: found for key, found in places.items() if found != sorted(found)} == {}


def settled(wire: Wire, topic: str) -> None:
    """Wait until the group has acknowledged everything."""
    wait_for(lambda: asyncio.run(wire.unsettled(topic, GROUP)) == 0, "everything acknowledged")


def wait_for(met: Callable[[], bool], what: str) -> None:
    """Look until it is so, for a time that no healthy machine needs."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not met():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.01)
