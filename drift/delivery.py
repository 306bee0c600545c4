"""One signed HTTP request to an address that a policy names.

Decides what goes over the wire: a CloudEvent in structured JSON, signed by Standard Webhooks
(webhook-id, webhook-timestamp, webhook-signature), and only the status of the answer read. Where
it may go is decided by `audit.outgoing`; a policy is written by the operator, so an address on
this machine or in its network may be called where the policy says so itself.
"""

import binascii
import os
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx
from standardwebhooks.webhooks import Webhook

from audit.errors import Rejected, Unreachable
from audit.outgoing import Outgoing
from audit.references import revealed
from drift.errors import Undeliverable

MEDIA_TYPE = "application/cloudevents+json"


def resolve_reference(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what `env:NAME` or `file:PATH` stands for, anything else as it is.

    Raises `Undeliverable` where nothing is there; the message names the reference only.
    """
    try:
        return revealed(reference, os.environ if environment is None else environment)
    except Rejected as error:
        raise Undeliverable(f"{error}; set it") from error


def sign(secret: str, message: str, at_us: int, body: bytes) -> dict[str, str]:
    """Return the Standard Webhooks headers of a message; raises `Undeliverable` (bad secret)."""
    seconds = at_us // 1_000_000
    try:
        signature = Webhook(secret).sign(
            message, datetime.fromtimestamp(seconds, UTC), body.decode()
        )
    except (binascii.Error, ValueError, RuntimeError) as error:
        raise Undeliverable('the secret is not "whsec_" and base64') from error
    except Exception as error:  # the library's own error for an empty secret has a bare base
        if type(error).__name__ != "EmptyWebhookSecretError":
            raise
        raise Undeliverable("the secret is empty") from error
    return {
        "webhook-id": message,
        "webhook-timestamp": str(seconds),
        "webhook-signature": signature,
        "content-type": MEDIA_TYPE,
    }


def deliver(
    outgoing: Outgoing, url: str, headers: Mapping[str, str], body: bytes, timeout: float
) -> int:
    """POST once and return the status, which is 2xx.

    Raises `Undeliverable` for any other status, a refused address, or no answer within
    `timeout` seconds; final where the receiver says that it is gone for good (410), and where
    the address may never be called.
    """
    try:
        with (
            outgoing.client(timeout, written_by_operator=True) as client,
            client.stream("POST", url, headers=headers, content=body) as response,
        ):
            status = response.status_code
    except Unreachable as error:
        raise Undeliverable(str(error), final=error.final) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise Undeliverable("the address is no URL", final=True) from error
    except httpx.HTTPError as error:
        raise Undeliverable(f"no answer: {type(error).__name__}") from error
    if not 200 <= status < 300:
        raise Undeliverable(f"the receiver answered {status}", final=status == 410)
    return status
