"""Arrivals: what came into the ledger between two entries, by series, and how late.

Decides questions in order of the ledger, where rollups answer in order of event time: whoever asks
keeps the number of the entry up to which it knows. Reads clear columns only.
"""

from typing import NamedTuple

from sqlalchemy import func, select

from audit import leaf, leaves
from audit.database import Database
from audit.tables import entry, series


class Arrived(NamedTuple):
    """The entries of one kind in a range: how many, the newest event time, the last entry."""

    type: str
    integration: str
    status: str
    entries: int
    latest_us: int
    last: int


class Came(NamedTuple):
    """One entry: when it happened and when it was logged."""

    integration: str
    event_us: int
    logged_us: int


class Arrivals:
    """Answers from any thread."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counted(self, first: int, end: int) -> list[Arrived]:
        """Return what the entries from `first` up to, not with, `end` are."""
        kinds = (series.c.type, series.c.integration, series.c.status)
        query = (
            select(*kinds, func.count(), func.max(entry.c.event_us), func.max(entry.c.idx))
            .select_from(entry.join(series, series.c.id == entry.c.series))
            .where(entry.c.idx >= first, entry.c.idx < end)
            .group_by(*kinds)
        )
        with self._database.reading() as connection:
            return [
                Arrived(type, integration, status, int(entries), int(latest_us), int(last))
                for type, integration, status, entries, latest_us, last in connection.execute(query)
            ]

    def sampled(self, first: int, end: int, most: int) -> list[Came]:
        """Return at most `most` of these entries, evenly spread."""
        every = max(1, -(-(end - first) // most))
        query = (
            select(*leaves.COLUMNS)
            .select_from(leaves.STORED)
            .where(entry.c.idx >= first, entry.c.idx < end, (entry.c.idx - first) % every == 0)
            .order_by(entry.c.idx)
        )
        with self._database.reading() as connection:
            found = [leaf.parse(leaves.text(row)) for row in connection.execute(query)]
        return [Came(each.integration, each.event_us, each.logged_us) for each in found]
