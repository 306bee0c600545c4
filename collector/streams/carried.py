"""One message of a broker, whichever broker it is, and how it is read.

Decides what of a message is body, headers and place, and how the attributes of a CloudEvent are
found in its headers: `ce_` in Kafka, `ce-` in NATS, `cloudEvents_` or `cloudEvents:` in AMQP
(the bindings of CloudEvents 1.0.2), any of them in Redis, which has no binding. Only NATS
percent-encodes the values, as HTTP does. Pure.
"""

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import quote_from_bytes

import msgspec

from collector.adapt import TYPES
from collector.delivery import CLOUDEVENTS, Delivery
from collector.streams.declaration import Stream

Headers = tuple[tuple[bytes, bytes], ...]
_PREFIXES: Mapping[str, tuple[bytes, ...]] = MappingProxyType(
    {
        "kafka": (b"ce_",),
        "nats": (b"ce-",),
        "rabbitmq": (b"cloudevents:", b"cloudevents_"),
        "redis": (b"ce_", b"ce-"),
    }
)


class Carried(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A message as the broker gave it; header names keep their case.

    `body` is None for a tombstone. `place` says where it stands, for people: topic, partition and
    offset, or what the broker has instead. Messages of one `lane` are logged in their order, those
    of different lanes side by side: a partition in Kafka, else a topic. `time_us` is the broker's
    time, 0 where it has none.
    """

    place: str
    lane: str
    body: bytes | None
    headers: Headers = ()
    content_type: str | None = None
    encoding: str | None = None
    time_us: int = 0


def delivery(stream: Stream, message: Carried) -> Delivery:
    """Return a message as the delivery that is read, and kept where it cannot be."""
    attributes = _attributes(stream.broker, message.headers)
    content_type = message.content_type or stream.content_type
    if not content_type and not attributes:
        cloud = stream.format == CLOUDEVENTS
        content_type = "application/cloudevents+json" if cloud else "application/json"
    return Delivery(
        address=stream.format,
        integration=stream.integration,
        permitted=TYPES,
        body=message.body or b"",
        content_type=content_type or None,
        encoding=message.encoding,
        attributes=attributes,
        place=f"{stream.broker}:{message.place}",
        headers=message.headers,
    )


def _attributes(broker: str, headers: Headers) -> Headers:
    """The attributes of a CloudEvent in binary mode as HTTP would carry them."""
    found = []
    for name, value in headers:
        lower = name.lower()
        for prefix in _PREFIXES[broker]:
            if lower.startswith(prefix):
                text = value if broker == "nats" else quote_from_bytes(value).encode()
                found.append((b"ce-" + lower[len(prefix) :], text))
    return tuple(found)
