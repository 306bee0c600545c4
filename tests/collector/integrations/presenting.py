"""What tests of verifiers share: a sender's message, and what it is held against."""

from typing import Any

from audit.roles import Principal, Unauthenticated
from collector.adapters.wire import Message
from collector.errors import Unproved
from collector.integrations.declaration import Credential
from collector.integrations.proof import Presented, require
from collector.integrations.verifiers import VERIFIERS

Headers = tuple[tuple[str, str], ...]


class NoTokens:
    """Tokens of a store that issued none."""

    def authenticate(self, text: str) -> Principal:
        raise Unauthenticated("unknown")


class Nothing:
    """Where nothing can be fetched, because nothing may be asked."""

    def get(self, source: str, wanted: str = "", *, by_operator: bool = False) -> bytes:
        raise AssertionError("a verifier asked for something")


def message(
    headers: Headers, body: bytes = b"", url: str = "https://a.example/in/x", method: str = "POST"
) -> Message:
    """A message with these headers."""
    pairs = tuple((name.lower().encode(), value.encode("latin-1")) for name, value in headers)
    return Message(method=method, url=url, headers=pairs, body=body)


def is_proved(
    verifier: str,
    sent: Message,
    secrets: tuple[bytes, ...] = (),
    *,
    now_us: int = 0,
    options: dict[str, str] | None = None,
    **others: Any,
) -> bool:
    """Whether a message passes; anything but a proof or `Unproved` is an error of the test."""
    known: dict[str, Any] = {"tokens": NoTokens(), "fetched": Nothing(), **others}
    presented = Presented(
        integration=known.pop("integration", "x"),
        message=sent,
        credential=Credential(verify=verifier, options=options or {}),
        secrets=secrets,
        now_us=now_us,
        **known,
    )
    try:
        require(VERIFIERS[verifier], presented)
    except Unproved:
        return False
    return True
