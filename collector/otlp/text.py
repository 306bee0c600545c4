"""OTLP in JSON: the same cut, over a text.

Decides what is tolerated beyond the specification, because senders in the wild do it and nothing
is ambiguous: names in snake_case; ids as {"type": "Buffer", "data": […]}; 64-bit numbers as text,
as a number or as {low, high}. Ids are hex: a library that follows protobuf's own JSON mapping
would write and read them as base64, which is refused for that item, with words that say so.
Attributes that are an object instead of a list are refused likewise. Unknown members are ignored.
"""

from base64 import b64decode, b64encode
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec

from collector.errors import CollectorError, Invalid, Malformed
from collector.otlp import records
from collector.otlp.records import Attributes, Happening, Part, Record, Span

_COMMAS = 200 * records.MOST_ITEMS
"""More than real items have: the decoder makes an object of every element before we can count."""
_REMEDY = "Send OTLP/JSON as opentelemetry-proto describes it: ids in hex, attributes as a list."
_FAILED = 2
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder().decode
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, ValueError, RecursionError)


# A union with None would decode as null only: Raw stands by itself.
_ABSENT = msgspec.Raw(b"null")


class _Scope(msgspec.Struct):
    scope: msgspec.Raw = _ABSENT
    spans: list[msgspec.Raw] = []
    camel: list[msgspec.Raw] = msgspec.field(name="logRecords", default_factory=list)
    snake: list[msgspec.Raw] = msgspec.field(name="log_records", default_factory=list)


class _Group(msgspec.Struct):
    resource: msgspec.Raw = _ABSENT
    scope_spans: list[_Scope] = msgspec.field(name="scopeSpans", default_factory=list)
    snake_spans: list[_Scope] = msgspec.field(name="scope_spans", default_factory=list)
    scope_logs: list[_Scope] = msgspec.field(name="scopeLogs", default_factory=list)
    snake_logs: list[_Scope] = msgspec.field(name="scope_logs", default_factory=list)


class _Request(msgspec.Struct):
    spans: list[_Group] = msgspec.field(name="resourceSpans", default_factory=list)
    snake_spans: list[_Group] = msgspec.field(name="resource_spans", default_factory=list)
    logs: list[_Group] = msgspec.field(name="resourceLogs", default_factory=list)
    snake_logs: list[_Group] = msgspec.field(name="resource_logs", default_factory=list)


_decode_request = msgspec.json.Decoder(_Request).decode


def spans(body: bytes) -> list[Part[Span]]:
    """The spans of a request; raises `CollectorError` where it is none."""
    request = _request(body)
    if not (request.spans or request.snake_spans) and (request.logs or request.snake_logs):
        raise _misplaced("log records", "/v1/logs")
    found: list[Part[Span]] = []
    for group in request.spans + request.snake_spans:
        resource = _resource(group)
        for scope in group.scope_spans + group.snake_spans:
            _require_room(found, scope.spans)
            found += [
                Part(partial(_span, bytes(raw), resource), partial(_alone, group, scope, raw))
                for raw in scope.spans
            ]
    return found


def log_records(body: bytes) -> list[Part[Record]]:
    """The log records of a request; raises `CollectorError` where it is none."""
    request = _request(body)
    if not (request.logs or request.snake_logs) and (request.spans or request.snake_spans):
        raise _misplaced("spans", "/v1/traces")
    found: list[Part[Record]] = []
    for group in request.logs + request.snake_logs:
        resource = _resource(group)
        for scope in group.scope_logs + group.snake_logs:
            items = scope.camel + scope.snake
            _require_room(found, items)
            found += [
                Part(
                    partial(_record, bytes(raw), resource),
                    partial(_alone, group, scope, raw, logs=True),
                )
                for raw in items
            ]
    return found


def _request(body: bytes) -> _Request:
    if body.count(b",") > _COMMAS:
        raise records.too_many()
    try:
        return _decode_request(body)
    except _UNREADABLE:
        raise Malformed("the body is no OTLP request in JSON", remedy=_REMEDY) from None


