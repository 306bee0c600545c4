"""The health of an integration as the last round left it: what lists and pages show.

Decides the state: bad or warn as the worst of what is wrong; ok for whoever logged within a day or
within its cadence; unknown where nothing says either. It lies in the work table, one item for each
integration, and `audit.api.registry` reads it there.

    integration-health   NAME      `Health` as JSON
"""

from typing import Final, Literal

import msgspec

from audit.events import rfc3339
from collector.checks.rules import Facts, Finding, length

KIND = "integration-health"
_DAY_US: Final = 86_400_000_000
State = Literal["ok", "warn", "bad", "unknown"]


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """One integration; counts are by arrival. `lost` is what its own counts say that we lack or it
    lost; `ahead_ms` how far its clock is ahead of ours, negative behind."""

    as_of: str
    state: State
    reasons: list[str]
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
    """Kinds of the alerts that stand."""


def health(facts: Facts, found: list[Finding], missing: int, alerts: list[str]) -> Health:
    """Return what is told; `missing` are all numbers that are missing now, late ones included."""
    history = facts.history
    minutes = history.minutes
    hour = facts.now_us // 3_600_000_000
    state, reasons = _state(facts, found)
    clocks = [-each.behind_us for each in minutes[-10:] if each.behind_us is not None]
    ahead_us = max((each.ahead_us for each in minutes[-10:]), default=0)
    if ahead_us > 0:
        clocks.append(ahead_us)
    return Health(
        as_of=rfc3339(facts.now_us),
        state=state,
        reasons=reasons,
        logged=rfc3339(history.logged_us) if history.logged_us else None,
        events_hour=sum(each.accepted for each in minutes),
        events_day=sum(n for at, n in history.hours.items() if hour - 24 < at <= hour),
        errors_hour=sum(each.errors for each in minutes),
        refused_hour=sum(each.refused for each in minutes),
        alone_hour=sum(each.alone for each in minutes),
        missing=missing,
        difference=facts.difference,
        dropped=facts.dropped,
        ahead_ms=max(clocks) / 1000 if clocks else None,
        lag_p95_ms=history.lag_ms(),
        alerts=alerts,
    )


def _state(facts: Facts, found: list[Finding]) -> tuple[State, list[str]]:
    reasons = [each.reason for each in found]
    kinds = {each.kind for each in found}
    if facts.missing and "gaps" not in kinds:
        reasons.append(f"{facts.missing:,} numbers are missing, which a person has seen")
    if (facts.difference or facts.dropped) and "counts" not in kinds:
        reasons.append("counts differ, which a person has seen")
    if any(each.severity == "bad" for each in found):
        return "bad", reasons
    if reasons:
        return "warn", reasons
    if not facts.history.logged_us:
        return "unknown", ["declared, but nothing was logged yet"]
    silent_us = facts.now_us - facts.history.logged_us
    if facts.cadence_us or silent_us < _DAY_US:
        return "ok", []
    return "unknown", [f"nothing logged for {length(silent_us)}, and no cadence is declared"]
