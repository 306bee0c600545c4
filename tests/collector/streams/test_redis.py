"""A real broker between sender and ledger: redis."""

import asyncio
from pathlib import Path

from tests.brokers import Broker
from tests.collector.streams import counted


def test_a_counted_stream_survives_killed_consumer_and_broker(
    redis: Broker, tmp_path: Path
) -> None:
    counted.survives(redis, tmp_path)


def test_two_consumers_share_a_group(redis: Broker, tmp_path: Path) -> None:
    counted.shared(redis, tmp_path, ordered="false")


def test_nothing_is_acknowledged_before_it_is_durable(redis: Broker) -> None:
    asyncio.run(counted.acknowledges(redis))


def test_what_is_applied_is_consumed_until_it_is_paused(redis: Broker, tmp_path: Path) -> None:
    counted.follows_what_is_in_force(redis, tmp_path)
