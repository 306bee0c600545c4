"""The time range of a page: from what the URL says to two instants and a step.

Ranges end now, except `all`, which spans what the ledger holds; so that a year of history is shown
at once and not as an empty last day.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from dashboard import wording

LENGTHS: Final[dict[str, timedelta]] = {
    "1h": timedelta(hours=1),
    "24h": timedelta(days=1),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "90d": timedelta(days=90),
    "1y": timedelta(days=365),
}
PRESETS: Final = (*LENGTHS, "all")
# The API refuses more days than this in one question.
LONGEST: Final = timedelta(days=2_990)
# A chart is readable, and its query small, with at most this many bins.
MOST_BINS: Final = 400


@dataclass(frozen=True, slots=True)
class Span:
    """Half open `[start, end)` in UTC."""

    start: datetime
    end: datetime
    preset: str | None

    @property
    def length(self) -> timedelta:
        return self.end - self.start

    @property
    def step(self) -> str:
        """`minute`, `hour` or `day`: the finest that keeps a chart readable."""
        for name, size in (("minute", 60), ("hour", 3_600)):
            if self.length.total_seconds() / size <= MOST_BINS:
                return name
        return "day"

    @property
    def query(self) -> dict[str, str]:
        return {"from": wording.rfc3339(self.start), "to": wording.rfc3339(self.end)}

    @property
    def label(self) -> str:
        if self.length > timedelta(days=2):
            return f"{self.start:%Y-%m-%d} – {self.end - timedelta(seconds=1):%Y-%m-%d}"
        return f"{self.start:%Y-%m-%d %H:%M} – {self.end:%Y-%m-%d %H:%M}"


def resolve(
    preset: str | None,
    start: datetime | None,
    end: datetime | None,
    now: datetime,
    extent: tuple[datetime, datetime] | None,
) -> Span:
    """Explicit instants win, then the preset; without either, a day if there is a recent one."""
    if start is not None and end is not None and _utc(start) < _utc(end):
        return Span(_utc(start), _utc(end), None)
    if preset is None:
        recent = extent is None or now - extent[1] < LENGTHS["24h"]
        preset = "24h" if recent else "all"
    if preset in LENGTHS:
        return Span(now - LENGTHS[preset], now, preset)
    if extent is None:
        return Span(now - LENGTHS["1y"], now, "all")
    begin = max(extent[0], extent[1] - LONGEST)
    first = begin.replace(hour=0, minute=0, second=0, microsecond=0)
    last = extent[1].replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
    return Span(first, last, "all")


def _utc(when: datetime) -> datetime:
    """Widgets give naive times; on these pages every time is UTC."""
    return when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
