"""Azure Event Grid, to a webhook: its own schema, or CloudEvents.

Decides the handshake of the own schema (a validation code comes and goes back in the answer, which
must be 200) and what is handed on: the data of each event. CloudEvents go on as they are; their
handshake (OPTIONS) is answered at the entrance, for the `origins` of the declaration.

    aeg-event-type: SubscriptionValidation | Notification | SubscriptionDeletion
    [{"id", "topic", "subject", "eventType", "eventTime", "data", "dataVersion"}]
"""

from typing import Any

import msgspec

from collector.adapters.envelopes import INNER, NATIVE, Envelope, Opened, Part
from collector.adapters.texts import json_of, parts_of
from collector.adapters.wire import OK, Message, Refused, Reply
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared

_JSON = (("content-type", "application/json"),)
_LONGEST_CODE = 256


class _Event(msgspec.Struct, frozen=True):
    id: str
    kind: str = msgspec.field(name="eventType")
    time: str = msgspec.field(name="eventTime")
    topic: str = ""
    subject: str = ""
    data: Any = None


class _Validation(msgspec.Struct, frozen=True):
    code: str = msgspec.field(name="validationCode")


_decode = msgspec.json.Decoder(_Event).decode
_decode_validation = msgspec.json.Decoder(_Validation).decode
_encode = msgspec.json.Encoder().encode


def open_delivery(message: Message, declared: Declared) -> Opened:
    """Open one delivery; see `Envelope`."""
    content_type = (message.header("content-type") or "").lower().lstrip()
    if content_type.startswith("application/cloudevents") or any(
        name == b"ce-specversion" for name, _ in message.headers
    ):
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in message.headers
        }
        return Opened([Part(message.unpacked, headers)], OK)
    events = parts_of(message.unpacked)
    match message.header("aeg-event-type"):
        case "SubscriptionValidation":
            return _validated(events)
        case "SubscriptionDeletion":
            return Opened([], OK)
    return Opened([_part(raw, declared) for raw in events], OK)


def _validated(events: list[bytes]) -> Opened:
    if len(events) != 1:
        raise Invalid("a validation is one event", remedy="Let Event Grid send it.")
    data = json_of(events[0], _decode).data
    try:
        code = _decode_validation(_encode(data)).code
    except msgspec.ValidationError:
        raise Invalid(
            "the validation holds no code", field="/0/data/validationCode", remedy="Send one."
        ) from None
    body = _encode({"validationResponse": code[:_LONGEST_CODE]})
    return Opened([], Reply(200, body, _JSON))


def _part(raw: bytes, declared: Declared) -> Part | Refused:
    try:
        event = json_of(raw, _decode)
    except CollectorError as error:
        return Refused(raw, error)
    data = event.data
    if declared.options.get(INNER, NATIVE) == NATIVE and isinstance(data, dict):
        data = {"id": event.id, "time": event.time, **data}
    told = {
        "x-eventgrid-id": event.id,
        "x-eventgrid-time": event.time,
        "x-eventgrid-type": event.kind,
        "x-eventgrid-topic": event.topic,
        "x-eventgrid-subject": event.subject,
        "content-type": "application/json",
    }
    return Part(_encode(data), told)


ENVELOPE = Envelope(name="eventgrid", open=open_delivery, unreadable=200)
