"""Senders that show a secret are known by it alone, wherever it stands."""

from base64 import b64encode

import pytest

from audit.roles import Principal, Unauthenticated
from collector.integrations.verifiers import VERIFIERS
from tests.collector.integrations.presenting import Headers, is_proved, message

SECRETS = (b"newest-secret-of-many-letters", b"older-secret-of-many-letters")
PROXY = {"header": "x-client-cert", "certificates": "CN=crm,O=Acme\nAB:" + "cd" * 31}


def basic(text: bytes) -> Headers:
    return (("Authorization", "Basic " + b64encode(text).decode()),)


@pytest.mark.parametrize("secret", SECRETS)
def test_either_active_secret_is_accepted_and_no_other(secret: bytes) -> None:
    def proved(shown: str) -> list[bool]:
        url = f"https://a.example/in/x?a=1&code={shown}"
        return [
            is_proved(
                "header",
                message((("X-Secret", shown),)),
                SECRETS,
                options={"header": "X-Secret"},
            ),
            is_proved(
                "header",
                message((("Authorization", f"bearer {shown}"),)),
                SECRETS,
                options={"header": "authorization", "prefix": "Bearer"},
            ),
            is_proved("basic", message(basic(shown.encode())), SECRETS),
            is_proved(
                "basic",
                message(basic(b"crm:" + shown.encode())),
                SECRETS,
                options={"user": "crm"},
            ),
            is_proved("path", message(()), SECRETS, path_secret=shown),
            is_proved("query", message((), url=url), SECRETS, options={"parameter": "code"}),
            is_proved(
                "mtls",
                message((("x-client-cert", "CN=crm,O=Acme"), ("x-proxy-secret", shown))),
                SECRETS,
                options=PROXY,
            ),
        ]

    text = secret.decode()
    assert all(proved(text))
    for wrong in ("", text[:-1], text + "x", text.upper(), "ÿ" + text[1:], text + "\n"):
        assert not any(proved(wrong)), wrong


def test_what_is_missing_or_said_twice_proves_nothing() -> None:
    text = SECRETS[0].decode()
    for headers in ((), (("X-Secret", text), ("X-Secret", text))):
        assert not is_proved("header", message(headers), SECRETS, options={"header": "X-Secret"})
    twice = f"https://a.example/in/x?code={text}&code={text}"
    assert not is_proved("query", message((), url=twice), SECRETS, options={"parameter": "code"})
    assert not is_proved("path", message(()), SECRETS)
    for bad in (("Authorization", "Basic !"), ("Authorization", "Basic"), ("Authorization", "x")):
        assert not is_proved("basic", message((bad,)), SECRETS)


def test_without_a_secret_nothing_is_proved() -> None:
    """An empty secret must never be equal to a header that is empty."""
    for name in ("header", "basic", "path", "query", "mtls"):
        options = {"header": "x-client-cert", "parameter": "code", "certificates": "CN=crm,O=Acme"}
        headers = (("x-client-cert", ""), ("x-proxy-secret", ""), ("Authorization", "Basic "))
        assert not is_proved(name, message(headers), (), options=options)


def test_a_certificate_counts_only_behind_the_proxy_and_only_if_declared() -> None:
    def proved(certificate: str, shown: str) -> bool:
        headers = (("x-client-cert", certificate), ("x-proxy-secret", shown))
        return is_proved("mtls", message(headers), SECRETS, options=PROXY)

    right = SECRETS[1].decode()
    assert proved("ab" + "cd" * 31, right)  # the notation of a fingerprint is the proxy's
    assert proved("AB:" + ":".join(["CD"] * 31), right)
    assert not proved("ac" + "cd" * 31, right)
    assert not proved("CN=crm,O=acme", right)
    assert not proved("", right)
    assert not proved("CN=crm,O=Acme", "")


class Tokens:
    """A store with one token, of integration crm."""

    def __init__(self, roles: tuple[str, ...] = ("integration",)) -> None:
        self._roles = roles

    def authenticate(self, text: str) -> Principal:
        if text != "mw_right":
            raise Unauthenticated("unknown")
        return Principal("crm", self._roles, "crm")


def test_a_token_of_ours_counts_for_its_own_integration() -> None:
    sent = message((("Authorization", "Bearer mw_right"),))
    assert is_proved("bearer", sent, integration="crm", tokens=Tokens())
    assert not is_proved("bearer", sent, integration="erp", tokens=Tokens())
    assert not is_proved("bearer", sent, integration="crm", tokens=Tokens(("ops",)))
    wrong = message((("Authorization", "Bearer mw_wrong"),))
    assert not is_proved("bearer", wrong, integration="crm", tokens=Tokens())


def test_addresses_bound_where_a_sender_may_call_from() -> None:
    def proved(peer: str, options: dict[str, str], forwarded: str = "") -> bool:
        headers = (("x-forwarded-for", forwarded),) if forwarded else ()
        return is_proved(
            "path",
            message(headers),
            SECRETS,
            options=options,
            peer=peer,
            path_secret=SECRETS[0].decode(),
        )

    near = {"addresses": "192.0.2.0/24\n2001:db8::/32"}
    assert proved("192.0.2.7", near)
    assert proved("::ffff:192.0.2.7", near)
    assert proved("2001:db8::1", near)
    assert not proved("198.51.100.1", near)
    assert not proved("", near)
    behind = {**near, "address_header": "X-Forwarded-For"}
    # The last address is the proxy's word; those before it are the sender's own.
    assert proved("10.0.0.1", behind, "198.51.100.1, 192.0.2.7")
    assert not proved("192.0.2.7", behind, "192.0.2.7, 198.51.100.1")
    assert not proved("192.0.2.7", behind)


def test_every_option_is_told_in_a_sentence_and_required_ones_exist() -> None:
    for each in VERIFIERS.values():
        assert each.required <= each.options.keys()
        assert all(sentence.endswith(".") for sentence in each.options.values())
