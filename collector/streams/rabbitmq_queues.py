"""RabbitMQ: messages of queues, acknowledged after they are logged.

Decides that messages, which come one by one, are logged in batches: all that have arrived, in the
order of their delivery tags, up to twice the batch unacknowledged. Nothing is ever rejected or
requeued here: RabbitMQ puts what a lost consumer held back where it stood, and requeueing alone
would put it behind what is already at hand.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec
from aio_pika.abc import AbstractIncomingMessage
from aiormq.exceptions import AMQPError, ChannelInvalidStateError
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitQueue

from collector.streams.carried import Carried, Headers
from collector.streams.security import addresses, credentials
from collector.streams.source import GRACE_SECONDS, Away, Where, raw, whole

_errors = (AMQPError, ChannelInvalidStateError, OSError, TimeoutError)


class _Waiting(NamedTuple):
    message: AbstractIncomingMessage
    logged: "asyncio.Future[None]"


class RabbitSource:
    """A `Source` over queues of one RabbitMQ."""

    def __init__(self, where: Where, logger: logging.Logger) -> None:
        self._where = where
        self._broker = RabbitBroker(
            addresses(where.stream, where.environment)[0],
            security=credentials(where.stream.security, where.environment),
            reconnect_interval=1.0,
            default_channel=Channel(prefetch_count=2 * where.stream.batch),
            apply_types=False,
            serializer=None,
            graceful_timeout=GRACE_SECONDS,
            logger=logger,
            log_level=logging.DEBUG,
        )
        self._queues = [_Queue(topic, where) for topic in where.stream.topics]
        self._subscribers = [self._subscribe(queue) for queue in self._queues]

    async def open(self) -> None:
        try:
            for queue in self._queues:
                queue.start()
            await self._broker.start()
        except _errors as error:
            await self.close()
            raise Away(f"RabbitMQ: {type(error).__name__}") from error

    async def close(self) -> None:
        with suppress(*_errors):
            await self._broker.stop()
        for queue in self._queues:
            await queue.stop()

    def working(self) -> bool:
        return all(each.running for each in self._subscribers)

    def _subscribe(self, queue: "_Queue") -> Any:
        subscriber = self._broker.subscriber(
            RabbitQueue(queue.name, declare=False),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            parser=whole,
            decoder=raw,
        )
        subscriber(queue.take)
        return subscriber


class _Queue:
    """Gathers the messages of one queue into batches."""

    def __init__(self, name: str, where: Where) -> None:
        self.name = name
        self._where = where
        self._arrived: deque[_Waiting] = deque()
        self._some = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to log what arrives."""
        self._task = asyncio.create_task(self._log_all())

    async def stop(self) -> None:
        """End; what is still at hand stays unacknowledged."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        while self._arrived:
            self._arrived.popleft().logged.cancel()

    async def take(self, message: AbstractIncomingMessage) -> None:
        """Wait until one message is logged and acknowledged."""
        waiting = _Waiting(message, asyncio.get_running_loop().create_future())
        self._arrived.append(waiting)
        self._some.set()
        await waiting.logged

    async def _log_all(self) -> None:
        while True:
            await self._some.wait()
            count = min(len(self._arrived), self._where.stream.batch)
            batch = [self._arrived.popleft() for _ in range(count)]
            if not self._arrived:
                self._some.clear()
            await self._log(batch)

    async def _log(self, batch: list[_Waiting]) -> None:
        failure: Exception | None = None
        try:
            await self._where.deliver([_carried(self.name, each.message) for each in batch])
            with suppress(*_errors):  # what is not acknowledged comes again and is known by then
                for each in batch:
                    await each.message.ack()
        except Exception as error:  # noqa: BLE001 - each of those who wait is told
            failure = error
        for each in batch:
            if each.logged.done():
                continue
            if failure is None:
                each.logged.set_result(None)
            else:
                each.logged.set_exception(failure)


def _carried(queue: str, message: AbstractIncomingMessage) -> Carried:
    sent = message.timestamp
    return Carried(
        place=f"{queue}/{message.exchange}/{message.routing_key}/{message.delivery_tag}",
        lane=queue,
        body=message.body,
        headers=_headers(message.headers),
        content_type=message.content_type,
        encoding=message.content_encoding,
        time_us=0 if sent is None else int(sent.timestamp() * 1_000_000),
    )


def _headers(found: Mapping[str, Any]) -> Headers:
    """Values of AMQP are typed: text and bytes as they are, others as JSON."""
    return tuple((name.encode(), _bytes(value)) for name, value in found.items())


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    return msgspec.json.encode(value, enc_hook=str)
