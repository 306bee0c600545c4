"""The reader: finds entries, opens payloads, proves them.

Decides what a read returns and checks: each payload is opened against the bytes of its leaf, so a
swapped or edited one raises `Tampered` and is never returned, and each leaf is compared with the
tree (`audit.intact`). Hides tables and keys. It records no access: whoever hands data on records it
first (`audit.access`).
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, select

from audit import erasures, leaf, leaves, merkle, search, tiles, tree
from audit.compression import Codec
from audit.database import Database
from audit.errors import NotFound, PayloadGone
from audit.events import SYSTEM, event_of_json
from audit.intact import Intact
from audit.keys import PREDICTION_FIELD, IndexKeys, Keys
from audit.ledger import Ledger
from audit.seal import Sealed, SubjectKey, open_sealed
from audit.search import BOUNDS, Bounds, Query
from audit.tables import blind_index, entry, head, payload, series, subject_key

_STREAMED = 2_000


class Leaf(msgspec.Struct, frozen=True):
    """The clear fields of one entry, and where it stands."""

    index: int
    hash: bytes
    raw: bytes
    type: str
    integration: str
    model: str
    version: str
    status: str
    retention: str
    event_us: int
    logged_us: int
    latency_us: int
    id: str


class Opened(msgspec.Struct, frozen=True):
    """One entry with its body; `erased` means that its payload is gone and `body` is empty."""

    leaf: Leaf
    body: bytes
    erased: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of search results; `next` continues it, None at the end."""

    leaves: list[Leaf]
    next: str | None


