"""What counts as trouble of an integration: one rule for each kind, pure.

Decides the thresholds. A rule that compares says nothing while it knows too little, and one that
stands is over only when its figure has fallen to half of what raised it, so that nothing flickers.
"""

from collections.abc import Iterator, Mapping
from math import sqrt
from statistics import median
from typing import Final, Literal

import msgspec

from collector.checks.history import History

Kind = Literal[
    "silence",
    "volume",
    "errors",
    "rejects",
    "gaps",
    "counts",
    "skew",
    "lag",
    "unpaired",
    "late",
    "still",
]
Severity = Literal["bad", "warn"]

SHARE: Final = 0.05
"""Share of errors, of refusals and of requests alone, above which it is trouble."""
FEW: Final = 20
"""Predictions or items below which no share is taken."""
CLOCK_US: Final = 10_000_000
CLOCK_BEHIND_US: Final = 60_000_000
LATE_MS: Final = 600_000.0
MUCH_LATER: Final = 10
"""Times its usual lag."""
LAG_HOURS: Final = 24
"""Hours of lag that must be known."""
MANY: Final = 50
"""Entries of an hour below which a change of volume says nothing."""
WEEK: Final = 7 * 24


class Finding(msgspec.Struct, frozen=True):
    """One trouble; `measured` is its figure, for those that only grow."""

    kind: Kind
    severity: Severity
    reason: str
    measured: int = 0


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """All that the rules look at; times in µs, -1 for an hour that is not known yet.

    `missing` numbers have been missing for a while; `streams` say why they stand still.
    """

    now_us: int
    history: History
    cadence_us: int = 0
    declared_us: int = 0
    missing: int = 0
    difference: int = 0
    dropped: int = 0
    late: tuple[str, ...] = ()
    streams: tuple[str, ...] = ()
    standing: frozenset[str] = frozenset()


def findings(facts: Facts) -> Iterator[Finding]:
    """Give what is wrong."""
    for rule in (_silence, _volume, _errors, _rejects, _skew, _lag, _unpaired, _late, _still):
        found = rule(facts)
        if found is not None:
            yield found
    yield from _lost(facts)


def _silence(facts: Facts) -> Finding | None:
    last_us = max(facts.history.logged_us, facts.declared_us)
    if not facts.cadence_us or not last_us or facts.now_us - last_us <= facts.cadence_us:
        return None
    silent = "nothing since it was declared"
    if facts.history.logged_us:
        silent = f"nothing logged for {length(facts.now_us - facts.history.logged_us)}"
    return Finding("silence", "bad", f"{silent}; declared cadence: {length(facts.cadence_us)}")


def _volume(facts: Facts) -> Finding | None:
    hour = facts.now_us // 3_600_000_000 - 1
    told = changed(facts.history.hours, facts.history.since_hour, hour)
    return Finding("volume", "warn", told) if told else None


def changed(hours: Mapping[int, int], since: int, hour: int) -> str:
    """Return how the volume of an hour differs from that of the same hour before, "" if not.

    It must differ from the median of the last seven days and from that of the last weeks: by half
    or threefold, and by more than chance and their own spread explain. A week must be known.
    """
    if since < 0 or hour - since <= WEEK:
        return ""
    now = hours.get(hour, 0)
    days = [hours.get(hour - 24 * back, 0) for back in range(1, 8)]
    weeks = [hours.get(hour - WEEK * back, 0) for back in range(1, 5) if hour - WEEK * back > since]
    ways = {_differs(now, known) for known in (days, weeks)}
    if len(ways) > 1 or ways == {0}:
        return ""
    return f"{now:,} events in an hour that usually has {median(days):,.0f}"


def _differs(now: int, known: list[int]) -> int:
    """Return 1 where there are many more than usual, -1 where there are far fewer, else 0."""
    usual = median(known)
    spread = 1.4826 * median(abs(each - usual) for each in known)
    if max(now, usual) < MANY or abs(now - usual) <= 5 * max(spread, sqrt(usual)):
        return 0
    if now > 3 * usual:
        return 1
    return -1 if now < usual / 2 else 0