def _misplaced(what: str, address: str) -> CollectorError:
    return Malformed(f"the body holds {what}", remedy=f"Send them to {address}.")


def _require_room(found: list[Any], more: list[msgspec.Raw]) -> None:
    if len(found) + len(more) > records.MOST_ITEMS:
        raise records.too_many()


def _alone(group: _Group, scope: _Scope, raw: msgspec.Raw, *, logs: bool = False) -> bytes:
    outer, middle, inner = (
        ("resourceLogs", "scopeLogs", "logRecords")
        if logs
        else ("resourceSpans", "scopeSpans", "spans")
    )
    within: dict[str, Any] = {"scope": scope.scope}
    around: dict[str, Any] = {"resource": group.resource}
    return _encode({outer: [{**around, middle: [{**within, inner: [raw]}]}]})


def _resource(group: _Group) -> Attributes:
    raw = bytes(group.resource)
    return {} if raw == b"null" else _attributes(_object(raw).get("attributes"))


def _object(raw: bytes) -> dict[str, Any]:
    records.require_short(raw)
    try:
        found = _decode(raw)
    except _UNREADABLE:
        raise Malformed("an item is not valid JSON", remedy=_REMEDY) from None
    if not isinstance(found, dict):
        raise _wrong("an item is no object")
    return found


def _span(raw: bytes, resource: Attributes) -> Span:
    found = _object(raw)
    status = _member(found, "status") or {}
    if not isinstance(status, dict):
        raise _wrong("the status is no object", "/status")
    return Span(
        trace=records.id_of(_id(found, "traceId", "trace_id"), 16, "trace"),
        span=records.id_of(_id(found, "spanId", "span_id"), 8, "span"),
        name=_text(found.get("name")),
        start_ns=_integer(_member(found, "startTimeUnixNano", "start_time_unix_nano")),
        end_ns=_integer(_member(found, "endTimeUnixNano", "end_time_unix_nano")),
        attributes=_attributes(found.get("attributes")),
        resource=resource,
        flags=_integer(found.get("flags")) & 0xFF,
        failed=status.get("code") in (_FAILED, "STATUS_CODE_ERROR"),
        message=_text(status.get("message")),
        events=tuple(
            Happening(
                _text(each.get("name")),
                _integer(_member(each, "timeUnixNano", "time_unix_nano")),
                _attributes(each.get("attributes")),
            )
            for each in _objects(found.get("events"), "events")
        ),
        links=tuple(
            (
                records.optional_id(_id(each, "traceId", "trace_id"), 16),
                records.optional_id(_id(each, "spanId", "span_id"), 8),
            )
            for each in _objects(found.get("links"), "links")
        ),
    )


def _record(raw: bytes, resource: Attributes) -> Record:
    found = _object(raw)
    observed = _integer(_member(found, "observedTimeUnixNano", "observed_time_unix_nano"))
    return Record(
        name=_text(_member(found, "eventName", "event_name")),
        time_ns=_integer(_member(found, "timeUnixNano", "time_unix_nano")) or observed,
        attributes=_attributes(found.get("attributes")),
        resource=resource,
        body=_value(found.get("body"), 0),
        trace=records.optional_id(_id(found, "traceId", "trace_id"), 16),
        span=records.optional_id(_id(found, "spanId", "span_id"), 8),
        digest=sha256(raw).hexdigest()[:32],
    )


def _member(found: dict[str, Any], camel: str, snake: str = "") -> Any:
    value = found.get(camel)
    return found.get(snake) if value is None else value


def _id(found: dict[str, Any], camel: str, snake: str) -> bytes:
    """The bytes of an id, b"" where there is none; raises `Invalid` where it is no hex."""
    value = _member(found, camel, snake)
    if value is None or value == "":
        return b""
    try:
        if isinstance(value, str):
            return bytes.fromhex(value)
        if isinstance(value, dict) and value.get("type") == "Buffer":
            return bytes(value["data"])
    except (ValueError, TypeError, KeyError):
        pass
    raise _wrong("an id is not written in hex", f"/{camel}")