class Reader:
    """Reads one store from any thread."""

    def __init__(self, database: Database, keys: Keys, ledger: Ledger) -> None:
        self._database = database
        self._keys = keys
        self._ledger = ledger
        self._lock = Lock()
        self._codec = Codec()
        self._intact = Intact(database)

    def size(self) -> int:
        """Return how many entries are committed."""
        with self._database.reading() as connection:
            return int(connection.execute(select(head.c.size)).scalar_one())

    def leaf(self, index: int) -> Leaf:
        """Return the clear fields of an entry; raises `NotFound`, and `Tampered` where they are
        not those that were appended."""
        with self._database.reading() as connection:
            row = connection.execute(
                select(*leaves.COLUMNS).select_from(leaves.STORED).where(entry.c.idx == index)
            ).one_or_none()
            if row is None:
                raise NotFound(f"there is no entry {index}")
            found = _leaf(row)
            self._require_intact(connection, [found])
        return found

    def open(self, indexes: Sequence[int]) -> list[Opened]:
        """Return these entries with their bodies, in the order asked for.

        Raises `NotFound` for an index beyond the ledger, `Tampered` where stored bytes do not
        belong together, `RolledBack` where reads could no longer be recorded.
        """
        self._refuse_rolled_back()
        with self._database.reading() as connection:
            found = {
                row[0]: row
                for row in self._database.lookup(
                    connection, _OPENED_TABLES, _OPENED_NAMES, "entry.idx", list(indexes)
                )
            }
            rows = []
            for index in indexes:
                if index not in found:
                    raise NotFound(f"there is no entry {index}")
                rows.append(found[index])
            opened = self._open_rows(connection, rows)
            self._require_intact(connection, [each.leaf for each in opened])
            return opened

    def find(self, integration: str, type: str, id: str) -> int | None:
        """Return the index of the event with this producer's id, None where there is none."""
        with self._database.reading() as connection:
            index_keys = self._index_keys(connection)
            found = self._database.lookup(
                connection, "idempotency", "idx", "key", [index_keys.once(integration, type, id)]
            )
            return int(found[0][0]) if found else None

    def about(self, integration: str, prediction_id: str) -> list[int]:
        """Return the indexes of events that name this prediction, oldest first."""
        return self.about_each([(integration, prediction_id)])[0]

    def about_each(self, predictions: Sequence[tuple[str, str]]) -> list[list[int]]:
        """Return, for each (integration, id), the indexes of events that name it, oldest first."""
        with self._database.reading() as connection:
            keys = self._index_keys(connection)
            tags = [keys.prediction(*each) for each in predictions]
            found: dict[bytes, list[int]] = {tag: [] for tag in tags}
            ordered = list(found)
            for start in range(0, len(ordered), _STREAMED):
                rows = connection.execute(
                    select(blind_index.c.tag, blind_index.c.idx)
                    .where(
                        blind_index.c.kver == keys.version,
                        blind_index.c.field == PREDICTION_FIELD,
                        blind_index.c.tag.in_(ordered[start : start + _STREAMED]),
                    )
                    .order_by(blind_index.c.idx)
                )
                for tag, idx in rows:
                    found[bytes(tag)].append(int(idx))
            return [found[tag] for tag in tags]

    def search(self, query: Query, bounds: Bounds = BOUNDS) -> Page:
        """Return one page of matching entries, newest first; `bounds` say how, not which.

        Raises `Tampered` where one of them is not as it was appended.
        """
        with self._database.reading() as connection:
            hits, more = self._hits(connection, query, bounds)
            self._require_intact(connection, hits)
            last = hits[-1] if hits else None
            following = search.cursor_of((last.event_us, last.index)) if more and last else None
            return Page(hits, following)

    def window(
        self, type: str, model: str, version: str | None, start_us: int, end_us: int
    ) -> Iterator[Opened]:
        """Yield opened entries with start_us <= event time < end_us, by event time and index."""
        self._refuse_rolled_back()
        query = select(entry.c.idx).join(series, series.c.id == entry.c.series)
        query = query.where(series.c.type == type, series.c.model == model)
        if version is not None:
            query = query.where(series.c.version == version)
        query = query.where(entry.c.event_us >= start_us, entry.c.event_us < end_us)
        with self._database.reading(unlimited=True) as connection:
            ordered = connection.execute(query.order_by(entry.c.event_us, entry.c.idx)).scalars()
            indexes = [int(idx) for idx in ordered]
        for start in range(0, len(indexes), _STREAMED):
            yield from self.open(indexes[start : start + _STREAMED])

    def prove(self, index: int) -> bytes:
        """Return the `.tlog-proof` of an entry against the newest checkpoint.

        Raises `NotFound`, and `Tampered` where what is stored does not lead to that checkpoint.
        """
        signed = self._ledger.checkpoint()
        with self._database.reading() as connection:
            return tree.prove(connection, index, signed)

    def tile(self, wanted: tiles.Tile) -> bytes:
        """Return the bytes of a hash tile or entry bundle; raises `NotFound` beyond the tree."""
        with self._database.reading() as connection:
            return tree.tile(connection, wanted)

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` leaves, from stored tiles and entries."""
        with self._database.reading() as connection:
            return tree.root_at(connection, size)

    def _require_intact(self, connection: Connection, found: Sequence[Leaf]) -> None:
        self._intact.require(connection, {each.index: each.hash for each in found})

    def _hits(
        self, connection: Connection, query: Query, bounds: Bounds
    ) -> tuple[list[Leaf], bool]:
        """Return a page of leaves, and whether there are more; no statement stays open."""
        places = search.candidates(connection, query, self._index_keys(connection), bounds)
        hits: list[Leaf] = []
        for batch in _batches(places, query.limit + 1):
            for hit in self._recheck(connection, query, [index for _, index in batch]):
                if len(hits) == query.limit:
                    return hits, True
                hits.append(hit)
        return hits, False

    def _recheck(self, connection: Connection, query: Query, indexes: list[int]) -> list[Leaf]:
        if query.subject is None and query.reference is None:
            rows = self._database.lookup(connection, leaves.TABLES, leaves.NAMES, "idx", indexes)
            found = {row[0]: row for row in rows}
            return [_leaf(found[index]) for index in indexes]
        self._refuse_rolled_back()
        opened = self._open_rows(
            connection,
            sorted(
                self._database.lookup(
                    connection, _OPENED_TABLES, _OPENED_NAMES, "entry.idx", indexes
                ),
                key=lambda row: indexes.index(row[0]),
            ),
        )
        return [each.leaf for each in opened if _matches(each, query)]

    def _open_rows(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Opened]:
        opened = self._opened(connection, rows)
        gone = [each.leaf.index for each in opened if each.erased]
        if gone:
            self._require_erased(connection, gone)
        return opened

    def _opened(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Opened]:
        width = len(leaves.COLUMNS)
        handles = {row[width + 1] for row in rows if row[width + 1] is not None}
        keys = self._subject_keys(connection, handles)
        opened = []
        for row in rows:
            fields = _leaf(row[:width])
            sealed, handle, _version, wrapped = row[width:]
            key = keys.get(handle)
            if sealed is None or key is None:
                opened.append(Opened(fields, b"", erased=True))
                continue
            record = Sealed(fields.raw, bytes(sealed), bytes(wrapped))
            opened.append(Opened(fields, open_sealed(record, key, self._codec)))
        return opened

    def _require_erased(self, connection: Connection, gone: Sequence[int]) -> None:
        """Raise `PayloadGone` unless logged erasures account for what is gone."""
        completed = connection.execute(
            select(*leaves.COLUMNS, *_PAYLOAD)
            .select_from(leaves.STORED)
            .join(payload, payload.c.idx == entry.c.idx)
            .where(series.c.type == erasures.COMPLETED, series.c.integration == SYSTEM)
        ).all()
        covered = [
            each_range
            for each in self._opened(connection, completed)
            if not each.erased
            for each_range in erasures.ranges(each.leaf.index, each.body)
        ]
        index = erasures.first_uncovered(gone, covered)
        if index is not None:
            raise PayloadGone(index)

    def _subject_keys(
        self, connection: Connection, handles: set[int]
    ) -> dict[int, SubjectKey | None]:
        with self._lock:
            self._refresh(connection)
            known = {handle: self._keys.cached(handle) for handle in handles}
            missing = [handle for handle, key in known.items() if key is None]
            rows = self._database.lookup(
                connection,
                "subject_key",
                ", ".join(column.name for column in subject_key.columns),
                "handle",
                missing,
            )
            known.update(
                {
                    key.handle: key
                    for key in self._keys.load(
                        (handle, tag, version, store_version, wrapped)
                        for handle, tag, version, store_version, wrapped in rows
                    )
                }
            )
        return known

    def _index_keys(self, connection: Connection) -> IndexKeys:
        with self._lock:
            self._refresh(connection)
            return self._keys.index

    def _refresh(self, connection: Connection) -> None:
        self._keys.refresh(connection, connection.execute(select(head.c.key_epoch)).scalar_one())

    def _refuse_rolled_back(self) -> None:
        self._ledger.checkpoint()


_PAYLOAD = (payload.c.sealed, payload.c.handle, payload.c.key_version, payload.c.wrapped)
_OPENED_NAMES = ", ".join(
    f"{column.table.name}.{column.name}" for column in (*leaves.COLUMNS, *_PAYLOAD)
)
_OPENED_TABLES = f"{leaves.TABLES} LEFT JOIN payload ON payload.idx = entry.idx"


def _leaf(row: Sequence[Any]) -> Leaf:
    raw = leaves.text(row)
    fields = leaf.parse(raw)
    return Leaf(
        row[0],
        merkle.leaf_hash(raw),
        raw,
        fields.type,
        fields.integration,
        fields.model,
        fields.version,
        fields.status,
        fields.retention,
        fields.event_us,
        fields.logged_us,
        fields.latency_us,
        fields.id,
    )


def _matches(opened: Opened, query: Query) -> bool:
    """A blind index may collide: only the decrypted terms decide."""
    if opened.erased:
        return False
    event = event_of_json(opened.leaf.type, opened.leaf.integration, opened.body)
    if query.reference is not None and query.reference not in event.references:
        return False
    # Outcomes and the like are sealed under their prediction's subject without naming it.
    return query.subject is None or event.subject in (None, query.subject)


def _batches(places: Iterator[search.Place], size: int) -> Iterator[list[search.Place]]:
    while batch := list(itertools.islice(places, size)):
        yield batch
