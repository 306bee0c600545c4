"""NATS JetStream: messages of a durable pull consumer, acknowledged after they are logged.

Decides how order survives a crash. JetStream gives what was delivered and not acknowledged again
only after a while, behind what is new; so whoever reads alone lets the durable consumer begin
again behind the last gapless acknowledgement, when it starts and whenever the numbers of its
deliveries show that one was lost on the way. (Not where the stream keeps messages by interest:
without its consumer it would drop them. There order is kept only while nothing fails.)

FastStream gives the connection; batches are pulled here, since its own loop gives up what it has
gathered when the client's time is over, for the server to deliver again half a minute later.
"""

import asyncio
import logging
from contextlib import suppress
from typing import Any

from faststream.nats import NatsBroker
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy, RetentionPolicy
from nats.js.errors import NotFoundError

from collector.streams.carried import Carried
from collector.streams.security import addresses, credentials
from collector.streams.source import GRACE_SECONDS, Away, Where

_COLLECTED_SECONDS = 0.2
"""For which a batch is gathered."""
_ACKNOWLEDGED_SECONDS = 30.0
"""After which a message that was not acknowledged is given to another consumer of the group."""
_errors = (NatsError, OSError, TimeoutError)


class JetStreamSource:
    """A `Source` over subjects of one NATS system."""

    def __init__(self, where: Where, logger: logging.Logger) -> None:
        self._where = where
        self._stream = where.stream
        self._broker = NatsBroker(
            addresses(where.stream, where.environment),
            security=credentials(where.stream.security, where.environment),
            name=where.consumer,
            max_reconnect_attempts=-1,
            reconnect_time_wait=1,
            logger=logger,
            log_level=logging.DEBUG,
        )
        self._pulling: list[asyncio.Task[None]] = []
        self._lost = False
        self._closing = False

    async def open(self) -> None:
        try:
            client = await self._broker.connect()
            self._jetstream = client.jetstream()
            for subject in self._stream.topics:
                await self._subscribe(subject)
        except _errors as error:
            await self.close()
            raise Away(f"NATS: {type(error).__name__}") from error

    async def close(self) -> None:
        self._closing = True
        if self._pulling:
            _, late = await asyncio.wait(self._pulling, timeout=GRACE_SECONDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*self._pulling, return_exceptions=True)
        with suppress(*_errors):
            await self._broker.stop()

    def working(self) -> bool:
        return not self._lost and not any(each.done() for each in self._pulling)

    async def _subscribe(self, subject: str) -> None:
        name = await self._jetstream.find_stream_name_by_subject(subject)
        durable = self._durable(subject)
        following = await self._reset(name, durable) if self._stream.ordered else None
        subscription = await self._jetstream.pull_subscribe(
            subject,
            durable=durable,
            stream=name,
            config=ConsumerConfig(
                ack_wait=_ACKNOWLEDGED_SECONDS, max_ack_pending=4 * self._stream.batch
            ),
        )
        pulling = self._pull(subscription, _Sequence(following))
        self._pulling.append(asyncio.create_task(pulling))

    async def _pull(self, subscription: Any, sequence: "_Sequence") -> None:
        """Log one batch after the other; ends where another source has to take over."""
        try:
            while not self._closing and not self._lost:
                try:
                    found = await subscription.fetch(self._stream.batch, _COLLECTED_SECONDS)
                except TimeoutError:
                    continue  # nothing came
                await self._log(found, sequence)
        except _errors:
            self._lost = True
        finally:
            with suppress(*_errors):  # the connection would wait for what nobody fetches
                await subscription.unsubscribe()

    async def _log(self, found: list[Msg], sequence: "_Sequence") -> None:
        messages = sequence.gapless(found)
        if messages:
            await self._where.deliver([_carried(each) for each in messages])
            with suppress(*_errors):  # else they come again, and are known by then
                for each in messages:
                    await each.ack()
        if len(messages) < len(found):
            self._lost = True

    def _durable(self, subject: str) -> str:
        """The name of the consumer, which may hold no dot and is one for each subject."""
        if len(self._stream.topics) == 1:
            return self._stream.group
        plain = subject.replace(".", "_").replace("*", "any").replace(">", "all")
        return f"{self._stream.group}-{plain}"

    async def _reset(self, stream: str, durable: str) -> int | None:
        """Let the consumer begin where nothing before is missing.

        Returns the number that its next delivery must have, None where order cannot be kept.
        """
        try:
            found = await self._jetstream.consumer_info(stream, durable)
        except NotFoundError:
            return 1
        retention = (await self._jetstream.stream_info(stream)).config.retention
        if retention == RetentionPolicy.INTEREST:
            return None
        if not found.num_ack_pending:
            return (found.delivered.consumer_seq if found.delivered else 0) + 1
        config = found.config
        floor = found.ack_floor.stream_seq if found.ack_floor else 0
        if retention == RetentionPolicy.WORK_QUEUE:
            config = config.evolve(deliver_policy=DeliverPolicy.ALL)
        else:
            config = config.evolve(
                deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=floor + 1
            )
        await self._jetstream.delete_consumer(stream, durable)
        await self._jetstream.add_consumer(stream, config)
        return 1


class _Sequence:
    """The numbers of one consumer's deliveries, which follow each other unless one was lost."""

    def __init__(self, following: int | None) -> None:
        self._following = following

    def gapless(self, messages: list[Msg]) -> list[Msg]:
        """The messages up to the first before which one is missing; all where nobody counts."""
        if self._following is None:
            return messages
        found = []
        for each in messages:
            if each.metadata.sequence.consumer != self._following:
                break
            self._following += 1
            found.append(each)
        return found


def _carried(message: Msg) -> Carried:
    headers = tuple(
        (name.encode(), value.encode()) for name, value in (message.headers or {}).items()
    )
    lower = {name.lower(): value.decode("latin-1") for name, value in headers}
    place = message.metadata
    return Carried(
        place=f"{place.stream}/{message.subject}/{place.sequence.stream}",
        lane=place.stream,
        body=message.data,
        headers=headers,
        content_type=lower.get(b"content-type"),
        encoding=lower.get(b"content-encoding"),
        time_us=int(place.timestamp.timestamp() * 1_000_000),
    )
