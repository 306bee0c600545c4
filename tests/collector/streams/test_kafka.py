"""A real broker between sender and ledger: kafka."""

import asyncio
from pathlib import Path

from tests.brokers import Broker
from tests.collector.streams import counted


def test_a_counted_stream_survives_killed_consumer_and_broker(
    kafka: Broker, tmp_path: Path
) -> None:
    counted.survives(kafka, tmp_path)


def test_two_consumers_share_a_group(kafka: Broker, tmp_path: Path) -> None:
    counted.shared(kafka, tmp_path)


def test_nothing_is_acknowledged_before_it_is_durable(kafka: Broker) -> None:
    asyncio.run(counted.acknowledges(kafka))
