"""Google Pub/Sub, push: wrapped, or unwrapped with metadata in headers.

Decides what is handed on of a message: its data, with its attributes as headers. Attributes are the
publisher's words; whoever delivers is proved by `jwt` (the subscription's service account).

    {"message": {"data": base64, "attributes": {}, "messageId", "publishTime", "orderingKey"?},
     "subscription": "projects/…", "deliveryAttempt"?}

Acknowledged by 102, 200, 201, 202 or 204; whatever else is a request to come again. `data` may be
absent. Fields come in both notations, camel and snake; the first one counts.
"""

from typing import Annotated

import msgspec

from collector.adapters.envelopes import Envelope, Opened, Part, unpacked_base64
from collector.adapters.texts import json_of
from collector.adapters.wire import Message, Refused, Reply
from collector.errors import Invalid
from collector.integrations.declaration import Declared

SUBSCRIPTION = "subscription"
_ACKNOWLEDGED = Reply(204)


class _Carried(msgspec.Struct, frozen=True, rename="camel"):
    data: str = ""
    attributes: Annotated[dict[str, str], msgspec.Meta(max_length=256)] = {}
    message_id: str = ""
    publish_time: str = ""


class _Push(msgspec.Struct, frozen=True):
    message: _Carried
    subscription: str = ""


_decode = msgspec.json.Decoder(_Push).decode


def open_push(message: Message, declared: Declared) -> Opened:
    """Open one push; see `Envelope`."""
    unwrapped = message.header("x-goog-pubsub-subscription-name")
    if unwrapped is not None:
        _require_subscription(unwrapped, declared)
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in message.headers
        }
        return Opened([Part(message.unpacked, headers)], _ACKNOWLEDGED)
    push = json_of(message.unpacked, _decode)
    _require_subscription(push.subscription, declared)
    data = unpacked_base64(push.message.data, "the data of the message")
    if isinstance(data, Refused):
        return Opened([data], _ACKNOWLEDGED)
    told = {
        "x-goog-pubsub-message-id": push.message.message_id,
        "x-goog-pubsub-publish-time": push.message.publish_time,
    }
    return Opened([Part(data, {**push.message.attributes, **told})], _ACKNOWLEDGED)


def _require_subscription(name: str, declared: Declared) -> None:
    wanted = declared.options.get(SUBSCRIPTION)
    if wanted is not None and name not in wanted.split("\n"):
        raise Invalid(
            "the message is of another subscription than declared",
            field="/subscription",
            remedy="List it in option `subscription`, or correct where it pushes to.",
        )


ENVELOPE = Envelope(
    name="pubsub",
    open=open_push,
    unreadable=204,
    options={SUBSCRIPTION: "Subscriptions whose messages are read; default: every one."},
)
