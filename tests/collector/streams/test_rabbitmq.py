"""A real broker between sender and ledger: rabbitmq."""

import asyncio
from pathlib import Path

from tests.brokers import Broker
from tests.collector.streams import counted


def test_a_counted_stream_survives_killed_consumer_and_broker(
    rabbitmq: Broker, tmp_path: Path
) -> None:
    counted.survives(rabbitmq, tmp_path)


def test_two_consumers_share_a_group(rabbitmq: Broker, tmp_path: Path) -> None:
    counted.shared(rabbitmq, tmp_path, ordered="false")


def test_nothing_is_acknowledged_before_it_is_durable(rabbitmq: Broker) -> None:
    asyncio.run(counted.acknowledges(rabbitmq))
