"""Kafka to ledger: `modelwitness consume` over a topic that is full when it starts.

From Apache Kafka's own broker on this machine to SQLite: durable, sealed, indexed, in the tree,
offsets committed. Timed from the first twentieth to the last event, so that starting does not
count. Beside it, in the same run, the bare client reading the same topic and doing nothing.
"""

import asyncio
import socket
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from aiokafka import AIOKafkaConsumer  # type: ignore[import-untyped]  # publishes no types

import modelwitness
from tests import brokers
from tests.benchmarks.bodies import predictions
from tests.benchmarks.figures import Figure
from tests.collector.streams.counted import Ledger, consuming
from tests.collector.streams.wires import KafkaWire, Sent

EVENTS = 120_000
KEYS = 100
BATCH = 2_000
LOOK_SECONDS = 0.02


def run(_: int) -> Iterator[Figure]:
    """Measure where Kafka is installed."""
    if brokers.lacking("kafka"):
        return
    with tempfile.TemporaryDirectory() as folder, brokers.running("kafka", _free_port) as broker:
        wire, ledger = KafkaWire(broker), Ledger(Path(folder) / "data")
        bodies = predictions(EVENTS)
        asyncio.run(wire.create("full"))
        sent = [Sent(f"k{at % KEYS}", body) for at, body in enumerate(bodies)]
        asyncio.run(wire.send("full", sent))
        bare = EVENTS / asyncio.run(_read(broker.address))
        with consuming(Path(folder), ledger.data, broker, "full", batch=str(BATCH)) as process:
            rate = _rate(ledger.data)
            assert process.stop() == 0, process.told()
        yield Figure("Kafka to SQLite, durable and committed", rate, "events/s", bare)


def _rate(data: Path) -> float:
    with modelwitness.opened(data) as parts:
        reader = parts.store.reader
        begun = reader.size()
        while (first := reader.size() - begun) < EVENTS / 20:
            time.sleep(LOOK_SECONDS)
        start = time.perf_counter()
        while reader.size() - begun < EVENTS:
            time.sleep(LOOK_SECONDS)
        return (EVENTS - first) / (time.perf_counter() - start)


async def _read(address: str) -> float:
    consumer = AIOKafkaConsumer("full", bootstrap_servers=address, auto_offset_reset="earliest")
    await consumer.start()
    try:
        count, start = 0, time.perf_counter()
        while count < EVENTS:
            found = await consumer.getmany(timeout_ms=1000, max_records=BATCH)
            count += sum(map(len, found.values()))
        return time.perf_counter() - start
    finally:
        await consumer.stop()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
