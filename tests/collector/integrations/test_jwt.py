"""Tokens of other issuers: who signed, for whom, when and who it is must all be right."""

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from functools import cache
from typing import Any

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, RSAKey

from audit.errors import Busy, Unreachable
from audit.outgoing import Outgoing
from collector.integrations.fetched import AGAIN_US, FRESH_US, KEPT_US, Fetched
from tests.collector.integrations.presenting import is_proved, message

NOW = 1_700_000_000
EMAIL = "push@project.iam.example"
OPTIONS = {
    "issuer": "https://accounts.example\naccounts.example",
    "audience": "https://logs.example/in/ads",
    "jwks": "https://accounts.example/keys",
    "email": EMAIL,
}
CLAIMS: dict[str, Any] = {
    "iss": "https://accounts.example",
    "aud": "https://logs.example/in/ads",
    "exp": NOW + 600,
    "iat": NOW,
    "email": EMAIL,
    "email_verified": True,
}


@cache
def key(name: str) -> RSAKey:
    return RSAKey.generate_key(2048, {"kid": name})


class Keys:
    """An issuer's keys; counts how often they were asked for."""

    def __init__(self, *names: str) -> None:
        self.names = names

    def get(self, source: str, wanted: str = "", *, by_operator: bool = False) -> bytes:
        assert source == OPTIONS["jwks"]
        assert by_operator
        return json.dumps(KeySet([key(each) for each in self.names]).as_dict()).encode()


