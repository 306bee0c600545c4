"""NATS JetStream: messages of a durable pull consumer, acknowledged after they are logged.

Decides how order survives a crash. JetStream gives what was delivered and not acknowledged again
only after a while, behind what is new; so whoever reads alone lets the durable consumer begin
again behind the last gapless acknowledgement, when it starts and whenever the numbers of its
deliveries show that one was lost on the way. (Not where the stream keeps messages by interest:
without its consumer it would drop them. There order is kept only while nothing fails.)
"""

import logging
from contextlib import suppress
from typing import Any

from faststream import AckPolicy
from faststream.nats import JStream, NatsBroker, PullSub
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import ConsumerConfig, DeliverPolicy, RetentionPolicy
from nats.js.errors import NotFoundError

from collector.streams.carried import Carried
from collector.streams.security import addresses, credentials
from collector.streams.source import GRACE_SECONDS, Away, Where, raw, whole

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
            apply_types=False,
            serializer=None,
            graceful_timeout=GRACE_SECONDS,
            logger=logger,
            log_level=logging.DEBUG,
        )
        self._subscribers: list[Any] = []
        self._lost = False

    async def open(self) -> None:
        try:
            client = await self._broker.connect()
            self._jetstream = client.jetstream()
            for subject in self._stream.topics:
                await self._subscribe(subject)
            await self._broker.start()
        except _errors as error:
            await self.close()
            raise Away(f"NATS: {type(error).__name__}") from error

    async def close(self) -> None:
        with suppress(*_errors):
            await self._broker.stop()

    def working(self) -> bool:
        return not self._lost and all(each.running for each in self._subscribers)

    async def _subscribe(self, subject: str) -> None:
        name = await self._jetstream.find_stream_name_by_subject(subject)
        durable = self._durable(subject)
        following = await self._reset(name, durable) if self._stream.ordered else None
        subscriber: Any = self._broker.subscriber(
            subject,
            stream=JStream(name, declare=False),
            durable=durable,
            config=ConsumerConfig(
                ack_wait=_ACKNOWLEDGED_SECONDS, max_ack_pending=4 * self._stream.batch
            ),
            pull_sub=PullSub(self._stream.batch, _COLLECTED_SECONDS, batch=True),
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            parser=whole,
            decoder=raw,
        )
        subscriber(_Sequence(self, following).take)
        self._subscribers.append(subscriber)

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

    async def log(self, messages: list[Msg]) -> None:
        """Deliver a batch, then acknowledge it."""
        await self._where.deliver([_carried(each) for each in messages])
        with suppress(*_errors):  # what is not acknowledged comes again and is known by then
            for each in messages:
                await each.ack()

    def give_up(self) -> None:
        """Ask for a new source: a delivery was lost."""
        self._lost = True


class _Sequence:
    """The deliveries of one consumer, whose numbers follow each other unless one was lost."""

    def __init__(self, source: JetStreamSource, following: int | None) -> None:
        self._source = source
        self._following = following

    async def take(self, messages: list[Msg]) -> None:
        whole = []
        for each in messages:
            if self._following is not None:
                if each.metadata.sequence.consumer != self._following:
                    self._source.give_up()
                    break
                self._following += 1
            whole.append(each)
        if whole:
            await self._source.log(whole)


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
