"""Kafka: batches of records, whose offsets are committed by number after they are logged.

Decides that FastStream's default, which commits first, is not used, and that no commit goes
beyond what was delivered here: offsets are named, for partitions that are still ours. Records of
aborted transactions are not read. While one batch is logged the next is fetched and read. Where
partitions move to another consumer, what is at hand is finished first. A record without a value is
a tombstone; CloudEvents follow the Kafka binding.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Protocol

from aiokafka import TopicPartition  # type: ignore[import-untyped]  # publishes no types
from aiokafka.abc import ConsumerRebalanceListener  # type: ignore[import-untyped]  # the same
from aiokafka.errors import IllegalStateError, KafkaError  # type: ignore[import-untyped]  # the same
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from collector.streams.carried import Carried
from collector.streams.security import addresses, credentials
from collector.streams.source import GRACE_SECONDS, Away, Where, raw, whole
from collector.streams.taking import Stopped

_REVOKED_SECONDS = 10.0
"""For which a group waits for the batch at hand: longer, and it would take us for dead."""
_MOST_BYTES = 16 * 1024 * 1024
"""Of one partition in one answer of a broker."""


class Record(Protocol):
    """What aiokafka gives of a record."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    value: bytes | None
    headers: Sequence[tuple[str, bytes | None]]


class KafkaSource(ConsumerRebalanceListener):  # type: ignore[misc]  # untyped base
    """A `Source` over the topics of one cluster."""

    def __init__(self, where: Where, logger: logging.Logger) -> None:
        self._where = where
        stream = where.stream
        self._broker = KafkaBroker(
            addresses(stream, where.environment),
            security=credentials(stream.security, where.environment),
            client_id=where.consumer,
            consumer_only=True,
            allow_auto_create_topics=False,
            apply_types=False,
            serializer=None,
            graceful_timeout=GRACE_SECONDS,
            logger=logger,
            log_level=logging.DEBUG,
        )
        self._subscriber: Any = self._broker.subscriber(
            *stream.topics,
            batch=True,
            group_id=stream.group,
            max_records=stream.batch,
            max_partition_fetch_bytes=_MOST_BYTES,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            session_timeout_ms=stream.session_seconds * 1000,
            heartbeat_interval_ms=stream.session_seconds * 1000 // 3,
            listener=self,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            parser=whole,
            decoder=raw,
        )
        self._subscriber(self._take)
        self._last: asyncio.Task[None] | None = None
        self._closing = False

    async def open(self) -> None:
        try:
            await self._broker.start()
        except (KafkaError, OSError, TimeoutError) as error:
            with suppress(KafkaError, OSError):
                await self._broker.stop()
            raise Away(f"Kafka: {type(error).__name__}") from error

    async def close(self) -> None:
        self._closing = True
        await self._finish(GRACE_SECONDS)
        with suppress(KafkaError, OSError):
            await self._broker.stop()

    def working(self) -> bool:
        return bool(self._subscriber.running)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Let the batch at hand be committed by the one who logs it."""
        await self._finish(_REVOKED_SECONDS)

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Nothing: a new partition begins where its group has committed."""

    async def _take(self, records: tuple[Record, ...]) -> None:
        """Begin with a batch and wait for the one before it."""
        if self._closing:
            raise Stopped
        before = self._last
        self._last = asyncio.create_task(self._log(records, before))
        if before is not None:
            await before

    async def _log(self, records: tuple[Record, ...], before: asyncio.Task[None] | None) -> None:
        await self._where.deliver([_carried(each) for each in records])
        if before is not None:
            await before
        await self._commit(records)

    async def _finish(self, seconds: float) -> None:
        """Wait for what is at hand, for so long."""
        if self._last is not None:
            done, _ = await asyncio.wait([self._last], timeout=seconds)
            await asyncio.gather(*done, return_exceptions=True)  # whoever delivers knows of them

    async def _commit(self, records: tuple[Record, ...]) -> None:
        """Commit what was delivered; what is not committed comes again and is known by then."""
        consumer = self._subscriber.consumer
        offsets: dict[TopicPartition, int] = {}
        for each in records:
            offsets[TopicPartition(each.topic, each.partition)] = each.offset + 1
        with suppress(KafkaError, IllegalStateError):
            ours = consumer.assignment()
            offsets = {place: offset for place, offset in offsets.items() if place in ours}
            if offsets:
                await consumer.commit(offsets)


def _carried(record: Record) -> Carried:
    headers = tuple((name.encode(), value or b"") for name, value in record.headers)
    lower = {name.lower(): value for name, value in headers}
    content_type = lower.get(b"content-type")
    encoding = lower.get(b"content-encoding")
    return Carried(
        place=f"{record.topic}/{record.partition}/{record.offset}",
        lane=f"{record.topic}/{record.partition}",
        body=record.value,
        headers=headers,
        content_type=None if content_type is None else content_type.decode("latin-1"),
        encoding=None if encoding is None else encoding.decode("latin-1"),
        time_us=max(0, record.timestamp) * 1000,
    )
