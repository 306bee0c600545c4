"""Every published signature passes, and none of its parts can be changed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.integrations.signatures import SIGNATURES
from collector.integrations.verifiers import VERIFIERS
from tests.collector.integrations.presenting import is_proved, message

ROOT = Path(__file__).resolve().parents[4]
SAMPLES = ROOT / "shared" / "samples"
MINUTE_US = 60_000_000


@dataclass(frozen=True)
class Vector:
    """One published signature: everything that it covers."""

    verifier: str
    secret: bytes
    headers: tuple[tuple[str, str], ...]
    body: bytes
    now_us: int
    url: str = "https://a.example/in/x"
    method: str = "POST"
    signature: str = ""
    time: str = ""

    def passes(self, **changed: Any) -> bool:
        secrets = changed.pop("secrets", None)
        found = replace(self, **changed)
        return is_proved(
            found.verifier,
            message(found.headers, found.body, found.url, found.method),
            secrets or (found.secret,),
            now_us=found.now_us,
        )

    def with_header(self, name: str, value: str) -> tuple[tuple[str, str], ...]:
        return tuple((key, value if key == name else old) for key, old in self.headers)


def _hubspot() -> Iterator[Vector]:
    for each in json.loads((SAMPLES / "hubspot/signature_vectors.json").read_text()):
        version = each["version"]
        headers: tuple[tuple[str, str], ...]
        if version == "v3":
            headers = (
                ("X-HubSpot-Signature-v3", each["signature"]),
                ("X-HubSpot-Request-Timestamp", each["timestamp"]),
            )
        else:
            headers = (
                ("X-HubSpot-Signature", each["signature"]),
                ("X-HubSpot-Signature-Version", version),
            )
        yield Vector(
            verifier=f"hubspot-{version}",
            secret=each["client_secret"].encode(),
            headers=headers,
            body=each["body"].encode(),
            now_us=int(each.get("timestamp", 0)) * 1_000,
            url=each.get("uri", ""),
            method=each.get("method", "POST"),
            signature=headers[0][0],
            time="X-HubSpot-Request-Timestamp" if version == "v3" else "",
        )


def _zendesk() -> Iterator[Vector]:
    for each in json.loads((SAMPLES / "zendesk/signature_vectors.json").read_text()):
        body = each.get("body", "").encode()
        if "body_file" in each:
            body = (SAMPLES / "zendesk" / each["body_file"]).read_bytes()
        yield Vector(
            verifier="zendesk",
            secret=each["secret"].encode(),
            headers=(
                ("X-Zendesk-Webhook-Signature", each["signature"]),
                ("X-Zendesk-Webhook-Signature-Timestamp", each["timestamp"]),
            ),
            body=body,
            now_us=0,
            signature="X-Zendesk-Webhook-Signature",
            time="X-Zendesk-Webhook-Signature-Timestamp",
        )


def _parts(folder: str, file: str, verifier: str, names: tuple[str, str, str]) -> Vector:
    each = json.loads((SAMPLES / folder / file).read_text())
    return Vector(
        verifier=verifier,
        secret=each["secret"].encode(),
        headers=tuple((name, each[name]) for name in names),
        body=each["body"].encode(),
        now_us=int(each[names[1]]) * 1_000_000,
        signature=names[2],
        time=names[1],
    )


def _vectors() -> list[Vector]:
    if not SAMPLES.is_dir():
        return []
    return [
        *_hubspot(),
        *_zendesk(),
        _parts(
            "standard-webhooks",
            "vector.json",
            "standard-webhooks",
            ("webhook-id", "webhook-timestamp", "webhook-signature"),
        ),
        _parts(
            "mlflow",
            "webhook_signature_vector.json",
            "mlflow-webhook",
            ("X-MLflow-Delivery-Id", "X-MLflow-Timestamp", "X-MLflow-Signature"),
        ),
    ]


VECTORS = _vectors()
named = pytest.mark.parametrize(
    "vector", VECTORS, ids=[f"{each.verifier}-{at}" for at, each in enumerate(VECTORS)]
)


def test_there_are_vectors_of_every_signing_sender(shared: Path) -> None:
    signing = {each.name for each in SIGNATURES}
    assert {each.verifier for each in VECTORS} == signing


@named
def test_a_published_signature_passes_with_either_active_secret(vector: Vector) -> None:
    other = b"whsec_" + b"A" * 32
    assert vector.passes()
    assert vector.passes(secrets=(other, vector.secret))
    assert vector.passes(secrets=(vector.secret, other))


@named
def test_a_change_of_any_byte_of_the_body_fails(vector: Vector) -> None:
    body = vector.body
    for at in range(0, len(body), max(1, len(body) // 97)):
        assert not vector.passes(body=body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :])
    assert not vector.passes(body=body + b" ")
    assert not body or not vector.passes(body=body[:-1])


@named
def test_a_change_of_the_secret_fails(vector: Vector) -> None:
    for at in range(len(vector.secret)):
        # One bit that base64 keeps: a letter for another.
        changed = b"B" if vector.secret[at : at + 1] == b"A" else b"A"
        secret = vector.secret[:at] + changed + vector.secret[at + 1 :]
        assert not vector.passes(secret=secret), at
    assert not vector.passes(secret=b"")


@named
def test_a_change_of_any_character_of_the_signature_fails(vector: Vector) -> None:
    text = dict(vector.headers)[vector.signature]
    for at in range(len(text)):
        changed = "1" if text[at] == "0" else "0"
        assert not vector.passes(
            headers=vector.with_header(vector.signature, text[:at] + changed + text[at + 1 :])
        ), at
    for hostile in ("", "v1", "v1,", ",", "ÿ" * 44, "=" * 44, "v1," * 99, "A" * 100_000):
        assert not vector.passes(headers=vector.with_header(vector.signature, hostile))


@named
def test_a_missing_or_repeated_header_fails(vector: Vector) -> None:
    for at, (name, value) in enumerate(vector.headers):
        if name != "X-HubSpot-Signature-Version":
            assert not vector.passes(headers=vector.headers[:at] + vector.headers[at + 1 :])
        assert not vector.passes(headers=(*vector.headers, (name, value)))


@named
def test_a_changed_time_fails(vector: Vector) -> None:
    if not vector.time:
        return
    text = dict(vector.headers)[vector.time]
    for at in range(len(text)):
        changed = "1" if text[at] == "0" else "0"
        headers = vector.with_header(vector.time, text[:at] + changed + text[at + 1 :])
        assert not vector.passes(headers=headers), at
    for hostile in ("", "-1", "nan", "1e9", "²", "9" * 400, " 1", "1 "):
        assert not vector.passes(headers=vector.with_header(vector.time, hostile)), hostile


@named
def test_a_change_of_address_or_method_fails_where_they_are_signed(vector: Vector) -> None:
    signs = VERIFIERS[vector.verifier].signs_url
    for url in (vector.url + "?a=1", vector.url[:-1], vector.url.upper(), "http" + vector.url[5:]):
        assert vector.passes(url=url) != signs, url
    assert vector.passes(method="PUT") != signs


@named
def test_an_old_signature_is_refused_where_the_sender_signs_a_window(vector: Vector) -> None:
    windowed = vector.verifier in {"hubspot-v3", "standard-webhooks", "mlflow-webhook"}
    for minutes in (5, -5):
        assert vector.passes(now_us=vector.now_us + minutes * MINUTE_US)
        late = vector.now_us + minutes * MINUTE_US + (1 if minutes > 0 else -1)
        assert vector.passes(now_us=late) != windowed


def test_a_zendesk_time_counts_where_the_declaration_wants_it(shared: Path) -> None:
    vector = next(each for each in VECTORS if dict(each.headers).get(each.time, "")[:4] == "2021")
    now_us = 1_616_648_967_000_000
    sent = message(vector.headers, vector.body)
    options = {"tolerance_seconds": "60"}
    secrets = (vector.secret,)
    assert is_proved("zendesk", sent, secrets, now_us=now_us, options=options)
    assert not is_proved("zendesk", sent, secrets, now_us=now_us + 2 * MINUTE_US, options=options)


def test_hubspot_may_sign_an_address_with_characters_decoded(shared: Path) -> None:
    """Its documentation says so and its library does not: both are taken."""
    import base64
    import hashlib
    import hmac

    body, sent_at = b"[]", "1693657560000"
    plain = "https://a.example/in/x?to=a:b/c@d"
    encoded = "https://a.example/in/x?to=a%3Ab%2Fc%40d"
    mac = hmac.digest(b"key", b"POST" + plain.encode() + body + sent_at.encode(), hashlib.sha256)
    headers = (
        ("X-HubSpot-Signature-v3", base64.b64encode(mac).decode()),
        ("X-HubSpot-Request-Timestamp", sent_at),
    )
    now_us = int(sent_at) * 1_000
    sent = message(headers, body, encoded)
    assert is_proved("hubspot-v3", sent, (b"key",), now_us=now_us)


SIGNING = sorted(each.name for each in SIGNATURES)
NAMES = sorted({name for each in VECTORS for name, _ in each.headers})


@given(
    verifier=st.sampled_from(SIGNING),
    values=st.dictionaries(
        st.sampled_from(NAMES or ["x"]), st.text(st.characters(max_codepoint=255), max_size=60)
    ),
    body=st.binary(max_size=60),
)
def test_nothing_made_up_passes_and_nothing_breaks(
    verifier: str, values: dict[str, str], body: bytes
) -> None:
    sent = message(tuple(values.items()), body)
    assert not is_proved(verifier, sent, (b"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", b"other"))
