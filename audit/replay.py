"""Replay: every entry again, in order, with the event that its payload holds.

Decides how the ledger is read back whole in bounded memory: page by page, each payload opened
under its subject's key, each event derived from its body as it was when it came. `deep` compares
with what is stored, `rebuild` writes it anew.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, select

from audit import leaf, leaves
from audit.compression import Codec
from audit.errors import AuditError, Tampered
from audit.events import Event, event_of_json
from audit.keys import PREDICTION_FIELD, REFERENCE_FIELD, Keys
from audit.rollups import MINUTE_US, bucket
from audit.seal import Sealed, SubjectKey, open_sealed
from audit.tables import entry, payload, subject_key

PAGE = 1_024


class Replayed(NamedTuple):
    """One entry; `event` is None where payload or key is gone, and then so are handle and tag."""

    idx: int
    leaf: leaf.Leaf
    series: int
    event: Event | None = None
    handle: int | None = None
    tag: bytes | None = None

    @property
    def cell(self) -> tuple[int, int, int]:
        """The rollup that counts this entry: series, minute, bucket."""
        return self.series, self.leaf.event_us // MINUTE_US, bucket(self.leaf.latency_us)

    def terms(self, keys: Keys) -> set[tuple[int, int, bytes, int]]:
        """Return the rows of the blind index that lead to this entry."""
        if self.event is None:
            return set()
        index = keys.index
        found = {
            (index.version, REFERENCE_FIELD, index.reference(*each), self.idx)
            for each in self.event.references
        }
        if self.event.prediction is not None:
            tag = index.prediction(*self.event.prediction)
            found.add((index.version, PREDICTION_FIELD, tag, self.idx))
        return found


def pages(connection: Connection, keys: Keys, size: int) -> Iterator[list[Replayed]]:
    """Yield the first `size` entries in order; raises `Tampered` where one does not open."""
    codec = Codec()
    query = (
        select(
            *leaves.COLUMNS,
            entry.c.series,
            payload.c.sealed,
            payload.c.handle,
            payload.c.key_version,
            payload.c.wrapped,
            subject_key.c.tag,
            subject_key.c.version.label("subject_version"),
            subject_key.c.store_version,
            subject_key.c.wrapped.label("subject_wrapped"),
        )
        .select_from(leaves.STORED)
        .outerjoin(payload, payload.c.idx == entry.c.idx)
        .outerjoin(subject_key, subject_key.c.handle == payload.c.handle)
        .order_by(entry.c.idx)
    )
    for start in range(0, size, PAGE):
        end = min(start + PAGE, size)
        rows = connection.execute(query.where(entry.c.idx >= start, entry.c.idx < end)).all()
        yield [_replayed(row, keys, codec) for row in rows]


def _replayed(row: Row[Any], keys: Keys, codec: Codec) -> Replayed:
    try:
        raw = leaves.text(row[: len(leaves.COLUMNS)])
        fields = leaf.parse(raw)
        if row.sealed is None or row.subject_version is None:
            return Replayed(row.idx, fields, row.series)
        key = _subject_key(row, keys)
        body = open_sealed(Sealed(raw, row.sealed, row.wrapped), key, codec)
        event = event_of_json(fields.type, fields.integration, body)
    except AuditError as error:
        raise Tampered(getattr(error, "what", str(error)), index=row.idx) from error
    return Replayed(row.idx, fields, row.series, event, row.handle, row.tag)


def _subject_key(row: Row[Any], keys: Keys) -> SubjectKey:
    if row.key_version != row.subject_version:
        raise Tampered("the key of a payload is of another version")
    cached = keys.cached(row.handle)
    if cached is not None:
        return cached
    stored = (row.handle, row.tag, row.subject_version, row.store_version, row.subject_wrapped)
    return keys.load([stored])[0]
