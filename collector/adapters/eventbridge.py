"""Amazon EventBridge, to an API destination: one event, whose `detail` is handed on.

Decides that a detail of our own events may leave out `id` and `time`: the envelope has both. The
credential is the connection's: Basic, an API key in a header, or OAuth.

    {"version", "id", "detail-type", "source", "account", "time", "region", "resources", "detail"}
"""

from typing import Any

import msgspec

from collector.adapters.envelopes import INNER, NATIVE, Envelope, Opened, Part
from collector.adapters.texts import json_of
from collector.adapters.wire import OK, Message
from collector.integrations.declaration import Declared


class _Event(msgspec.Struct, frozen=True):
    id: str
    time: str
    source: str
    detail: dict[str, Any]
    kind: str = msgspec.field(name="detail-type")


_decode = msgspec.json.Decoder(_Event).decode
_encode = msgspec.json.Encoder().encode


def open_event(message: Message, declared: Declared) -> Opened:
    """Open one event; see `Envelope`."""
    event = json_of(message.unpacked, _decode)
    detail = event.detail
    if declared.options.get(INNER, NATIVE) == NATIVE:
        detail = {"id": event.id, "time": event.time, **detail}
    told = {
        "x-eventbridge-id": event.id,
        "x-eventbridge-time": event.time,
        "x-eventbridge-source": event.source,
        "x-eventbridge-detail-type": event.kind,
        "content-type": "application/json",
    }
    return Opened([Part(_encode(detail), told)], OK)


ENVELOPE = Envelope(name="eventbridge", open=open_event, unreadable=200)
