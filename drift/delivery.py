"""One signed HTTP request to an address that a policy names.

Decides what goes over the wire: a CloudEvent in structured JSON, signed by Standard Webhooks
(webhook-id, webhook-timestamp, webhook-signature), no redirect followed, no proxy of the
environment used, and only the status of the answer read. Decides where it may go: an address on
this machine only when the policy's address itself says so (`localhost` or a loopback number); a
name that merely resolves there is refused, as is a link-local one (where clouds keep their
credentials), and the connection goes to the very address that was checked.
Hides how references to addresses and secrets (`env:NAME`, `file:PATH`) are resolved.
"""

import binascii
import os
import socket
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import httpx
from standardwebhooks.webhooks import Webhook

from drift.errors import Undeliverable

MEDIA_TYPE = "application/cloudevents+json"
MOST_SECRET = 4096
Address = IPv4Address | IPv6Address


def resolve_reference(reference: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what `env:NAME` or `file:PATH` stands for, anything else as it is.

    Raises `Undeliverable` where nothing is there; the message names the reference only.
    """
    kind, _, name = reference.partition(":")
    if kind == "env":
        found = (os.environ if environment is None else environment).get(name, "")
    elif kind == "file":
        try:
            found = Path(name).read_text()[: MOST_SECRET + 1].strip()
        except (OSError, UnicodeDecodeError):
            found = ""
    else:
        return reference
    if not found or len(found) > MOST_SECRET:
        raise Undeliverable(f"{reference} holds nothing that can be used; set it")
    return found


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


def deliver(url: str, headers: Mapping[str, str], body: bytes, timeout: float) -> int:
    """POST once and return the status, which is 2xx.

    Raises `Undeliverable` for any other status, a refused address, or no answer within
    `timeout` seconds; final where the receiver says that it is gone for good (410).
    """
    target, host, name = _pinned(url)
    try:
        with (
            httpx.Client(
                timeout=timeout, follow_redirects=False, trust_env=False, verify=True
            ) as client,
            client.stream(
                "POST",
                target,
                headers={**headers, "host": host},
                content=body,
                extensions={"sni_hostname": name},
            ) as response,
        ):
            status = response.status_code
    except httpx.HTTPError as error:
        raise Undeliverable(f"no answer: {type(error).__name__}") from error
    if not 200 <= status < 300:
        raise Undeliverable(f"the receiver answered {status}", final=status == 410)
    return status


def _pinned(url: str) -> tuple[httpx.URL, str, str]:
    """Return the URL with the checked number in place of its name, the Host header, the name."""
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, TypeError) as error:
        raise Undeliverable("the address is no URL", final=True) from error
    if parsed.scheme not in {"http", "https"} or not parsed.host or parsed.userinfo:
        raise Undeliverable("the address is no http(s) URL without credentials", final=True)
    port = parsed.port or (443 if parsed.scheme == "https" else 80)
    explicit = explicitly_local(parsed.host)
    try:
        found = socket.getaddrinfo(parsed.host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise Undeliverable("the name in the address does not resolve") from error
    for *_, address in found:
        number = ip_address(str(address[0]).partition("%")[0])
        if allowed(number, explicit=explicit):
            return parsed.copy_with(host=str(number)), parsed.netloc.decode(), parsed.host
    raise Undeliverable(
        "the address leads to this machine or to a link-local one without saying so", final=True
    )


def explicitly_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def allowed(number: Address, *, explicit: bool) -> bool:
    if isinstance(number, IPv6Address) and number.ipv4_mapped is not None:
        number = number.ipv4_mapped
    if number.is_loopback:
        return explicit
    return not (number.is_link_local or number.is_multicast or number.is_unspecified)
