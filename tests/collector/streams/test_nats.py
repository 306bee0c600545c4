"""A real broker between sender and ledger: nats."""

import asyncio
from pathlib import Path

from tests.brokers import Broker
from tests.collector.streams import counted


def test_a_counted_stream_survives_killed_consumer_and_broker(nats: Broker, tmp_path: Path) -> None:
    counted.survives(nats, tmp_path)


def test_two_consumers_share_a_group(nats: Broker, tmp_path: Path) -> None:
    counted.shared(nats, tmp_path, ordered="false")


def test_nothing_is_acknowledged_before_it_is_durable(nats: Broker) -> None:
    asyncio.run(counted.acknowledges(nats))
