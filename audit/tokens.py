"""Bearer tokens: issued once, stored only as a hash, revocable within a second everywhere.

Decides what a token looks like, when it is good and whom it stands for. Hides where the proof
lies: TokenIssued and TokenRevoked events in the ledger, projected (by `audit.catalog`) into
documents of kind "token" under the SHA-256 of the token's text.

    mw_ and 43 characters of base64url: 32 random bytes
"""

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from hashlib import sha256
from typing import NamedTuple, Protocol

import msgspec

from audit.clock import Clock
from audit.documents import Documents
from audit.errors import NotFound, Rejected
from audit.events import SYSTEM, Event, checked_name, event_of, rfc3339
from audit.roles import INTEGRATION, ROLES, Principal, Unauthenticated
from audit.rootkey import Random

KIND = "token"
LAG_US = 500_000
"""How long a token read from the store is believed: the bound of a revocation's delay."""

_CACHED = 4096
_REFUSAL = "the token is missing, unknown, expired or revoked"


class Issued(msgspec.Struct, frozen=True, omit_defaults=True):
    """What the store knows of a token: the document of kind "token"; times in µs."""

    hash: str
    actor: str
    roles: tuple[str, ...]
    integration: str | None = None
    expires_us: int | None = None
    revoked_us: int | None = None

    @property
    def revoked(self) -> bool:
        """Whether the token was ended before its time."""
        return self.revoked_us is not None

    @property
    def expires(self) -> str | None:
        """RFC 3339 time at which it ends, None when only revoking ends it."""
        return None if self.expires_us is None else rfc3339(self.expires_us)


_decode_issued = msgspec.json.Decoder(Issued).decode


class Appends(Protocol):
    """The part of the ledger that tokens need."""

    def append(self, events: Sequence[Event]) -> Sequence[object]: ...


class _Known(NamedTuple):
    principal: Principal
    expires_us: int | None
    read_us: int


class Tokens:
    """Issues, revokes and recognises tokens; safe to share between threads."""

    def __init__(
        self,
        ledger: Appends,
        documents: Documents,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._ledger = ledger
        self._documents = documents
        self._clock = clock
        self._random = random
        self._cache: dict[str, _Known] = {}

    def issue(
        self,
        actor: str,
        roles: Sequence[str],
        *,
        integration: str | None = None,
        seconds: int | None = None,
    ) -> str:
        """A new token, told this once; it works from now for `seconds` (None: until revoked).

        Raises `Rejected` for an unknown role, no role, or an integration token without the name
        of its integration (or with the system's own).
        """
        _check(actor, roles, integration)
        text = "mw_" + urlsafe_b64encode(self._random(32)).decode().rstrip("=")
        now = self._clock()
        body: dict[str, object] = {
            "id": _hash(text),
            "time": rfc3339(now),
            "actor": actor,
            "roles": list(roles),
            "hash": _hash(text),
        }
        if integration is not None:
            body["integration"] = integration
        if seconds is not None:
            body["expires"] = rfc3339(now + seconds * 1_000_000)
        self._ledger.append([event_of("TokenIssued", SYSTEM, body)])
        return text

    def revoke(self, hash: str, *, by: str) -> None:
        """End the token with this SHA-256 (hex); `NotFound` when none was issued with it.

        Revoking twice is once. Every process refuses the token within a second.
        """
        if self._documents.get(KIND, hash) is None:
            raise NotFound("no token with this hash was issued")
        body = {"id": hash, "time": rfc3339(self._clock()), "token": hash, "actor": by}
        issued = self._issued(hash)
        if issued is not None and issued.revoked_us is None:
            self._ledger.append([event_of("TokenRevoked", SYSTEM, body)])
        self._cache.pop(hash, None)

    def authenticate(self, text: str) -> Principal:
        """Whom the token stands for; raises `Unauthenticated`, the same for every reason.

        Reads the store unless the token was read within `LAG_US`. Whatever the text, the work
        is one hash and one look-up, so that its time tells nothing about tokens that exist.
        """
        key = _hash(text)
        found = self._cached(key)
        if found is not None:
            return found
        now = self._clock()
        issued = self._issued(key)
        good = (
            issued is not None
            and hmac.compare_digest(issued.hash, key)
            and issued.revoked_us is None
            and (issued.expires_us is None or now < issued.expires_us)
        )
        if issued is None or not good:
            self._cache.pop(key, None)
            raise Unauthenticated(_REFUSAL)
        principal = Principal(issued.actor, issued.roles, issued.integration, key)
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[key] = _Known(principal, issued.expires_us, now)
        return principal

    def remembered(self, text: str) -> Principal | None:
        """The principal when `authenticate` would not have to read the store, else None."""
        return self._cached(_hash(text))

    def listed(self, after: str = "", limit: int = 200) -> list[Issued]:
        """Tokens by hash, revoked and expired ones too; `after` is the last hash seen."""
        rows = self._documents.list(KIND, "", after, limit)
        return [_decode_issued(body) for _, body in rows]

    def _cached(self, key: str) -> Principal | None:
        known = self._cache.get(key)
        if known is None:
            return None
        now = self._clock()
        # A clock that was set back makes the entry look younger than it is: read again.
        fresh = known.read_us <= now < known.read_us + LAG_US
        if not fresh or (known.expires_us is not None and now >= known.expires_us):
            return None
        return known.principal

    def _issued(self, key: str) -> Issued | None:
        body = self._documents.get(KIND, key)
        return None if body is None else _decode_issued(body)


def _hash(text: str) -> str:
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _check(actor: str, roles: Sequence[str], integration: str | None) -> None:
    if not 0 < len(actor) <= 256 or not actor.isprintable():
        raise Rejected("the actor of a token has 1 to 256 printable characters", field="/actor")
    unknown = [role for role in roles if role not in ROLES]
    if unknown or not roles:
        raise Rejected(
            "a token has one or more of the known roles",
            field="/roles",
            remedy=f"Choose from {', '.join(ROLES)}.",
        )
    if integration is None:
        if INTEGRATION in roles:
            raise Rejected(
                "a token of role integration belongs to one integration",
                field="/integration",
                remedy="Name the integration.",
            )
    elif checked_name(integration) == SYSTEM:
        raise Rejected(f"the integration {SYSTEM} is the system's own", field="/integration")
