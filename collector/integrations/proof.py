"""What a verifier is: a check of what a sender presents, under a name that declarations use.

Decides that a check returns nothing or raises, that whatever it raises means the same to the
sender (`Unproved`, no reason), and that only `Busy` is passed on, because then nothing was decided:
keys could not be fetched, a secret could not be read. Comparisons take the same time whichever
byte differs, and every active secret is compared.
"""

import hmac
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from types import MappingProxyType
from typing import Protocol

from audit.errors import Busy
from audit.roles import Principal
from collector.adapters.wire import Message
from collector.errors import Unproved
from collector.integrations.declaration import Credential

ADDRESSES, ADDRESS_HEADER = "addresses", "address_header"
EVERYWHERE: Mapping[str, str] = MappingProxyType(
    {
        ADDRESSES: "Networks from which the sender may call, besides what else it must prove.",
        ADDRESS_HEADER: (
            "Header whose last address is the sender's, set by a proxy that alone can reach us."
        ),
    }
)
"""Options of every verifier."""


class KnowsTokens(Protocol):
    """The part of our tokens that verifiers need."""

    def authenticate(self, text: str) -> Principal: ...


class Fetches(Protocol):
    """Something fetched and remembered, by where it is."""

    def get(self, source: str, wanted: str = "", *, by_operator: bool = False) -> bytes:
        """Return what stands at `source`, anew where it is old or lacks the text `wanted`.

        `by_operator` says that the address stands in a declaration and not in a message. Raises
        `Busy` where it cannot be had.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a sender presents, and what it is held against; `body` is b"" where none is needed.

    `secrets` are the active ones; `path_secret` is what followed the integration's name in the
    path, `peer` the number from which the connection came, `now_us` our time.
    """

    integration: str
    message: Message
    credential: Credential
    secrets: tuple[bytes, ...] = ()
    path_secret: str = ""
    peer: str = ""
    now_us: int = 0
    tokens: KnowsTokens
    fetched: Fetches

    def header(self, name: str) -> str:
        """Return a header that must be there once; raises where it is not."""
        found = self.message.header(name)
        if found is None:
            raise Unproved(f"the header {name} is missing")
        return found

    def option(self, name: str, default: str = "") -> str:
        """Return an option of the declared credential."""
        return self.credential.options.get(name, default)


Check = Callable[[Presented], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Verifier:
    """One way to prove who calls.

    `options` are the keys that a declaration may set, with a sentence each; `required` those that
    it must. `reads_body`: the check needs the body, so that strangers make us read one.
    `slow`: it asks the store or the network, and is made beside the event loop.
    """

    name: str
    check: Check
    secrets: bool = True
    options: Mapping[str, str] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    any_sender: bool = False
    reads_body: bool = False
    signs_url: bool = False
    slow: bool = False


def require(verifier: Verifier, presented: Presented) -> None:
    """Return where the sender proved who it is; raises `Unproved`, or `Busy` for no decision."""
    try:
        _require_address(presented)
        verifier.check(presented)
    except Busy:
        raise
    except Exception:  # noqa: BLE001  (whatever a hostile header does to a parser means: not proved)
        raise Unproved(
            "the sender did not prove to be this integration",
            remedy="Check the credential here and there; the reason is not told to the sender.",
        ) from None


def require_match(found: bytes, accepted: Iterable[bytes]) -> None:
    """Raise `Unproved` unless `found` is one of those accepted; all of them are compared."""
    # `any` would stop at the first and so tell which one it was.
    if sum(hmac.compare_digest(found, each) for each in accepted) == 0:
        raise Unproved("it does not match")


def require_recent(sent_us: int, now_us: int, seconds: float) -> None:
    """Raise `Unproved` where a signed time lies further than `seconds` before or after now."""
    if abs(now_us - sent_us) > seconds * 1_000_000:
        raise Unproved("the time of the signature is not now")


def _require_address(presented: Presented) -> None:
    listed = presented.option(ADDRESSES)
    if not listed:
        return
    header = presented.option(ADDRESS_HEADER).lower()
    peer = presented.header(header).rpartition(",")[2].strip() if header else presented.peer
    number = ip_address(peer)
    mapped = getattr(number, "ipv4_mapped", None)
    number = mapped or number
    if not any(number in ip_network(each, strict=False) for each in listed.split("\n")):
        raise Unproved("the sender's address is not among those declared")
