"""Shapes of what the API tells about integrations; as tolerant as `answers`."""

from __future__ import annotations

from msgspec import Struct, field


class Health(Struct, frozen=True):
    """How an integration was found in the newest round, at `as_of`; counts are by arrival."""

    as_of: str | None = None
    state: str = "unknown"
    reasons: tuple[str, ...] = ()
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
    alerts: tuple[str, ...] = ()


class Gap(Struct, frozen=True):
    """Missing numbers, both ends included, and the times of the events around them."""

    first: int
    last: int
    count: int = 0
    after: str | None = None
    before: str | None = None


class Producer(Struct, frozen=True):
    producer: str = ""
    seen: int = 0
    lowest: int | None = None
    highest: int | None = None
    missing: int = 0
    uncounted: int = 0
    repeated: int = 0
    gaps: tuple[Gap, ...] = ()


class Gaps(Struct, frozen=True):
    integration: str = ""
    missing: int = 0
    repeated: int = 0
    producers: int = 0
    forgotten: int = 0
    forgotten_missing: int = 0
    strange: int = 0
    items: tuple[Producer, ...] = ()


class Report(Struct, frozen=True):
    """A producer's own count beside ours; state is equal, differs, waiting or unknown."""

    producer: str = ""
    start: str | None = field(name="from", default=None)
    end: str | None = field(name="to", default=None)
    told: str | None = None
    index: int | None = None
    state: str = "unknown"
    counts: dict[str, int] = field(default_factory=dict)
    ours: dict[str, int] | None = None
    lacking: int = 0
    beyond: int = 0
    dropped: int = 0


class Counts(Struct, frozen=True):
    integration: str = ""
    reports: int = 0
    differing: int = 0
    lacking: int = 0
    beyond: int = 0
    dropped: int = 0
    items: tuple[Report, ...] = ()


class Kept(Struct, frozen=True):
    """What was refused for one reason and is kept: nothing of its content."""

    id: str
    integration: str = "-"
    received: str | None = None
    reason: str = ""
    field: str = ""
    remedy: str = ""
    items: int = 0
    bytes: int = 0


class Replayed(Struct, frozen=True):
    """What became of it when it was taken once more; a single event has a receipt only."""

    accepted: int | None = None
    duplicates: int = 0
    rejected: tuple[object, ...] | int = ()
    duplicate: bool = False
