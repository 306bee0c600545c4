"""Latency over a range, from rollups: percentiles, share within the SLO, heat map, breakdown.

Decides how histograms merge into what the page shows: counts of buckets are added up and a
percentile is taken of the sum, so no percentile is ever an average of percentiles. Hides the
fineness of the buckets: the heat map joins them to steps of about √2.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import msgspec

from audit.events import rfc3339
from audit.rollups import UNKNOWN, bounds, percentile, share_within

SERIES = ("integration", "model", "version")
"""What the rollups handed to `measure` are grouped by, in this order."""

_MOST_SERIES = 200
_JOINED = 9  # buckets of 4 % that make one row of the heat map: 1.04 ** 9 is 1.42


class Rollup(Protocol):
    """The part of a rollup row that is read here."""

    @property
    def keys(self) -> tuple[str, ...]: ...
    @property
    def start_us(self) -> int: ...
    @property
    def count(self) -> int: ...
    @property
    def buckets(self) -> Mapping[int, int]: ...


class Summary(msgspec.Struct, frozen=True):
    """Of one range: milliseconds, None where no latency is known; `under_slo` is a share."""

    count: int
    p50: float | None
    p95: float | None
    p99: float | None
    under_slo: float | None


class Point(Summary, frozen=True):
    """Of one step in time, which begins at `start`."""

    start: str


class Heat(msgspec.Struct, frozen=True):
    """Predictions of one step whose latency lies in (low_ms, high_ms]."""

    start: str
    low_ms: float
    high_ms: float
    count: int


class Series(Summary, frozen=True):
    """Of one integration, model and version over the whole range."""

    integration: str
    model: str
    version: str


class Slow(msgspec.Struct, frozen=True):
    """One of the slowest predictions."""

    index: int
    time: str
    integration: str
    model: str
    version: str
    latency_ms: float


class Latency(msgspec.Struct, frozen=True):
    """Everything that the latency page shows."""

    summary: Summary
    points: list[Point]
    heat: list[Heat]
    by: list[Series]
    slowest: list[Slow] = []


def merge(histograms: Iterable[Mapping[int, int]]) -> dict[int, int]:
    """The histogram of all values of these histograms."""
    total: dict[int, int] = {}
    for each in histograms:
        for bucket, count in each.items():
            total[bucket] = total.get(bucket, 0) + count
    return total


def measure(rows: Sequence[Rollup], slo_ms: float) -> Latency:
    """What rows grouped by `SERIES` say; series with most predictions first, at most 200."""
    by_start: dict[int, list[Rollup]] = {}
    by_series: dict[tuple[str, ...], list[Rollup]] = {}
    for row in rows:
        by_start.setdefault(row.start_us, []).append(row)
        by_series.setdefault(row.keys, []).append(row)
    starts = sorted(by_start.items())
    series = sorted(by_series.items(), key=lambda item: (-sum(r.count for r in item[1]), item[0]))
    return Latency(
        summary=Summary(*_numbers(rows, slo_ms)),
        points=[Point(*_numbers(each, slo_ms), rfc3339(start)) for start, each in starts],
        heat=[cell for start, each in starts for cell in _heat(start, each)],
        by=[Series(*_numbers(each, slo_ms), *keys) for keys, each in series[:_MOST_SERIES]],
    )


def quantiles(buckets: Mapping[int, int]) -> tuple[float | None, float | None, float | None]:
    """p50, p95 and p99 in ms."""
    return percentile(buckets, 0.5), percentile(buckets, 0.95), percentile(buckets, 0.99)


def highest(rows: Sequence[Rollup], wanted: int) -> list[tuple[Rollup, int, int]]:
    """Where the `wanted` slowest are: rows, each with its lowest bucket that counts, and how many.

    Highest row first; buckets of unknown latency never count.
    """
    buckets = sorted(
        ((bucket, place) for place, row in enumerate(rows) for bucket in row.buckets),
        reverse=True,
    )
    found: dict[int, tuple[int, int]] = {}
    left = wanted
    for bucket, place in buckets:
        if left <= 0 or bucket == UNKNOWN:
            break
        count = rows[place].buckets[bucket]
        left -= count
        found[place] = (bucket, found.get(place, (0, 0))[1] + count)
    return [(rows[place], bucket, count) for place, (bucket, count) in found.items()]


def _numbers(
    rows: Sequence[Rollup], slo_ms: float
) -> tuple[int, float | None, float | None, float | None, float | None]:
    buckets = merge(row.buckets for row in rows)
    return (
        sum(row.count for row in rows),
        *quantiles(buckets),
        share_within(buckets, slo_ms),
    )


def _heat(start_us: int, rows: Sequence[Rollup]) -> list[Heat]:
    joined: dict[int, int] = {}
    for bucket, count in merge(row.buckets for row in rows).items():
        if bucket != UNKNOWN:
            group = bucket // _JOINED
            joined[group] = joined.get(group, 0) + count
    start = rfc3339(start_us)
    return [
        Heat(start, bounds(group * _JOINED)[0], bounds(group * _JOINED + _JOINED - 1)[1], count)
        for group, count in sorted(joined.items())
    ]
