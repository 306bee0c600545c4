"""Redis Streams: entries of a consumer group, acknowledged with XACK after they are logged.

Decides that a new group begins with the oldest entry, and that what a consumer left behind is
taken first, in its order, before anything new: at once where one consumer reads at a time, else
after it was idle for a minute. Redis takes an entry for delivered whose answer was lost with the
connection, and never says so; whoever reads alone therefore compares what is pending with what is
at hand, and begins anew where something is missing. Entries have fields and no body: one field,
`data` unless declared otherwise, is the body, the others are its headers.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from faststream import AckPolicy
from faststream.redis import RedisBroker, StreamSub
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from collector.streams.carried import Carried
from collector.streams.security import addresses, credentials
from collector.streams.source import GRACE_SECONDS, Away, Where, raw, whole

_ABANDONED_MS = 60_000
_LOOK_SECONDS = 2.0
"""Between looks for pending entries while nothing comes."""
_CONTENT_TYPE, _ENCODING = b"content-type", b"content-encoding"
_errors = (RedisError, OSError, TimeoutError)


class RedisSource:
    """A `Source` over the streams of one Redis."""

    def __init__(self, where: Where, logger: logging.Logger) -> None:
        self._where = where
        self._stream = stream = where.stream
        # One name for whoever reads alone: what it left behind is then its own.
        self._consumer = "modelwitness" if stream.ordered else where.consumer
        self._broker = RedisBroker(
            addresses(stream, where.environment)[0],
            security=credentials(stream.security, where.environment),
            apply_types=False,
            serializer=None,  # type: ignore[arg-type]  # its own default for "no types"
            graceful_timeout=GRACE_SECONDS,
            logger=logger,
            log_level=logging.DEBUG,
        )
        self._subscribers = [self._subscribe(topic) for topic in stream.topics]
        self._watching: asyncio.Task[None] | None = None
        self._at_hand = asyncio.Lock()
        self._lost = False

    async def open(self) -> None:
        try:
            self._client: Redis = await self._broker.connect()
            for topic in self._stream.topics:
                await self._prepare(topic)
                await self._claim(topic, 0 if self._stream.ordered else _ABANDONED_MS)
            await self._broker.start()
        except _errors as error:
            await self._broker.stop()
            raise Away(f"Redis: {type(error).__name__}") from error
        watch = self._look_on if self._stream.ordered else self._claim_on
        self._watching = asyncio.create_task(watch())

    async def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        with suppress(*_errors):
            await self._broker.stop()

    def working(self) -> bool:
        return not self._lost and all(each.running for each in self._subscribers)

    def _subscribe(self, topic: str) -> Any:
        subscriber = self._broker.subscriber(
            stream=StreamSub(
                topic,
                group=self._stream.group,
                consumer=self._consumer,
                batch=True,
                max_records=self._stream.batch,
                polling_interval=500,
            ),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            parser=whole,
            decoder=raw,
        )
        subscriber(self._take)
        return subscriber

    async def _take(self, message: Mapping[str, Any]) -> None:
        """One batch as FastStream read it."""
        topic, entries = (
            message["channel"],
            list(zip(message["message_ids"], message["data"], strict=True)),
        )
        async with self._at_hand:
            if self._stream.ordered and await self._oldest(topic) != entries[0][0]:
                self._lost = True
            if not self._lost:
                await self._log(topic, entries)

    async def _log(self, topic: str, entries: list[tuple[bytes, dict[bytes, bytes]]]) -> None:
        await self._where.deliver([self._carried(topic, *entry) for entry in entries])
        try:
            await self._client.xack(topic, self._stream.group, *(id for id, _ in entries))
        except _errors:
            self._lost = True  # they are claimed anew, and known by then

    async def _prepare(self, topic: str) -> None:
        try:
            await self._client.xgroup_create(topic, self._stream.group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _claim(self, topic: str, idle_ms: int) -> None:
        """Take what consumers of the group were given and did not acknowledge."""
        start: bytes = b"0-0"
        while True:
            start, entries, *_ = await self._client.xautoclaim(
                topic, self._stream.group, self._consumer, idle_ms, start, self._stream.batch
            )
            found = [entry for entry in entries if entry[1] is not None]
            if found:
                await self._log(topic, found)
            if start == b"0-0":
                return

    async def _oldest(self, topic: str) -> bytes | None:
        """The oldest entry that was given to the group and not acknowledged; None if unknown."""
        try:
            found = await self._client.xpending(topic, self._stream.group)
        except _errors:
            return None
        oldest: bytes | None = found["min"]
        return oldest

    async def _look_on(self) -> None:
        """Notice entries that were lost while nothing else comes."""
        before: dict[str, bytes | None] = {}
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            async with self._at_hand:
                for topic in self._stream.topics:
                    oldest = await self._oldest(topic)
                    if oldest is not None and oldest == before.get(topic):
                        self._lost = True
                    before[topic] = oldest

    async def _claim_on(self) -> None:
        while True:
            await asyncio.sleep(_ABANDONED_MS / 1000)
            for topic in self._stream.topics:
                with suppress(*_errors):
                    await self._claim(topic, _ABANDONED_MS)

    def _carried(self, topic: str, id: bytes, fields: dict[bytes, bytes]) -> Carried:
        name = self._stream.field.encode()
        headers = tuple((key, value) for key, value in fields.items() if key != name)
        lower = {key.lower(): value for key, value in headers}
        millis = id.partition(b"-")[0]
        return Carried(
            place=f"{topic}/{id.decode()}",
            lane=topic,
            body=fields.get(name, b""),
            headers=headers,
            content_type=_text(lower.get(_CONTENT_TYPE)),
            encoding=_text(lower.get(_ENCODING)),
            time_us=int(millis) * 1000 if millis.isdigit() else 0,
        )


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("latin-1")
