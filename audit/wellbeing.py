"""The health of integrations, as the read side tells it.

Decides which fields of it are told here, and how long they are believed. It is gathered by package
`collector`, which this package never imports: the two meet in work items of kind
"integration-health", one for each integration, and fields that are unknown here are ignored.
"""

from collections.abc import Sequence
from typing import Final, Literal, Protocol

import msgspec

from audit.events import micros

KIND = "integration-health"
_FRESH_US: Final = 300_000_000


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """One integration as the newest round found it (`as_of`); counts are by arrival.

    `missing` numbers of its producers; `difference` events between its own counts and ours, and
    `dropped` that it lost itself; `alone_hour` calls without request or response; `ahead_ms`: how
    far its clock is ahead of ours; `lag_p95_ms` from an event to its arrival; `alerts` that stand.
    """

    as_of: str | None = None
    state: Literal["ok", "warn", "bad", "unknown"] = "unknown"
    reasons: list[str] = []
    logged: str | None = None
    events_hour: int = 0
    events_day: int = 0
    errors_hour: int = 0
    refused_hour: int = 0
    alone_hour: int = 0
    missing: int = 0
    difference: int = 0
    dropped: int = 0
    ahead_ms: float | None = None
    lag_p95_ms: float | None = None
    alerts: list[str] = []


UNSEEN: Final = Health(reasons=["nobody has looked at it yet: modelwitness schedule does"])
_decode = msgspec.json.Decoder(Health).decode


class Item(Protocol):
    """What the work table gives back."""

    @property
    def key(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class ListsWork(Protocol):
    """The part of the work table that is read here."""

    def list(self, kind: str, after: str = "", limit: int = 200) -> Sequence[Item]: ...


def healths(work: ListsWork, now_us: int) -> dict[str, Health]:
    """Return what is known, by integration; what was found long ago tells no state any more."""
    found: dict[str, Health] = {}
    after = ""
    while page := work.list(KIND, after):
        found.update((each.key, _aged(_decode(each.body), now_us)) for each in page)
        after = page[-1].key
    return found


def _aged(health: Health, now_us: int) -> Health:
    if health.as_of is None or now_us - micros(health.as_of) <= _FRESH_US:
        return health
    told = f"nobody has looked since {health.as_of}: is modelwitness schedule running?"
    return msgspec.structs.replace(health, state="unknown", reasons=[told, *health.reasons])
