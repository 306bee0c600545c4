"""One delivery: what a sender sent in one request, and the events and refusals in it.

Decides how a request is read, by address and content type, and that one bad item never sinks
good ones. Hides formats, modes and encodings. Pure: nothing is stored and nobody is asked, so a
delivery that was kept can be read again, later, with the same result.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from audit.events import Event
from collector import adapt, cloudevents
from collector.cloudevents import Mode
from collector.decode import Format, Items, format_of, require_shape, split, unpack
from collector.errors import CollectorError
from collector.limits import Limits

CLOUDEVENTS = "cloudevents"
NATIVE: Mapping[str, str] = MappingProxyType(
    {
        "predictions": "PredictionLogged",
        "outcomes": "OutcomeObserved",
        "oversight": "OversightRecorded",
        "explanations": "ExplanationAttached",
        "counts": "CountsReported",
    }
)
"""The last part of each native address, and the type of event that it takes."""

_STRUCTURED = "application/cloudevents+json"


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """A body with the headers that say how to read it, and in whose name it is read.

    `address` is a key of `NATIVE` or `CLOUDEVENTS`; `attributes` are the ce- headers, names in
    lower case; `permitted` are the event types that the sender may send. A message of a stream
    also has the `place` where it stood and all `headers`, which say where to look for its cause.
    """

    address: str
    integration: str
    permitted: frozenset[str]
    body: bytes
    content_type: str | None = None
    encoding: str | None = None
    attributes: tuple[tuple[bytes, bytes], ...] = ()
    place: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()

    def item(self, raw: bytes) -> "Delivery":
        """The delivery of one item of this batch by itself; this one where it is the item."""
        if raw is self.body:
            return self
        single = _STRUCTURED if self.address == CLOUDEVENTS else "application/json"
        return msgspec.structs.replace(
            self, body=raw, content_type=single, encoding=None, attributes=()
        )


class Refusal(NamedTuple):
    """An item that is no event, with its place in the body."""

    position: int
    error: CollectorError


class Reading(NamedTuple):
    """The items of a body, the events among them in their order, and those that are none."""

    items: list[bytes]
    events: list[Event]
    refusals: list[Refusal]
    many: bool

    def positions(self) -> list[int]:
        """The place in the body of each event."""
        refused = {each.position for each in self.refusals}
        return [place for place in range(len(self.items)) if place not in refused]


def read(delivery: Delivery, limits: Limits) -> Reading:
    """What a delivery holds; an item that is no event becomes a `Refusal` and no error.

    Raises `CollectorError` when the body as a whole cannot be split into items.
    """
    body = unpack(delivery.body, delivery.encoding, limits)
    items, adapter = _opened(delivery, body, limits)
    events: list[Event] = []
    refusals: list[Refusal] = []
    for position, raw in enumerate(items.raw):
        try:
            require_shape(raw, limits)
            events.append(adapter(raw))
        except CollectorError as error:
            refusals.append(Refusal(position, error))
    return Reading(items.raw, events, refusals, items.many)


def read_each(deliveries: Sequence[Delivery], limits: Limits) -> Reading:
    """What deliveries of one item each hold, as if they were one batch."""
    events: list[Event] = []
    refusals: list[Refusal] = []
    for position, delivery in enumerate(deliveries):
        try:
            reading = read(delivery, limits)
        except CollectorError as error:
            refusals.append(Refusal(position, error))
        else:
            events += reading.events
            refusals += [Refusal(position, each.error) for each in reading.refusals]
    return Reading([each.body for each in deliveries], events, refusals, many=True)


def producer_id(raw: bytes) -> str | None:
    """The id of a refused item, as far as it can be told."""
    try:
        found = _decode_identified(raw).id
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return None
    return found[:256] if isinstance(found, str) else None


class _Identified(msgspec.Struct):
    id: object = None


_decode_identified = msgspec.json.Decoder(_Identified).decode


def _opened(
    delivery: Delivery, body: bytes, limits: Limits
) -> tuple[Items, Callable[[bytes], Event]]:
    integration, permitted = delivery.integration, delivery.permitted
    if delivery.address != CLOUDEVENTS:
        type_ = NATIVE[delivery.address]
        items = split(body, format_of(delivery.content_type), limits)
        return items, lambda raw: adapt.native(type_, integration, raw)
    attributes = delivery.attributes
    known = any(name == b"ce-specversion" for name, _ in attributes)
    mode = cloudevents.mode_of(delivery.content_type, has_attributes=known)
    if mode is Mode.BINARY:
        if delivery.content_type is not None:
            attributes += ((b"content-type", delivery.content_type.encode("latin-1")),)
        cloud = cloudevents.of_headers(attributes, body)
        return Items([body], many=False), lambda _: adapt.carried(cloud, integration, permitted)
    if mode is Mode.STRUCTURED:
        items = Items([body], many=False)
    else:
        items = cloudevents.batch_of(split(body, Format.JSON, limits))
    return items, lambda raw: adapt.carried(cloudevents.of_json(raw), integration, permitted)
