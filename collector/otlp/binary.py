"""OTLP in protobuf: a request is cut into its items before any of them is parsed.

Decides how: the three outer levels (request, resource, scope) are walked by hand, because the
library would make objects of millions of empty spans before anyone could count them, and because
one broken span must not sink its neighbours. Each item keeps the very bytes that came.

    request  = 1: resource spans | resource logs
    resource = 1: resource, 2: scope spans | scope logs
    scope    = 1: scope,    2: span | log record
"""

from base64 import b64encode
from collections.abc import Iterator
from functools import partial
from hashlib import sha256
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # publishes none
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as Message
from opentelemetry.proto.trace.v1.trace_pb2 import Status

from collector.errors import CollectorError, Malformed
from collector.otlp import records, varint
from collector.otlp.records import Attributes, Happening, Part, Record, Span

_FIELDS = 8 * records.MOST_ITEMS
"""Fields of the outer levels that are walked: each item may stand in a resource of its own."""
_VARINT, _LENGTH, _FIXED = 0, 2, {1: 8, 5: 4}
_FIRST, _SECOND = b"\x0a", b"\x12"
"""Tags of the fields 1 and 2 where they hold bytes."""


def spans(body: bytes) -> list[Part[Span]]:
    """The spans of a request; raises `CollectorError` where it cannot be cut."""
    return [Part(partial(_span, each.item, each.resource), each.alone) for each in _cut(body)]


def log_records(body: bytes) -> list[Part[Record]]:
    """The log records of a request; raises `CollectorError` where it cannot be cut."""
    return [Part(partial(_record, each.item, each.resource), each.alone) for each in _cut(body)]


class _Cut(NamedTuple):
    item: bytes
    resource: Attributes
    around: tuple[bytes, bytes]

    def alone(self) -> bytes:
        resource, scope = self.around
        inner = scope + _SECOND + varint.written(len(self.item)) + self.item
        outer = resource + _SECOND + varint.written(len(inner)) + inner
        return _FIRST + varint.written(len(outer)) + outer


def _cut(body: bytes) -> list[_Cut]:
    left = [_FIELDS]
    found: list[_Cut] = []
    for number, group in _fields(body, left):
        if number != 1:
            continue
        inside = list(_fields(group, left))
        resource = next((each for field, each in inside if field == 1), None)
        around = b"" if resource is None else _FIRST + varint.written(len(resource)) + resource
        attributes = _resource(resource)
        for field, scoped in inside:
            if field != 2:
                continue
            items = list(_fields(scoped, left))
            scope = next((each for one, each in items if one == 1), None)
            within = b"" if scope is None else _FIRST + varint.written(len(scope)) + scope
            found += [_Cut(each, attributes, (around, within)) for one, each in items if one == 2]
            if len(found) > records.MOST_ITEMS:
                raise records.too_many()
    return found


def _fields(message: bytes, left: list[int]) -> Iterator[tuple[int, bytes]]:
    """Number and content of each field that holds bytes; `left` is how many may still be walked."""
    at, end = 0, len(message)
    while at < end:
        left[0] -= 1
        if left[0] < 0:
            raise records.too_many()
        try:
            tag, at = varint.read(message, at)
            kind = tag & 7
            length = 0
            if kind in {_VARINT, _LENGTH}:
                length, at = varint.read(message, at)
        except ValueError:
            raise _broken() from None
        if kind == _LENGTH:
            if length > end - at:
                raise _broken()
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind in _FIXED:
            at += _FIXED[kind]
        elif kind != _VARINT:
            raise _broken()
    if at != end:
        raise _broken()


def _broken() -> CollectorError:
    return Malformed(
        "the body or an item is no OTLP message in protobuf",
        remedy="Send spans to /v1/traces and log records to /v1/logs, each in its own message.",
    )


def _resource(raw: bytes | None) -> Attributes:
    if raw is None:
        return {}
    records.require_short(raw)
    try:
        return _attributes(Resource.FromString(raw).attributes)
    except DecodeError:
        raise _broken() from None


def _span(raw: bytes, resource: Attributes) -> Span:
    records.require_short(raw)
    try:
        found = Message.FromString(raw)
    except DecodeError:
        raise _broken() from None
    records.require_few(len(found.events), "events")
    records.require_few(len(found.links), "links")
    return Span(
        trace=records.id_of(found.trace_id, 16, "trace"),
        span=records.id_of(found.span_id, 8, "span"),
        name=found.name,
        start_ns=found.start_time_unix_nano,
        end_ns=found.end_time_unix_nano,
        attributes=_attributes(found.attributes),
        resource=resource,
        flags=found.flags & 0xFF,
        failed=found.status.code == Status.STATUS_CODE_ERROR,
        message=found.status.message,
        events=tuple(
            Happening(each.name, each.time_unix_nano, _attributes(each.attributes))
            for each in found.events
        ),
        links=tuple(
            (records.optional_id(each.trace_id, 16), records.optional_id(each.span_id, 8))
            for each in found.links
        ),
    )


def _record(raw: bytes, resource: Attributes) -> Record:
    records.require_short(raw)
    try:
        found = LogRecord.FromString(raw)
    except DecodeError:
        raise _broken() from None
    return Record(
        name=found.event_name,
        time_ns=found.time_unix_nano or found.observed_time_unix_nano,
        attributes=_attributes(found.attributes),
        resource=resource,
        body=_value(found.body, 0),
        trace=records.optional_id(found.trace_id, 16),
        span=records.optional_id(found.span_id, 8),
        digest=sha256(raw).hexdigest()[:32],
    )


def _attributes(found: Any, depth: int = 0) -> Attributes:
    """The attributes of a repeated KeyValue; the last of a name wins."""
    records.require_few(len(found), "attributes")
    return {each.key: _value(each.value, depth) for each in found}


def _value(value: AnyValue, depth: int) -> Any:  # noqa: PLR0911  # one for each kind of value
    if depth > records.MOST_DEPTH:
        raise records.too_deep()
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return records.number(value.double_value)
        case "bytes_value":
            return {"base64": b64encode(value.bytes_value).decode("ascii")}
        case "array_value":
            records.require_few(len(value.array_value.values), "values in a list")
            return [_value(each, depth + 1) for each in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values, depth + 1)
        case _:
            return None
