"""Counts: how much was logged, by whom, when and how fast.

Decides the questions that rollups answer: counts and latency buckets per group and step, and what
series there are. Reads rollups and series only, never entries one by one.
"""

from collections.abc import Sequence

import msgspec
from sqlalchemy import func, select

from audit.database import Database
from audit.leaf import SeriesName
from audit.rollups import MINUTE_US
from audit.tables import entry, rollup, series

DIMENSIONS = ("type", "integration", "model", "version", "status")


class RollupRow(msgspec.Struct, frozen=True):
    """Counts of one group in one step: `buckets` as in `audit.rollups`."""

    keys: tuple[str, ...]
    start_us: int
    count: int
    buckets: dict[int, int]


class SeriesRow(msgspec.Struct, frozen=True):
    """One combination of clear fields, how many entries it has and when."""

    type: str
    integration: str
    model: str
    version: str
    status: str
    retention: str
    count: int
    first_us: int
    last_us: int


class Counts:
    """Answers from rollups, from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def rollups(
        self,
        start_us: int,
        end_us: int,
        *,
        by: Sequence[str] = (),
        step_us: int = MINUTE_US,
        type: str | None = None,
        integration: str | None = None,
        model: str | None = None,
        version: str | None = None,
    ) -> list[RollupRow]:
        """Return counts and latency buckets per group and step of whole minutes, by start.

        `by` names any of DIMENSIONS; the range is widened to whole minutes.
        """
        minutes = max(1, step_us // MINUTE_US)
        step = (rollup.c.minute - rollup.c.minute % minutes).label("step")
        groups = [series.c[name] for name in by]
        query = (
            select(step, rollup.c.bucket, func.sum(rollup.c.count), *groups)
            .join(series, series.c.id == rollup.c.series)
            .where(
                rollup.c.minute >= start_us // MINUTE_US,
                rollup.c.minute < -(-end_us // MINUTE_US),
            )
            .group_by(step, rollup.c.bucket, *groups)
        )
        filters = {"type": type, "integration": integration, "model": model, "version": version}
        for name, value in filters.items():
            if value is not None:
                query = query.where(series.c[name] == value)
        cells: dict[tuple[int, tuple[str, ...]], dict[int, int]] = {}
        with self._database.reading() as connection:
            for minute, bucket, count, *keys in connection.execute(query):
                cells.setdefault((minute, tuple(keys)), {})[bucket] = int(count)
        return [
            RollupRow(keys, minute * MINUTE_US, sum(buckets.values()), buckets)
            for (minute, keys), buckets in sorted(cells.items())
        ]

    def names(self, integration: str) -> set[SeriesName]:
        """Return the series that an integration has begun."""
        with self._database.reading() as connection:
            rows = connection.execute(
                select(*(series.c[name] for name in (*DIMENSIONS, "retention"))).where(
                    series.c.integration == integration
                )
            )
            return {(a, b, c, d, e, f) for a, b, c, d, e, f in rows}

    def first_senders(self) -> dict[str, str]:
        """Return, by model, the integration whose prediction of it stands first on the ledger."""
        # Series are numbered as their first entries are appended.
        query = (
            select(series.c.model, series.c.integration)
            .where(series.c.type == "PredictionLogged")
            .order_by(series.c.id)
        )
        first: dict[str, str] = {}
        with self._database.reading() as connection:
            for model, integration in connection.execute(query):
                first.setdefault(model, integration)
        return first

    def exactly(self, integration: str, start_us: int, end_us: int) -> dict[str, int]:
        """Return how many events of an integration lie in start_us <= event time < end_us, by type.

        Whole minutes are read from rollups, what is left at the ends from the entries.
        """
        first, last = -(-start_us // MINUTE_US), end_us // MINUTE_US
        whole = (
            select(series.c.type, func.sum(rollup.c.count))
            .join(series, series.c.id == rollup.c.series)
            .where(rollup.c.minute >= first, rollup.c.minute < last)
        )
        edges = [(start_us, min(first * MINUTE_US, end_us))]
        if first <= last:
            edges.append((last * MINUTE_US, end_us))
        parts = [
            select(series.c.type, func.count())
            .select_from(entry.join(series, series.c.id == entry.c.series))
            .where(entry.c.event_us >= low, entry.c.event_us < high)
            for low, high in edges
            if low < high
        ]
        found: dict[str, int] = {}
        with self._database.reading() as connection:
            for part in (whole, *parts):
                query = part.where(series.c.integration == integration).group_by(series.c.type)
                for type, count in connection.execute(query):
                    found[type] = found.get(type, 0) + int(count)
        return found

    def series(self) -> list[SeriesRow]:
        """Return every combination of clear fields with its count and event-time span."""
        columns = [series.c[name] for name in (*DIMENSIONS, "retention")]
        counts = (
            select(rollup.c.series, func.sum(rollup.c.count).label("counted"))
            .group_by(rollup.c.series)
            .subquery()
        )
        edges = [
            select(kind(entry.c.event_us))
            .where(entry.c.series == series.c.id)
            .scalar_subquery()
            .label(name)
            for kind, name in ((func.min, "first_us"), (func.max, "last_us"))
        ]
        query = select(*columns, counts.c.counted, *edges).join(
            counts, counts.c.series == series.c.id
        )
        with self._database.reading() as connection:
            return [
                SeriesRow(
                    row.type,
                    row.integration,
                    row.model,
                    row.version,
                    row.status,
                    row.retention,
                    int(row.counted),
                    int(row.first_us),
                    int(row.last_us),
                )
                for row in connection.execute(query.order_by(*columns))
            ]
