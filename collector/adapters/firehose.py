"""Amazon Data Firehose, to an HTTP endpoint: up to 10,000 records in a request.

Decides the answer, which is JSON with the request's own id and must be exactly 200; a batch that is
answered otherwise comes again, whole. 413 would lose it for good, so no answer of ours is one.

    X-Amz-Firehose-Request-Id, -Access-Key (verifier `header`), -Source-Arn, -Common-Attributes
    {"requestId", "timestamp": ms, "records": [{"data": base64}]}
    {"requestId", "timestamp": ms, "errorMessage"?}
"""

import msgspec

from collector.adapters.envelopes import Envelope, Opened, Part, unpacked_base64
from collector.adapters.texts import json_of
from collector.adapters.wire import Message, Refused, Reply
from collector.errors import CollectorError, TooLarge
from collector.integrations.declaration import Declared

_MOST = 10_000
_LONGEST_ID = 128


class _Record(msgspec.Struct, frozen=True):
    data: str


class _Batch(msgspec.Struct, frozen=True):
    records: list[_Record]
    request_id: str = msgspec.field(name="requestId")


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    requestId: str
    timestamp: int
    errorMessage: str = ""


_decode = msgspec.json.Decoder(_Batch).decode
_encode = msgspec.json.Encoder().encode


def open_batch(message: Message, _declared: Declared) -> Opened:
    """Open one request; see `Envelope`."""
    batch = json_of(message.unpacked, _decode)
    if len(batch.records) > _MOST:
        raise TooLarge(
            f"the request holds more than {_MOST} records", remedy="Firehose itself sends no more."
        )
    parts: list[Part | Refused] = []
    for each in batch.records:
        data = unpacked_base64(each.data, "the data of a record")
        parts.append(data if isinstance(data, Refused) else Part(data))
    return Opened(parts, _answer(batch.request_id, message.received_us))


def failing(message: Message, status: int, title: str) -> Reply:
    """The refusal that makes Firehose come again; the id is the header's, the body may be bad."""
    try:
        id = message.header("x-amz-firehose-request-id") or ""
    except CollectorError:
        id = ""
    if status == 200:
        return _answer(id, message.received_us)
    status = status if status in {401, 403, 503} else 500
    return _answer(id, message.received_us, status, title)


def _answer(id: str, received_us: int, status: int = 200, error: str = "") -> Reply:
    body = _encode(_Answer(id[:_LONGEST_ID], received_us // 1_000, error))
    return Reply(status, body, (("content-type", "application/json"),))


ENVELOPE = Envelope(name="firehose", open=open_batch, unreadable=200, failing=failing)