def _errors(facts: Facts) -> Finding | None:
    errors, predictions = _sum(facts, "errors"), _sum(facts, "predictions")
    if not _much(facts, "errors", errors, predictions):
        return None
    return Finding(
        "errors", "bad", f"{errors:,} of {predictions:,} predictions of the last hour failed"
    )


def _rejects(facts: Facts) -> Finding | None:
    refused, accepted = _sum(facts, "refused"), _sum(facts, "accepted")
    if not _much(facts, "rejects", refused, refused + accepted):
        return None
    told = f"{refused:,} of {refused + accepted:,} items of the last hour were refused"
    return Finding("rejects", "bad", f"{told}; what was kept of them is in quarantine")


def _unpaired(facts: Facts) -> Finding | None:
    alone, accepted = _sum(facts, "alone"), _sum(facts, "accepted")
    if not _much(facts, "unpaired", alone, max(alone, accepted)):
        return None
    return Finding("unpaired", "warn", f"{alone:,} calls of the last hour lack request or response")


def _much(facts: Facts, kind: Kind, part: int, whole: int) -> bool:
    share = SHARE / 2 if kind in facts.standing else SHARE
    return whole >= FEW and part > share * whole


def _sum(facts: Facts, field: str) -> int:
    return sum(getattr(each, field) for each in facts.history.minutes)


def _skew(facts: Facts) -> Finding | None:
    minutes = facts.history.minutes
    part = 0.5 if "skew" in facts.standing else 1
    behind = [each.behind_us for each in minutes if each.behind_us is not None]
    ahead_us = max(
        [0, *(each.ahead_us for each in minutes[-10:]), *(-each for each in behind[-10:])]
    )
    if ahead_us > CLOCK_US * part:
        told = f"its clock is ahead of ours: by {length(ahead_us)}"
        return Finding("skew", "warn", told)
    behind_us = min(behind[-10:], default=0)
    if behind_us > CLOCK_BEHIND_US * part:
        return Finding("skew", "warn", f"its clock is behind ours: by {length(behind_us)}")
    return None


def _lag(facts: Facts) -> Finding | None:
    now, known = facts.history.lag_ms(), facts.history.lags
    if now is None or len(known) < LAG_HOURS:
        return None
    usual = median(known.values())
    part = 0.5 if "lag" in facts.standing else 1
    if now <= max(LATE_MS, MUCH_LATER * usual) * part:
        return None
    told = f"1 in 20 events comes later than {length(now * 1000)}"
    return Finding("lag", "warn", f"{told} after it happened; usual: {length(usual * 1000)}")


def _late(facts: Facts) -> Finding | None:
    if not facts.late:
        return None
    more = f" and {len(facts.late) - 3} more" if len(facts.late) > 3 else ""
    return Finding("late", "bad", f"files are late: {', '.join(facts.late[:3])}{more}")


def _still(facts: Facts) -> Finding | None:
    return Finding("still", "bad", "; ".join(facts.streams)) if facts.streams else None


def _lost(facts: Facts) -> Iterator[Finding]:
    """What only grows is told again when it has grown beyond what a person has seen."""
    history = facts.history
    if facts.missing > history.accepted_missing:
        told = f"{facts.missing:,} numbers of its producers are missing"
        yield Finding("gaps", "bad", told, facts.missing)
    lost = facts.difference + facts.dropped
    if lost > history.accepted_difference:
        parts = []
        if facts.difference:
            parts.append(f"its own counts differ from ours by {facts.difference:,} events")
        if facts.dropped:
            parts.append(f"it lost {facts.dropped:,} events before it could send them")
        yield Finding("counts", "bad", " and ".join(parts), lost)


def length(us: float) -> str:
    """Return a length of time in words, to the unit that says enough."""
    seconds = us / 1e6
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size or (seconds >= size and seconds % size == 0):
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
