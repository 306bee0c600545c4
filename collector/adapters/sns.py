"""Amazon SNS, to an HTTP endpoint: notifications, confirmations, raw deliveries.

Decides that a subscription is confirmed only at an address of Amazon's own, that its end is taken
note of and not undone, and that no answer of ours is a 4xx: SNS counts 200 to 499 as delivered and
drops the message. Signature and topic are checked by verifier `sns`; raw deliveries have neither,
so they want another credential.

    {"Type", "MessageId", "TopicArn", "Subject"?, "Message", "Timestamp", "SignatureVersion",
     "Signature", "SigningCertURL", "Token"?, "SubscribeURL"?, "UnsubscribeURL"?}
"""

import re
from urllib.parse import urlsplit

import msgspec

from collector.adapters.envelopes import Envelope, Opened, Part
from collector.adapters.texts import json_of
from collector.adapters.wire import OK, Message, Reply, refusing
from collector.errors import Invalid
from collector.integrations.declaration import Declared

NOTIFICATION, CONFIRMATION = "Notification", "SubscriptionConfirmation"
END = "UnsubscribeConfirmation"
_host = re.compile(r"sns\.[a-zA-Z0-9-]{3,}\.amazonaws\.com(\.cn)?", re.ASCII)


class Notice(msgspec.Struct, frozen=True, rename="pascal"):
    """The members of a message that count."""

    type: str
    message_id: str
    topic_arn: str
    message: str
    timestamp: str
    subject: str | None = None
    token: str | None = None
    signature_version: str = "1"
    signature: str = ""
    subscribe_url: str | None = msgspec.field(name="SubscribeURL", default=None)
    signing_cert_url: str = msgspec.field(name="SigningCertURL", default="")


decode = msgspec.json.Decoder(Notice).decode


def is_amazon(url: str) -> bool:
    """Whether an address is SNS's own: https, its host, the standard port and no account."""
    try:
        found = urlsplit(url)
        port = found.port
    except ValueError:
        return False
    plain = found.username is None and found.password is None and port in {None, 443}
    return found.scheme == "https" and plain and _host.fullmatch(found.hostname or "") is not None


def open_message(message: Message, _declared: Declared) -> Opened:
    """Open one message; see `Envelope`."""
    if (message.header("x-amz-sns-rawdelivery") or "").lower() == "true":
        told = {"x-amz-sns-message-id": message.header("x-amz-sns-message-id") or ""}
        return Opened([Part(message.unpacked, told)], OK)
    found = json_of(message.unpacked, decode)
    if found.type == NOTIFICATION:
        told = {
            "x-amz-sns-message-id": found.message_id,
            "x-amz-sns-topic-arn": found.topic_arn,
            "x-amz-sns-timestamp": found.timestamp,
        }
        return Opened([Part(found.message.encode(), told)], OK)
    if found.type == END:
        return Opened([], OK)
    if found.type != CONFIRMATION or not is_amazon(found.subscribe_url or ""):
        raise Invalid(
            "the message is neither a notification nor a confirmation of Amazon's own",
            field="/SubscribeURL" if found.type == CONFIRMATION else "/Type",
            remedy="Confirm the subscription by hand if it is meant.",
        )
    return Opened([], OK, fetch=found.subscribe_url or "")


def failing(message: Message, status: int, title: str) -> Reply:
    """A refusal after which SNS comes again."""
    return refusing(message, status if status < 400 else 503, title)


ENVELOPE = Envelope(
    name="sns",
    open=open_message,
    unreadable=200,
    failing=failing,
    verifiers=frozenset({"sns"}),
)
