"""A real broker between sender and ledger: kafka."""

import asyncio
from pathlib import Path

import pytest
from msgspec.structs import replace

from collector.streams.declaration import Security
from collector.streams.source import Away
from tests.brokers import Broker, KafkaServer
from tests.collector.streams import counted
from tests.collector.streams.wires import KafkaWire


def test_a_counted_stream_survives_killed_consumer_and_broker(
    kafka: Broker, tmp_path: Path
) -> None:
    counted.survives(kafka, tmp_path)


def test_two_consumers_share_a_group(kafka: Broker, tmp_path: Path) -> None:
    counted.shared(kafka, tmp_path)


def test_nothing_is_acknowledged_before_it_is_durable(kafka: Broker) -> None:
    asyncio.run(counted.acknowledges(kafka))


def test_cloudevents_and_tombstones_come_in_by_the_kafka_binding(
    kafka: Broker, tmp_path: Path
) -> None:
    counted.cloudevents(kafka, tmp_path)


def test_an_account_by_reference_opens_a_closed_listener(kafka: Broker) -> None:
    assert isinstance(kafka, KafkaServer)
    environment = {"USER_NAME": "witness", "RIGHT": "secret", "WRONG": "guess"}

    async def opens(password: str) -> None:
        security = Security(username="env:USER_NAME", password=password)
        stream = replace(
            counted.stream_of(kafka, "closed"), address=kafka.closed, security=security
        )
        async with counted.source_of(stream, counted.nothing, environment):
            pass

    asyncio.run(KafkaWire(kafka).create("closed"))
    asyncio.run(opens("env:RIGHT"))
    with pytest.raises(Away):
        asyncio.run(opens("env:WRONG"))
