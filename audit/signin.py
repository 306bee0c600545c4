"""Sign-in of the embedded set-up: a one-time code, exchanged once for a session token.

Decides that a code lives ten minutes, a session twelve hours, and that a code works once among
all processes. Hides the work items behind it: kind "signin" under the SHA-256 of the code holds
who may sign in, and taking it is what makes the exchange happen once.
"""

from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

import msgspec

from audit.clock import Clock
from audit.errors import Rejected
from audit.roles import ROLES, Unauthenticated
from audit.rootkey import Random
from audit.tokens import Tokens

CODE_SECONDS = 600
SESSION_SECONDS = 12 * 3600

_OFFER = "signin"
_REFUSAL = "the sign-in code is unknown, used or expired: ask for a new one"


class Works(Protocol):
    """The part of the work table that sign-in needs."""

    def put(self, kind: str, key: str, body: bytes, due_us: int = 0) -> bool: ...
    def take(self, kind: str, key: str) -> "Item | None": ...


class Item(Protocol):
    """The part of a work item that sign-in needs."""

    @property
    def body(self) -> bytes: ...


class Offer(msgspec.Struct, frozen=True):
    """Who a code signs in, and until when (µs)."""

    actor: str
    roles: tuple[str, ...]
    expires_us: int


_decode_offer = msgspec.json.Decoder(Offer).decode


class Session(msgspec.Struct, frozen=True):
    """What a code was exchanged for."""

    token: str
    actor: str
    roles: tuple[str, ...]


def offer(
    work: Works,
    actor: str,
    roles: Sequence[str],
    *,
    clock: Clock,
    random: Random,
) -> str:
    """A new code for this person, good once within ten minutes; only its hash is stored."""
    if not actor or not roles or any(role not in ROLES for role in roles):
        raise Rejected(
            "a sign-in code is for a named person with known roles",
            field="/roles",
            remedy=f"Choose from {', '.join(ROLES)}.",
        )
    code = urlsafe_b64encode(random(24)).decode()
    expires_us = clock() + CODE_SECONDS * 1_000_000
    work.put(_OFFER, _key(code), msgspec.json.encode(Offer(actor, tuple(roles), expires_us)))
    return code


def redeem(work: Works, tokens: Tokens, code: str, *, clock: Clock) -> Session:
    """Exchange a code for a session token; raises `Unauthenticated` for any but a good one."""
    item = work.take(_OFFER, _key(code))
    if item is None:
        raise Unauthenticated(_REFUSAL)
    offered = _decode_offer(item.body)
    if clock() >= offered.expires_us:
        raise Unauthenticated(_REFUSAL)
    token = tokens.issue(offered.actor, offered.roles, seconds=SESSION_SECONDS)
    return Session(token, offered.actor, offered.roles)


def _key(code: str) -> str:
    return sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
