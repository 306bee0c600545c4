"""What an exporter is answered: in the format it sent, as the OTLP specification words it.

    success   200  Export*ServiceResponse, empty
    partial   200  with partial_success: how many were rejected, and why the first was
    failure   4xx, 5xx  google.rpc.Status: code, message

An exporter repeats a request after 429, 502, 503 and 504 only, after the seconds of Retry-After,
which whoever knows them adds.
Hides that both messages are written by hand: they have two fields each.
"""

import msgspec

from collector.adapters.wire import Message, Reply
from collector.errors import CollectorError, UnsupportedMedia
from collector.otlp.records import Signal
from collector.otlp.varint import written

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 408: 4, 409: 6, 413: 3, 415: 3, 422: 3, 429: 8, 503: 14}
"""Statuses of HTTP as codes of google.rpc; the rest are internal (13) or unknown (2)."""
_REJECTED = {Signal.TRACES: "rejectedSpans", Signal.LOGS: "rejectedLogRecords"}
_encode = msgspec.json.Encoder().encode


def media_of(message: Message) -> str:
    """The format of a request, without parameters; raises `UnsupportedMedia`."""
    found = (message.header("content-type") or "").partition(";")[0].strip().lower()
    if found not in {PROTOBUF, JSON}:
        raise UnsupportedMedia(
            "the content type is not one of OTLP",
            field="Content-Type",
            remedy=f"Send {PROTOBUF} or {JSON}.",
        )
    return found


def taken(media: str, signal: Signal, rejected: int, why: str) -> Reply:
    """The answer to a request that was read; `why` may warn even where nothing was rejected."""
    if not rejected and not why:
        body = b"{}" if media == JSON else b""
    elif media == JSON:
        partial = {_REJECTED[signal]: str(rejected)} if rejected else {}
        body = _encode({"partialSuccess": {**partial, "errorMessage": why}})
    else:
        count = b"\x08" + written(rejected) if rejected else b""
        inner = count + _text(why)
        body = b"\x0a" + written(len(inner)) + inner
    return Reply(200, body, (("content-type", media),))


def failing(message: Message, status: int, title: str) -> Reply:
    """Every other answer: a google.rpc.Status."""
    code = _CODES.get(status, 13 if status >= 500 else 2)
    try:
        media = media_of(message)
    except CollectorError:
        media = JSON
    if media == JSON:
        body = _encode({"code": code, "message": title})
    else:
        body = b"\x08" + written(code) + _text(title)
    return Reply(status, body, (("content-type", media),))


def _text(value: str) -> bytes:
    raw = value.encode()
    return b"\x12" + written(len(raw)) + raw