def token(claims: dict[str, Any], signed_by: str = "a", **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": signed_by, **header}, claims, key(signed_by))


def proved(text: str, **changed: Any) -> bool:
    keys = changed.pop("fetched", Keys("a", "b"))
    return is_proved(
        "jwt",
        message((("Authorization", f"Bearer {text}"),)),
        now_us=NOW * 1_000_000,
        options={**OPTIONS, **changed},
        fetched=keys,
    )


def test_a_right_token_of_either_key_proves_the_sender() -> None:
    assert proved(token(CLAIMS))
    assert proved(token(CLAIMS, "b"))
    assert proved(token({**CLAIMS, "iss": "accounts.example"}))
    assert proved(token({**CLAIMS, "aud": ["else", OPTIONS["audience"]]}))


@pytest.mark.parametrize(
    "changed",
    [
        {"iss": "https://accounts.example.evil"},
        {"iss": None},
        {"aud": "https://logs.example/in/other"},
        {"aud": None},
        {"aud": []},
        {"exp": NOW - 61},
        {"exp": None},
        {"exp": "soon"},
        {"nbf": NOW + 61},
        {"email": "somebody@else.example"},
        {"email": None},
        {"email_verified": False},
        {"email_verified": "true"},
        {"email_verified": None},
    ],
)
def test_a_wrong_claim_proves_nothing(changed: dict[str, Any]) -> None:
    claims = {name: value for name, value in {**CLAIMS, **changed}.items() if value is not None}
    assert not proved(token(claims))


def test_claims_can_name_the_sender_instead_of_an_address() -> None:
    options = {"email": "", "claims": "sub=42\nscope=log"}
    assert proved(token({**CLAIMS, "sub": "42", "scope": ["log", "read"]}), **options)
    assert not proved(token({**CLAIMS, "sub": "42"}), **options)
    assert not proved(token({**CLAIMS, "sub": "43", "scope": "log"}), **options)
    assert not proved(token(CLAIMS), email="", claims="")


def test_the_signature_counts_and_its_algorithm_is_ours_to_choose() -> None:
    good = token(CLAIMS)
    head, body, signature = good.split(".")
    assert not proved(token(CLAIMS, "c"))
    assert not proved(jwt.encode({"alg": "RS256", "kid": "a"}, CLAIMS, key("c")))
    assert not proved(f"{head}.{body}.")
    assert not proved(f"{head}.{body}.{signature[:-4]}AAAA")
    none = urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    assert not proved(f"{none}.{body}.")
    # The public key as the secret of a symmetric algorithm, the oldest trick of all.
    symmetric = urlsafe_b64encode(b'{"alg":"HS256","kid":"a"}').rstrip(b"=") + b"." + body.encode()
    mac = urlsafe_b64encode(hmac.digest(key("a").as_pem(private=False), symmetric, "sha256"))
    assert not proved(f"{symmetric.decode()}.{mac.rstrip(b'=').decode()}")
    other = ECKey.generate_key("P-256", {"kid": "a"})
    assert not proved(jwt.encode({"alg": "ES256", "kid": "a"}, CLAIMS, other))


@pytest.mark.parametrize("text", ["", "x", "..", "a.b.c", "é.é.é", "x" * 20_000])
def test_what_is_no_token_proves_nothing(text: str) -> None:
    assert not proved(text)


def test_keys_that_cannot_be_had_are_no_verdict() -> None:
    class Away:
        def get(self, source: str, wanted: str = "", *, by_operator: bool = False) -> bytes:
            raise Busy("away")

    with pytest.raises(Busy):
        proved(token(CLAIMS), fetched=Away())


class Site:
    """A server of key sets, reached without a network, and a clock."""

    def __init__(self) -> None:
        self.answers: Callable[[], httpx.Response] = lambda: httpx.Response(200, content=b"one")
        self.asked = 0
        self.now_us = 10 * FRESH_US

    def client(self, timeout: float, *, written_by_operator: bool = False) -> httpx.Client:
        assert written_by_operator

        def answer(_: httpx.Request) -> httpx.Response:
            self.asked += 1
            return self.answers()

        return httpx.Client(transport=httpx.MockTransport(answer))

    def fetched(self) -> Fetched:
        return Fetched(self, lambda: self.now_us)  # type: ignore[arg-type]  # of Outgoing, only this


def get(found: Fetched, wanted: str = "") -> bytes:
    return found.get("https://accounts.example/keys", wanted, by_operator=True)


def test_a_copy_is_believed_for_an_hour_and_then_fetched_anew() -> None:
    site = Site()
    found = site.fetched()
    assert get(found) == get(found) == b"one"
    assert site.asked == 1
    site.now_us += FRESH_US
    site.answers = lambda: httpx.Response(200, content=b"two")
    assert get(found) == b"two"


def test_an_unknown_key_is_looked_for_once_and_not_for_every_stranger() -> None:
    site = Site()
    found = site.fetched()
    get(found)
    for stranger in range(50):
        assert get(found, f"made-up-{stranger}") == b"one"
    assert site.asked == 1
    site.now_us += AGAIN_US
    site.answers = lambda: httpx.Response(200, content=b"one and new")
    assert get(found, "new") == b"one and new"
    assert site.asked == 2


def test_a_copy_outlives_its_source_for_a_day() -> None:
    site = Site()
    found = site.fetched()
    get(found)

    def away() -> httpx.Response:
        raise Unreachable("away")

    for answers in (away, lambda: httpx.Response(503), lambda: httpx.Response(302)):
        site.answers = answers
        site.now_us += FRESH_US
        assert get(found) == b"one"
    site.now_us += KEPT_US
    with pytest.raises(Busy):
        get(found)


def test_an_answer_without_end_is_no_answer() -> None:
    site = Site()
    site.answers = lambda: httpx.Response(200, content=b"x" * 300_000)
    with pytest.raises(Busy):
        get(site.fetched())


def test_no_declared_address_leads_to_the_credentials_of_a_cloud() -> None:
    found = Fetched(Outgoing(), lambda: 0)
    with pytest.raises(Busy):
        found.get("http://169.254.169.254/latest/meta-data/", by_operator=True)
    with pytest.raises(Busy):
        found.get("file:/etc/hostname")  # named by a sender and not by the operator
