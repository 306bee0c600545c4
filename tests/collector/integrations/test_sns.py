"""Amazon's signature: made with a certificate of our own, published by a stand-in for Amazon."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from collector.adapters.sns import decode
from collector.integrations.sns import signed
from tests.collector.integrations.presenting import is_proved, message

NOW = datetime(2026, 11, 21, tzinfo=UTC)
PEM = "https://sns.us-west-2.amazonaws.com/SimpleNotificationService-f3ecfb72.pem"
TOPIC = "arn:aws:sns:us-west-2:123456789012:MyTopic"


@cache
def key() -> RSAPrivateKey:
    return generate_private_key(65_537, 2_048)


@cache
def certificate() -> bytes:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sns.amazonaws.com")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key().public_key())
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=30))
        .sign(key(), SHA256())
    )
    return made.public_bytes(Encoding.PEM)


class Amazon:
    """The one address that has the certificate; remembers what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def get(self, source: str, wanted: str = "", *, by_operator: bool = False) -> bytes:
        self.asked.append(f"by operator: {source}" if by_operator else source)
        return certificate()


def sample(shared: Path, kind: str) -> dict[str, Any]:
    raw = (shared / f"samples/aws/sns_{kind}.http").read_text().partition("\n\n")[2]
    found: dict[str, Any] = json.loads(raw)
    return {**found, "SigningCertURL": PEM}


def sign(notice: dict[str, Any], version: str = "1") -> dict[str, Any]:
    notice = {**notice, "SignatureVersion": version}
    algorithm = SHA1() if version == "1" else SHA256()
    text = signed(decode(json.dumps(notice)))
    return {**notice, "Signature": b64encode(key().sign(text, PKCS1v15(), algorithm)).decode()}


def proved(
    notice: dict[str, Any], topics: str = TOPIC, days: int = 0, amazon: Amazon | None = None
) -> bool:
    now_us = int((NOW + timedelta(days=days)).timestamp() * 1_000_000)
    return is_proved(
        "sns",
        message((), json.dumps(notice).encode()),
        now_us=now_us,
        options={"topics": topics},
        fetched=amazon or Amazon(),
    )


@pytest.mark.parametrize("version", ["1", "2"])
@pytest.mark.parametrize("kind", ["notification", "subscription_confirmation"])
def test_a_signed_message_passes_and_none_of_its_members_can_change(
    shared: Path, kind: str, version: str
) -> None:
    good = sign(sample(shared, kind), version)
    assert proved(good)
    assert proved(good, topics=f"other\n{TOPIC}")
    covered = {"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
    if kind != "notification":
        covered |= {"SubscribeURL", "Token"}
    for member in (covered & good.keys()) | {"Signature"}:
        text = good[member]
        assert not proved({**good, member: text[:-1] + ("A" if text[-1] != "A" else "B")}), member
        if member != "Subject":
            assert not proved({name: good[name] for name in good if name != member}), member
    without = {name: value for name, value in good.items() if name != "Subject"}
    assert proved(without) == ("Subject" not in good)
    assert not proved({**good, "SignatureVersion": "2" if version == "1" else "1"})
    assert not proved({**good, "SignatureVersion": "3"})


def test_the_topic_and_the_age_of_the_certificate_count(shared: Path) -> None:
    good = sign(sample(shared, "notification"))
    assert not proved(good, topics="arn:aws:sns:us-west-2:999999999999:MyTopic")
    assert not proved(good, days=31)
    assert not proved(good, days=-2)


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example/cert.pem",
        "http://sns.us-west-2.amazonaws.com/cert.pem",
        "https://sns.us-west-2.amazonaws.com/cert.pem.html",
        "https://sns.us-west-2.amazonaws.com@evil.example/cert.pem",
    ],
)
def test_a_certificate_from_elsewhere_is_not_even_fetched(shared: Path, url: str) -> None:
    amazon = Amazon()
    bad = sign({**sample(shared, "notification"), "SigningCertURL": url})
    assert not proved(bad, amazon=amazon)
    assert amazon.asked == []
    assert proved(sign(sample(shared, "notification")), amazon=amazon)
    assert amazon.asked == [PEM]  # as a sender's word, which may lead to no private number


def test_the_end_of_a_subscription_is_signed_with_its_token(shared: Path) -> None:
    """The official JavaScript library leaves the token out there."""
    end = {**sample(shared, "subscription_confirmation"), "Type": "UnsubscribeConfirmation"}
    good = sign(end)
    assert proved(good)
    assert not proved({**good, "Token": "another"})


def test_the_published_samples_with_their_cut_signatures_fail(shared: Path) -> None:
    for kind in ("notification", "subscription_confirmation"):
        assert not proved(sample(shared, kind))
    assert not proved({})
