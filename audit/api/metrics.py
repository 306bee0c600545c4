"""Routes: counts and latency over a range, from rollups. Rollups are no accesses.

Decides how many steps one answer may have, and where the slowest predictions are looked for:
in the minutes whose histograms reach highest, a bounded number of pages of them. Those are
entries, so that answer is recorded as an access.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromQuery, QueryParameter

from audit import latency
from audit.api.reads import Asked, From, Name, Reads, To, named, span, within
from audit.counts import DIMENSIONS, RollupRow
from audit.errors import Rejected
from audit.events import rfc3339
from audit.latency import Latency, Rollup, Slow
from audit.problems import documented
from audit.reader import Leaf
from audit.rollups import MINUTE_US, bounds
from audit.search import LARGEST_PAGE, Query

MOST_STEPS = 3000
STEPS_US = {"minute": MINUTE_US, "hour": 60 * MINUTE_US, "day": 24 * 60 * MINUTE_US}

_SLOWEST = 20
_PAGES = 5

Step = FromQuery[Literal["minute", "hour", "day"]]
Slo = Annotated[float, QueryParameter(gt=0, le=1e9, description="Threshold in ms")]
By = Annotated[
    str | None,
    QueryParameter(max_length=64, description="Comma-separated: " + ", ".join(DIMENSIONS)),
]


class Count(msgspec.Struct, frozen=True):
    """Of one step and group: events, failed ones among them, percentiles in ms."""

    start: str
    keys: dict[str, str]
    count: int
    errors: int
    p50: float | None
    p95: float | None
    p99: float | None


class Counts(msgspec.Struct, frozen=True):
    """Counts by step, then by group; `next` is always None."""

    items: list[Count]
    next: str | None = None


def routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The routes of this subject."""

    @get(
        "/v1/rollups",
        sync_to_thread=True,
        responses=documented(400),
        summary="Counts and percentiles by time and any of the clear dimensions",
        tags=["metrics"],
    )
    def rollups(
        request: Asked,
        start: From,
        end: To,
        step: Step = "hour",
        by: By = None,
        type: Name = None,
        integration: Name = None,
        model: Name = None,
        version: Name = None,
    ) -> Counts:
        """Percentiles are of the merged histogram of the group, never averages."""
        sight = reads.sight(request.user)
        start_us, end_us, step_us = stepped(start, end, step)
        dimensions = _dimensions(by)
        integration = within(sight, integration)
        named(reads, type, integration, model, version)
        rows = reads.store.counts.rollups(
            start_us,
            end_us,
            by=[*dimensions, "status"],
            step_us=step_us,
            type=type,
            integration=integration,
            model=model,
            version=version,
        )
        return Counts(_counts(rows, dimensions))

    @get(
        "/v1/latency",
        sync_to_thread=True,
        responses=documented(400),
        summary="Latency of predictions: percentiles, heat map, breakdown, the slowest",
        tags=["metrics"],
    )
    def latencies(
        request: Asked,
        start: From,
        end: To,
        step: Step = "hour",
        slo_ms: Slo = 100.0,
        model: Name = None,
        version: Name = None,
        integration: Name = None,
    ) -> Latency:
        """The slowest predictions name entries: they are recorded as looked at."""
        sight = reads.sight(request.user)
        start_us, end_us, step_us = stepped(start, end, step)
        filters = {
            "integration": within(sight, integration),
            "model": model,
            "version": version,
        }
        rows = _latency_rows(reads, start_us, end_us, step_us, filters)
        found = latency.measure(rows, slo_ms)
        slowest = _slowest(reads, rows, (start_us, end_us), step_us)
        if slowest:
            asked = {key: value for key, value in filters.items() if value is not None}
            indexes = [leaf.index for leaf in slowest]
            reads.access.record(
                request.user,
                "latency",
                indexes=indexes,
                filter={"from": start, "to": end, **asked},
            )
        return msgspec.structs.replace(found, slowest=[_slow(leaf) for leaf in slowest])

    return [rollups, latencies]


def stepped(start: str, end: str, step: str) -> tuple[int, int, int]:
    """The range and its step in µs; raises `Rejected` beyond `MOST_STEPS`."""
    start_us, end_us = span(start, end)
    step_us = STEPS_US[step]
    if (end_us - start_us) // step_us > MOST_STEPS:
        raise Rejected(
            f"the range has more than {MOST_STEPS} steps",
            field="step",
            remedy="Ask for longer steps or a shorter range.",
        )
    return start_us, end_us, step_us


def _dimensions(by: str | None) -> list[str]:
    found = by.split(",") if by else []
    if any(name not in DIMENSIONS for name in found) or len(set(found)) < len(found):
        raise Rejected(
            "the counts cannot be grouped by that",
            field="by",
            remedy=f"Name each once: {', '.join(DIMENSIONS)}.",
        )
    return found


def _counts(rows: Sequence[RollupRow], dimensions: Sequence[str]) -> list[Count]:
    groups: dict[tuple[int, tuple[str, ...]], list[RollupRow]] = {}
    for row in rows:
        groups.setdefault((row.start_us, row.keys[:-1]), []).append(row)
    return [
        Count(
            rfc3339(start_us),
            dict(zip(dimensions, keys, strict=True)),
            sum(row.count for row in group),
            sum(row.count for row in group if row.keys[-1] == "error"),
            *latency.quantiles(latency.merge(row.buckets for row in group)),
        )
        for (start_us, keys), group in sorted(groups.items())
    ]


def _latency_rows(
    reads: Reads, start_us: int, end_us: int, step_us: int, filters: dict[str, Any]
) -> list[RollupRow]:
    return reads.store.counts.rollups(
        start_us, end_us, by=latency.SERIES, step_us=step_us, type="PredictionLogged", **filters
    )


def _slowest(
    reads: Reads, rows: Sequence[RollupRow], span_us: tuple[int, int], step_us: int
) -> list[Leaf]:
    """Narrow down by histograms to minutes of one series, then read the entries there."""
    if step_us > MINUTE_US:
        rows = [
            minute
            for row, _, _ in latency.highest(rows, _SLOWEST)
            for minute in _latency_rows(
                reads,
                row.start_us,
                row.start_us + step_us,
                MINUTE_US,
                dict(zip(latency.SERIES, row.keys, strict=True)),
            )
        ]
    found: list[Leaf] = []
    for cell, bucket, count in latency.highest(rows, _SLOWEST):
        found += _above(reads, cell, bucket, count, span_us)
    return sorted(found, key=lambda leaf: (-leaf.latency_us, leaf.index))[:_SLOWEST]


def _above(
    reads: Reads, cell: Rollup, bucket: int, enough: int, span_us: tuple[int, int]
) -> list[Leaf]:
    """The entries of one minute and series in this bucket and above."""
    limit_us = bounds(bucket)[0] * 1000
    integration, model, version = cell.keys
    found: list[Leaf] = []
    cursor = None
    for _ in range(_PAGES):
        page = reads.store.reader.search(
            Query(
                max(cell.start_us, span_us[0]),
                min(cell.start_us + MINUTE_US, span_us[1]),
                integration=integration,
                model=model,
                version=version,
                type="PredictionLogged",
                cursor=cursor,
                limit=LARGEST_PAGE,
            )
        )
        found += [leaf for leaf in page.leaves if leaf.latency_us > limit_us]
        cursor = page.next
        if cursor is None or len(found) >= enough:
            break
    return found


def _slow(leaf: Leaf) -> Slow:
    return Slow(
        leaf.index,
        rfc3339(leaf.event_us),
        leaf.integration,
        leaf.model,
        leaf.version,
        leaf.latency_us / 1000,
    )
