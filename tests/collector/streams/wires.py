"""The other end of each broker, for tests: make a topic, send and be sure, ask what is settled.

Hides client libraries. `send` returns when the broker has confirmed all messages, in their order;
where the broker goes away it sends again, from the first that was not confirmed, so that a message
may stand there twice and never out of order.
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from types import MappingProxyType
from typing import Any, NamedTuple

import aio_pika
import nats
import redis.asyncio
from aiokafka import AIOKafkaProducer, TopicPartition  # type: ignore[import-untyped]  # no types
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped]  # the same
from aiormq.exceptions import AMQPError, ChannelInvalidStateError
from nats.errors import Error as NatsError

from tests.brokers import Broker

CHUNK = 200
PARTITIONS = 3


class Sent(NamedTuple):
    """A message; `body` None is a tombstone, which only Kafka has."""

    key: str
    body: bytes | None
    headers: Mapping[str, str] = MappingProxyType({})


class Wire(ABC):
    """A client of one running broker."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker

    @abstractmethod
    async def create(self, topic: str) -> None:
        """Make an empty topic, queue, subject or stream."""

    @abstractmethod
    async def send(self, topic: str, messages: Sequence[Sent]) -> None:
        """Send in order, until all is confirmed."""

    @abstractmethod
    async def unsettled(self, topic: str, group: str) -> int:
        """How many messages the group has not acknowledged."""


class KafkaWire(Wire):
    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[Any]:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.broker.address)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    async def create(self, topic: str) -> None:
        async with self._admin() as admin:
            await admin.create_topics([NewTopic(topic, PARTITIONS, 1)])

    async def send(self, topic: str, messages: Sequence[Sent]) -> None:
        # An idempotent producer repeats by itself what was not confirmed, in order.
        producer = AIOKafkaProducer(
            bootstrap_servers=self.broker.address, enable_idempotence=True, linger_ms=5
        )
        await producer.start()
        try:
            confirmed = [
                await producer.send(
                    topic,
                    each.body,
                    each.key.encode(),
                    headers=[(name, value.encode()) for name, value in each.headers.items()],
                )
                for each in messages
            ]
            await asyncio.gather(*confirmed)
        finally:
            await producer.stop()

    async def unsettled(self, topic: str, group: str) -> int:
        from aiokafka import AIOKafkaConsumer

        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        async with self._admin() as admin:
            committed = await admin.list_consumer_group_offsets(group)
        consumer = AIOKafkaConsumer(bootstrap_servers=self.broker.address)
        await consumer.start()
        try:
            ends = await consumer.end_offsets(places)
        finally:
            await consumer.stop()
        done = sum(max(0, committed[place].offset) for place in places if place in committed)
        return int(sum(ends.values()) - done)


class RabbitWire(Wire):
    @asynccontextmanager
    async def _channel(self) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
        connection = await aio_pika.connect(f"amqp://{self.broker.address}")
        async with connection:
            yield await connection.channel()

    async def create(self, topic: str) -> None:
        async with self._channel() as channel:
            await channel.declare_queue(topic, durable=True)

    async def send(self, topic: str, messages: Sequence[Sent]) -> None:
        async def chunk(part: Sequence[Sent]) -> None:
            async with self._channel() as channel:
                await asyncio.gather(
                    *(
                        channel.default_exchange.publish(
                            aio_pika.Message(
                                each.body or b"",
                                headers=dict(each.headers),
                                delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
                            ),
                            topic,
                        )
                        for each in part
                    )
                )

        await _in_chunks(messages, chunk, (AMQPError, ChannelInvalidStateError, OSError))

    async def unsettled(self, topic: str, group: str) -> int:
        # Ready ones are counted by the queue; those given to a consumer come back when it ends.
        async with self._channel() as channel:
            queue = await channel.declare_queue(topic, passive=True)
            return queue.declaration_result.message_count or 0


class NatsWire(Wire):
    @asynccontextmanager
    async def _jetstream(self) -> AsyncIterator[Any]:
        client = await nats.connect(f"nats://{self.broker.address}", allow_reconnect=False)
        try:
            yield client.jetstream()
        finally:
            await client.close()

    async def create(self, topic: str) -> None:
        async with self._jetstream() as jetstream:
            await jetstream.add_stream(name=topic, subjects=[topic])

    async def send(self, topic: str, messages: Sequence[Sent]) -> None:
        async def chunk(part: Sequence[Sent]) -> None:
            async with self._jetstream() as jetstream:
                await asyncio.gather(
                    *(
                        jetstream.publish(
                            topic, each.body or b"", headers=dict(each.headers) or None
                        )
                        for each in part
                    )
                )

        await _in_chunks(messages, chunk, (NatsError, OSError))

    async def unsettled(self, topic: str, group: str) -> int:
        async with self._jetstream() as jetstream:
            found = await jetstream.consumer_info(topic, group)
            return int(found.num_pending + found.num_ack_pending)


class RedisWire(Wire):
    @asynccontextmanager
    async def _client(self) -> AsyncIterator[Any]:
        client = redis.asyncio.Redis(port=self.broker.port)
        try:
            yield client
        finally:
            await client.aclose()

    async def create(self, topic: str) -> None:
        """Nothing: the first entry makes the stream."""

    async def send(self, topic: str, messages: Sequence[Sent]) -> None:
        async def chunk(part: Sequence[Sent]) -> None:
            async with self._client() as client:
                together = client.pipeline(transaction=False)
                for each in part:
                    together.xadd(topic, {"data": each.body or b"", **each.headers})
                await together.execute()

        await _in_chunks(messages, chunk, (redis.exceptions.RedisError, OSError))

    async def unsettled(self, topic: str, group: str) -> int:
        async with self._client() as client:
            [found] = await client.xinfo_groups(topic)
            return int(found["pending"] + found["lag"])


async def _in_chunks(
    messages: Sequence[Sent], send: Any, gone: tuple[type[Exception], ...]
) -> None:
    for at in range(0, len(messages), CHUNK):
        while True:
            try:
                await send(messages[at : at + CHUNK])
                break
            except gone:
                await asyncio.sleep(0.1)


WIRES: dict[str, type[Wire]] = {
    "kafka": KafkaWire,
    "rabbitmq": RabbitWire,
    "nats": NatsWire,
    "redis": RedisWire,
}