def _integer(value: Any) -> int:
    """A 64-bit number as senders write it; 0 where there is none."""
    try:
        if value is None or isinstance(value, int):
            found = int(value or 0)
        elif isinstance(value, str) and len(value) <= 20:
            found = int(value)
        elif isinstance(value, dict):  # the Long of a JavaScript library
            low, high = int(value["low"]) & 0xFFFF_FFFF, int(value["high"]) & 0xFFFF_FFFF
            found = high << 32 | low
        elif isinstance(value, float) and value.is_integer():
            found = int(value)
        else:
            raise ValueError
        if not -(2**63) <= found < 2**64:
            raise ValueError
    except (ValueError, TypeError, KeyError, OverflowError):
        raise _wrong("a number is no 64-bit integer") from None
    return found


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: Any, what: str) -> list[dict[str, Any]]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise _wrong(f"the {what} are no list of objects", f"/{what}")
    records.require_few(len(value), what)
    return value


def _attributes(value: Any, depth: int = 0) -> Attributes:
    found: Attributes = {}
    for each in _objects(value, "attributes"):
        key = each.get("key")
        if not isinstance(key, str):
            raise _wrong("an attribute has no key", "/attributes")
        found[key] = _value(each.get("value"), depth)
    return found


def _value(value: Any, depth: int) -> Any:
    """The plain value of an AnyValue; raises `CollectorError`."""
    if depth > records.MOST_DEPTH:
        raise records.too_deep()
    if value is None:
        return None
    if not isinstance(value, dict):
        raise _wrong("the value of an attribute is no object such as {stringValue}", "/attributes")
    for name, read in _KINDS.items():
        if (inner := value.get(name)) is not None:
            return read(inner, depth)
    return None


def _string(value: Any, _: int) -> str:
    if not isinstance(value, str):
        raise _wrong("a stringValue is no text", "/attributes")
    return value


def _bool(value: Any, _: int) -> bool:
    if not isinstance(value, bool):
        raise _wrong("a boolValue is neither true nor false", "/attributes")
    return value


def _double(value: Any, _: int) -> float | str:
    try:
        if isinstance(value, bool):
            raise TypeError
        return records.number(float(value))
    except (ValueError, TypeError, OverflowError):
        raise _wrong("a doubleValue is no number", "/attributes") from None


def _bytes(value: Any, _: int) -> dict[str, str]:
    try:
        raw = bytes(value["data"]) if isinstance(value, dict) else b64decode(value, validate=True)
    except (ValueError, TypeError, KeyError):
        raise _wrong("a bytesValue is not base64", "/attributes") from None
    return {"base64": b64encode(raw).decode("ascii")}


def _list(value: Any, depth: int) -> list[Any]:
    values = value.get("values") if isinstance(value, dict) else None
    if values is None:
        return []
    if not isinstance(values, list):
        raise _wrong("an arrayValue holds no list", "/attributes")
    records.require_few(len(values), "values in a list")
    return [_value(each, depth + 1) for each in values]


def _map(value: Any, depth: int) -> Attributes:
    return _attributes(value.get("values") if isinstance(value, dict) else None, depth + 1)


_KINDS = {
    "stringValue": _string,
    "boolValue": _bool,
    "intValue": lambda value, _: _integer(value),
    "doubleValue": _double,
    "arrayValue": _list,
    "kvlistValue": _map,
    "bytesValue": _bytes,
    "string_value": _string,
    "bool_value": _bool,
    "int_value": lambda value, _: _integer(value),
    "double_value": _double,
    "array_value": _list,
    "kvlist_value": _map,
    "bytes_value": _bytes,
}


def _wrong(what: str, field: str = "") -> CollectorError:
    return Invalid(what, field=field, remedy=_REMEDY)
