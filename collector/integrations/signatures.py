"""Verifiers of senders that sign: HubSpot, Zendesk, MLflow and Standard Webhooks.

Decides what exactly each of them signs; every one signs the bytes as they were sent, so nothing
is parsed here.

    hubspot-v3         base64(HMAC-SHA256(secret, method + uri + body + timestamp in ms))
    hubspot-v2, -v1    hex(SHA-256(secret + method + uri + body)), hex(SHA-256(secret + body))
    zendesk            base64(HMAC-SHA256(secret, timestamp + body)), the secret as text
    standard-webhooks  "v1," base64(HMAC-SHA256(base64-decoded secret, id.timestamp.body))
    mlflow-webhook     the same with the secret as text, under headers of its own
"""

import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable

from audit.events import micros
from collector.errors import Unproved
from collector.integrations.proof import Presented, Verifier, require_match, require_recent

_WINDOW_SECONDS = 300
_MOST_SIGNATURES = 16
_digits = re.compile(r"[0-9]{1,16}")
# What HubSpot's documentation says is decoded before it signs, though its own library does not.
_DECODED = {
    "%3A": ":", "%2F": "/", "%3F": "?", "%40": "@", "%21": "!", "%24": "$", "%27": "'",
    "%28": "(", "%29": ")", "%2A": "*", "%2C": ",", "%3B": ";",
}  # fmt: skip
_encoded = re.compile("|".join(_DECODED), re.IGNORECASE)
_TOLERANCE = "tolerance_seconds"
_TOLERANCE_TOLD = "Seconds that the signed time may lie before or after ours."


def _hubspot_v3(presented: Presented) -> None:
    text = presented.header("x-hubspot-request-timestamp")
    require_recent(_integer(text) * 1_000, presented.now_us, _WINDOW_SECONDS)
    found = presented.header("x-hubspot-signature-v3").encode("latin-1")
    message = presented.message
    require_match(
        found,
        [
            _mac(secret, message.method.encode(), uri, message.body, text.encode())
            for secret in presented.secrets
            for uri in _urls(message.url)
        ],
    )


def _hubspot_v2(presented: Presented) -> None:
    message = presented.message
    _require_version(presented, "v2")
    require_match(
        presented.header("x-hubspot-signature").encode("latin-1"),
        [
            _digest(secret, message.method.encode(), uri, message.body)
            for secret in presented.secrets
            for uri in _urls(message.url)
        ],
    )


def _hubspot_v1(presented: Presented) -> None:
    _require_version(presented, "v1")
    require_match(
        presented.header("x-hubspot-signature").encode("latin-1"),
        [_digest(secret, presented.message.body) for secret in presented.secrets],
    )


def _require_version(presented: Presented, version: str) -> None:
    """A signature of another version is not checked under this one's rules."""
    told = presented.message.header("x-hubspot-signature-version")
    if told is not None and told.lower() != version:
        raise Unproved("the signature is of another version")


def _zendesk(presented: Presented) -> None:
    text = presented.header("x-zendesk-webhook-signature-timestamp")
    if seconds := presented.option(_TOLERANCE):  # Zendesk documents no window
        require_recent(micros(text), presented.now_us, float(seconds))
    require_match(
        presented.header("x-zendesk-webhook-signature").encode("latin-1"),
        [
            _mac(secret, text.encode("latin-1"), presented.message.body)
            for secret in presented.secrets
        ],
    )


def _standard(presented: Presented) -> None:
    keys = [_standard_key(secret) for secret in presented.secrets]
    _signed_parts(presented, "webhook-id", "webhook-timestamp", "webhook-signature", keys)


def _mlflow(presented: Presented) -> None:
    names = ("x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature")
    _signed_parts(presented, *names, presented.secrets)


def _signed_parts(
    presented: Presented, id: str, time: str, signature: str, keys: Iterable[bytes]
) -> None:
    """Check what is signed as id.timestamp.body, with one or more signatures in one header."""
    sent = presented.header(time)
    tolerance = float(presented.option(_TOLERANCE, str(_WINDOW_SECONDS)))
    require_recent(_integer(sent) * 1_000_000, presented.now_us, tolerance)
    signed = b".".join(
        (presented.header(id).encode("latin-1"), sent.encode(), presented.message.body)
    )
    accepted = [b"v1," + _mac(key, signed) for key in keys]
    found = presented.header(signature).encode("latin-1").split(b" ")
    if len(found) > _MOST_SIGNATURES:
        raise Unproved("there are too many signatures")
    if sum(hmac.compare_digest(each, one) for each in found for one in accepted) == 0:
        raise Unproved("no signature matches")


def _standard_key(secret: bytes) -> bytes:
    return b64decode(secret.removeprefix(b"whsec_"), validate=True)


def _urls(url: str) -> list[bytes]:
    return [each.encode() for each in dict.fromkeys((url, _encoded.sub(_decode, url)))]


def _decode(found: re.Match[str]) -> str:
    return _DECODED[found[0].upper()]


def _integer(text: str) -> int:
    if not _digits.fullmatch(text):
        raise Unproved("the signed time is no number")
    return int(text)


def _mac(secret: bytes, *parts: bytes) -> bytes:
    return b64encode(hmac.digest(secret, b"".join(parts), "sha256"))


def _digest(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).hexdigest().encode()


SIGNATURES = (
    Verifier(name="hubspot-v3", check=_hubspot_v3, reads_body=True, signs_url=True),
    Verifier(name="hubspot-v2", check=_hubspot_v2, reads_body=True, signs_url=True),
    Verifier(name="hubspot-v1", check=_hubspot_v1, reads_body=True),
    Verifier(
        name="zendesk", check=_zendesk, reads_body=True, options={_TOLERANCE: _TOLERANCE_TOLD}
    ),
    Verifier(
        name="standard-webhooks",
        check=_standard,
        reads_body=True,
        any_sender=True,
        options={_TOLERANCE: _TOLERANCE_TOLD},
    ),
    Verifier(
        name="mlflow-webhook", check=_mlflow, reads_body=True, options={_TOLERANCE: _TOLERANCE_TOLD}
    ),
)
