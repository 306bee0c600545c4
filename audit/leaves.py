"""Leaves as they are stored: which columns make one, and its text again.

Decides the one join that everybody uses who wants the text of leaves. Hides that a row of `entry`
holds only what its series, its event time and the log's name do not say already (`leaf.pack`).
"""

from collections.abc import Sequence
from typing import Any, cast

from sqlalchemy import true

from audit import leaf
from audit.errors import Tampered
from audit.tables import entry, head, series

COLUMNS = (
    entry.c.idx,
    entry.c.leaf,
    entry.c.event_us,
    head.c.origin,
    series.c.type,
    series.c.integration,
    series.c.model,
    series.c.version,
    series.c.status,
    series.c.retention,
)
"""What `text` takes, in its order."""
STORED = entry.join(head, true()).outerjoin(series, series.c.id == entry.c.series)
"""Where the columns stand; an entry without its series is there with nothing in their place."""

NAMES = ", ".join(column.name for column in COLUMNS)
TABLES = "entry CROSS JOIN head LEFT JOIN series ON series.id = entry.series"
"""The same two for `Database.lookup`."""


def text(row: Sequence[Any]) -> bytes:
    """Return the leaf of a row of `COLUMNS`; raises `Tampered` where they make none."""
    idx, packed, event_us, log, *name = row
    if name[0] is None:
        raise Tampered("the series of an entry is gone", index=idx)
    try:
        return leaf.unpack(packed, event_us, log, cast(leaf.SeriesName, tuple(name)))
    except Tampered as error:
        raise Tampered(error.what, index=idx) from error
