"""The reader: finds entries, opens payloads, proves them.

Decides what a read returns and checks: each payload is opened against the bytes of its leaf, so a
swapped or edited one raises `Tampered` and is never returned. Hides tables and keys. It records
no access: whoever hands data on records it first (`audit.access`).
"""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from audit import leaf as leaves
from audit import merkle, search, tiles, tlogproof
from audit.checkpoint import Checkpoint
from audit.compression import Codec
from audit.database import Database
from audit.errors import NotFound
from audit.events import event_of_json
from audit.keys import PREDICTION_FIELD, Keys
from audit.ledger import Ledger
from audit.rollups import MINUTE_US
from audit.seal import Sealed, open_sealed
from audit.search import Query
from audit.tables import blind_index, entry, head, payload, rollup, series, subject_key, tile

_STREAMED = 2_000
DIMENSIONS = ("type", "integration", "model", "version", "status")


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


class Reader:
    """Reads one store from any thread."""

    def __init__(self, database: Database, keys: Keys, ledger: Ledger) -> None:
        self._database = database
        self._keys = keys
        self._ledger = ledger
        self._lock = Lock()
        self._codec = Codec()

    def size(self) -> int:
        """Return how many entries are committed."""
        with self._database.reading() as connection:
            return int(connection.execute(select(head.c.size)).scalar_one())

    def leaf(self, index: int) -> Leaf:
        """Return the clear fields of an entry; raises `NotFound`."""
        with self._database.reading() as connection:
            raw = connection.execute(select(entry.c.leaf).where(entry.c.idx == index)).scalar()
        if raw is None:
            raise NotFound(f"there is no entry {index}")
        return _leaf(index, bytes(raw))

    def open(self, indexes: Sequence[int]) -> list[Opened]:
        """Return these entries with their bodies, in the order asked for.

        Raises `NotFound` for an index beyond the ledger, `Tampered` where stored bytes do not
        belong together, `RolledBack` where reads could no longer be recorded.
        """
        self._refuse_rolled_back()
        with self._database.reading() as connection:
            columns = ", ".join(column.name for column in _opened_columns)
            found = {
                row[0]: row
                for row in self._database.lookup(
                    connection, "entry LEFT JOIN payload USING (idx)", columns, "idx", list(indexes)
                )
            }
            rows = []
            for index in indexes:
                if index not in found:
                    raise NotFound(f"there is no entry {index}")
                rows.append(found[index])
            return self._open_rows(connection, rows)

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
        with self._database.reading() as connection:
            index_keys = self._index_keys(connection)
            tag = index_keys.prediction(integration, prediction_id)
            rows = connection.execute(
                select(blind_index.c.idx)
                .where(
                    blind_index.c.kver == index_keys.version,
                    blind_index.c.field == PREDICTION_FIELD,
                    blind_index.c.tag == tag,
                )
                .order_by(blind_index.c.idx)
            )
            return [int(idx) for idx in rows.scalars()]

    def search(self, query: Query) -> Page:
        """Return one page of matching entries, newest first."""
        with self._database.reading() as connection:
            places = search.candidates(connection, query, self._index_keys(connection))
            hits: list[Leaf] = []
            more = False
            for batch in _batches(places, query.limit + 1):
                for hit in self._recheck(connection, query, [index for _, index in batch]):
                    if len(hits) == query.limit:
                        more = True
                        break
                    hits.append(hit)
                if more:
                    break
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
        with self._database.reading() as connection:
            ordered = connection.execute(query.order_by(entry.c.event_us, entry.c.idx)).scalars()
            indexes = [int(idx) for idx in ordered]
        for start in range(0, len(indexes), _STREAMED):
            yield from self.open(indexes[start : start + _STREAMED])

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

    def prove(self, index: int, size: int | None = None) -> bytes:
        """Return the `.tlog-proof` of an entry against the newest checkpoint.

        Raises `NotFound` where the checkpoint does not cover the entry.
        """
        note = self._ledger.checkpoint()
        covered = Checkpoint.parse(note.decode().partition("\n\n")[0] + "\n")
        if not 0 <= index < covered.size:
            raise NotFound(f"there is no entry {index}")
        with self._database.reading() as connection:
            read = tiles.subtree_reader(covered.size, lambda each: _tile(connection, each))
            hashes = merkle.inclusion_proof(index, covered.size, read)
        return tlogproof.marshal(tlogproof.TlogProof(index, tuple(hashes), note))

    def tile(self, wanted: tiles.Tile) -> bytes:
        """Return the bytes of a hash tile or entry bundle; raises `NotFound` beyond the tree."""
        with self._database.reading() as connection:
            return _tile(connection, wanted)

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` leaves, from stored tiles and entries."""
        with self._database.reading() as connection:
            read = tiles.subtree_reader(size, lambda each: _tile(connection, each))
            return merkle.root_at(size, read)

    def _recheck(self, connection: Connection, query: Query, indexes: list[int]) -> list[Leaf]:
        if query.subject is None and query.reference is None:
            columns = self._database.lookup(connection, "entry", "idx, leaf", "idx", indexes)
            raw = {idx: bytes(leaf) for idx, leaf in columns}
            return [_leaf(index, raw[index]) for index in indexes]
        self._refuse_rolled_back()
        opened = self._open_rows(
            connection,
            sorted(
                self._database.lookup(
                    connection,
                    "entry LEFT JOIN payload USING (idx)",
                    ", ".join(column.name for column in _opened_columns),
                    "idx",
                    indexes,
                ),
                key=lambda row: indexes.index(row[0]),
            ),
        )
        return [each.leaf for each in opened if _matches(each, query)]

    def _open_rows(self, connection: Connection, rows: Sequence[Row[Any]]) -> list[Opened]:
        keys = self._subject_keys(connection, {row[3] for row in rows if row[3] is not None})
        opened = []
        for idx, raw, sealed, handle, _version, wrapped in rows:
            fields = _leaf(idx, bytes(raw))
            key = keys.get(handle)
            if sealed is None or key is None:
                opened.append(Opened(fields, b"", erased=True))
                continue
            record = Sealed(fields.raw, bytes(sealed), bytes(wrapped))
            opened.append(Opened(fields, open_sealed(record, key, self._codec)))
        return opened

    def _subject_keys(self, connection: Connection, handles: set[int]) -> dict[int, Any]:
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

    def _index_keys(self, connection: Connection) -> Any:
        with self._lock:
            self._refresh(connection)
            return self._keys.index

    def _refresh(self, connection: Connection) -> None:
        self._keys.refresh(connection, connection.execute(select(head.c.key_epoch)).scalar_one())

    def _refuse_rolled_back(self) -> None:
        self._ledger.checkpoint()


_opened_columns = (
    entry.c.idx,
    entry.c.leaf,
    payload.c.sealed,
    payload.c.handle,
    payload.c.key_version,
    payload.c.wrapped,
)


def _leaf(index: int, raw: bytes) -> Leaf:
    fields = leaves.parse(raw)
    return Leaf(
        index,
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


def _tile(connection: Connection, wanted: tiles.Tile) -> bytes:
    first = wanted.index * tiles.WIDTH
    if wanted.level is None or wanted.level == 0:
        if wanted.level == 0 and wanted.width == tiles.WIDTH:
            return _stored(connection, 0, wanted.index)
        rows = connection.execute(
            select(entry.c.leaf)
            .where(entry.c.idx >= first, entry.c.idx < first + wanted.width)
            .order_by(entry.c.idx)
        ).scalars()
        raw = [bytes(each) for each in rows]
        if len(raw) != wanted.width:
            raise NotFound(f"the ledger does not reach {wanted.path}")
        if wanted.level is None:
            return tiles.encode_bundle(raw)
        return b"".join(map(merkle.leaf_hash, raw))
    if wanted.width == tiles.WIDTH:
        return _stored(connection, wanted.level, wanted.index)
    rows = connection.execute(
        select(tile.c.root)
        .where(tile.c.level == wanted.level - 1, tile.c.n >= first, tile.c.n < first + wanted.width)
        .order_by(tile.c.n)
    ).scalars()
    roots = [bytes(each) for each in rows]
    if len(roots) != wanted.width:
        raise NotFound(f"the ledger does not reach {wanted.path}")
    return b"".join(roots)


def _stored(connection: Connection, level: int, n: int) -> bytes:
    hashes = connection.execute(
        select(tile.c.hashes).where(tile.c.level == level, tile.c.n == n)
    ).scalar()
    if hashes is None:
        raise NotFound(f"the ledger does not reach {tiles.Tile(level, n).path}")
    return bytes(hashes)
