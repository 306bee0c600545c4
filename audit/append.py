"""One append: everything that happens to a group of events inside one transaction.

Decides the order (lock, head, duplicates, keys, seal, rows, projections, head by compare-and-swap)
and what counts as a duplicate or a conflict. Hides all tables from the ledger: it hands in events
and gets, per event, where it stands. Nothing here signs or answers; that follows the commit.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, insert, select, update

from audit import tables
from audit.clock import Clock
from audit.compression import Codec
from audit.database import Database
from audit.documents import Applied, Projection, StoredView
from audit.edge import Edge, load
from audit.errors import Busy, RolledBack
from audit.events import SYSTEM, SYSTEM_TYPES, Event, event_of, rfc3339
from audit.keys import LEDGER_HANDLE, PREDICTION_FIELD, REFERENCE_FIELD, Keys, SubjectRow
from audit.merkle import leaf_hash
from audit.rollups import MINUTE_US, bucket
from audit.rootkey import Random
from audit.seal import RANDOM_BYTES, Sealed, SubjectKey, seal

SeriesName = tuple[str, str, str, str, str, str]


class Appended(msgspec.Struct, frozen=True, gc=False):
    """Where an event stands.

    `duplicate`: it was there already, and `index` is the first one's. `conflict`: its id was
    there with other content; nothing but a ConflictRecorded was appended.
    """

    index: int
    leaf_hash: bytes
    tree_size: int
    duplicate: bool = False
    conflict: bool = False


class Grown(msgspec.Struct, frozen=True):
    """What a committed append made of the tree."""

    size: int
    root: bytes
    answers: list[Appended]


@dataclass(slots=True)
class _Plan:
    """Which of the offered events are new, and what the others are instead."""

    fresh: list[Event] = field(default_factory=list)
    once: list[bytes] = field(default_factory=list)
    content: list[bytes] = field(default_factory=list)
    known: dict[bytes, tuple[bytes | None, int]] = field(default_factory=dict)
    answers: list[tuple[int, bool, bool]] = field(default_factory=list)


class Appender:
    """Appends to one ledger. Belongs to one thread; several processes may each have one."""

    def __init__(
        self,
        database: Database,
        keys: Keys,
        log: str,
        projections: Sequence[Projection],
        clock: Clock,
        random: Random,
    ) -> None:
        self._database = database
        self._keys = keys
        self._log = log
        self._projections = projections
        self._clock = clock
        self._random = random
        self._codec = Codec()
        self._edge: Edge | None = None
        self._series: dict[SeriesName, int] = {}

    def append(self, events: Sequence[Event], signed_size: int) -> Grown:
        """Commit `events` and return the tree that holds them.

        `signed_size` is the largest size that was ever signed. Raises `Tampered` where the
        database holds less than that or contradicts itself, `Busy` where it is away or another
        writer was faster.
        """
        try:
            with self._database.writing() as connection:
                grown, edge, series, keys = self._append(connection, events, signed_size)
        except BaseException:
            self._edge = None  # what this thread remembers may be ahead of what is committed
            raise
        self._edge = edge
        self._series.update(series)
        self._keys.remember(keys)
        return grown

    def _append(
        self, connection: Connection, events: Sequence[Event], signed_size: int
    ) -> tuple[Grown, Edge, dict[SeriesName, int], list[tuple[bytes | None, SubjectKey]]]:
        head = connection.execute(
            select(
                tables.head.c.size,
                tables.head.c.root,
                tables.head.c.logged_us,
                tables.head.c.key_epoch,
            )
        ).one()
        if head.size < signed_size:
            raise RolledBack(head.size, signed_size)
        self._keys.refresh(connection, head.key_epoch)
        edge = self._edge
        if edge is None or edge.size != head.size:
            edge = load(connection, head.size, bytes(head.root))
        logged_us = max(self._clock(), head.logged_us)
        plan = self._plan(connection, events, edge.size, logged_us)
        keys, created = self._subject_keys(connection, plan)
        sealed = self._seal(plan.fresh, keys, logged_us)
        hashes = [leaf_hash(record.leaf) for record in sealed]
        edge, tiles = edge.append(hashes)
        series = self._series_of(connection, plan.fresh)
        self._insert(connection, plan, sealed, keys, series, head.size)
        database = self._database
        database.insert(connection, tables.subject_key, [row for _, row in created])
        database.insert(connection, tables.tile, tiles)
        self._project(connection, plan.fresh, head.size)
        root = edge.root()
        if plan.fresh:
            swapped = connection.execute(
                update(tables.head)
                .where(tables.head.c.size == head.size)
                .values(size=edge.size, root=root, logged_us=logged_us)
            )
            if swapped.rowcount != 1:
                raise Busy("another writer appended first")
        answers = self._answers(connection, plan, hashes, head.size, edge.size)
        remembered = [(row[1], key) for key, row in created]
        return Grown(edge.size, root, answers), edge, series, remembered

    def _plan(
        self, connection: Connection, events: Sequence[Event], size: int, logged_us: int
    ) -> _Plan:
        index = self._keys.index
        once = [index.once(event.integration, event.type, event.id) for event in events]
        plan = _Plan()
        known = plan.known = {
            bytes(key): (None if content is None else bytes(content), idx)
            for key, content, idx in self._database.lookup(
                connection, "idempotency", "key, content, idx", "key", once
            )
        }
        conflicts: dict[str, Event] = {}
        for event, key in zip(events, once, strict=True):
            content = index.content(event.content or event.body)
            there = known.get(key)
            if there is None:
                idx = size + len(plan.fresh)
                known[key] = (content, idx)
                plan.fresh.append(event)
                plan.once.append(key)
                plan.content.append(content)
                plan.answers.append((idx, False, False))
                continue
            first_content, idx = there
            same = first_content is None or first_content == content
            plan.answers.append((idx, same, not same))
            if not same:
                conflict = _conflict(event, key, content, idx, logged_us)
                conflicts[conflict.id] = conflict
        if conflicts:
            self._plan_conflicts(connection, plan, conflicts, size)
        return plan

    def _plan_conflicts(
        self, connection: Connection, plan: _Plan, conflicts: dict[str, Event], size: int
    ) -> None:
        """Record each conflict once, however often the same contradiction is sent."""
        index = self._keys.index
        once = {
            index.once(event.integration, event.type, event.id): event
            for event in conflicts.values()
        }
        there = self._database.lookup(connection, "idempotency", "key", "key", list(once))
        for key in {bytes(row[0]) for row in there}:
            del once[key]
        for key, event in once.items():
            plan.known[key] = (b"", size + len(plan.fresh))
            plan.fresh.append(event)
            plan.once.append(key)
            plan.content.append(index.content(event.id.encode()))

    def _subject_keys(
        self, connection: Connection, plan: _Plan
    ) -> tuple[list[SubjectKey], list[tuple[SubjectKey, SubjectRow]]]:
        """Return the key of each fresh event, and the keys made for it with their rows."""
        keyring = self._keys
        tags = [
            None if event.subject is None else keyring.index.subject(*event.subject)
            for event in plan.fresh
        ]
        self._load_subjects(connection, tags)
        referred = self._referred(connection, plan)
        self._keys.next_handle(connection)
        created: list[tuple[SubjectKey, SubjectRow]] = []
        by_tag: dict[bytes, SubjectKey] = {}
        by_once: dict[bytes, SubjectKey] = {}
        chosen: list[SubjectKey] = []
        for event, tag, once in zip(plan.fresh, tags, plan.once, strict=True):
            if tag is not None:
                key = by_tag.get(tag) or keyring.cached_tag(tag)
            elif event.prediction is not None:
                about = keyring.index.once(
                    event.prediction[0], "PredictionLogged", event.prediction[1]
                )
                key = by_once.get(about) or referred.get(about)
            elif event.integration == SYSTEM and event.type in SYSTEM_TYPES:
                key = self._ledger_key(connection, created)
            else:
                key = None
            if key is None:
                key, row = keyring.create(tag)
                created.append((key, row))
            if tag is not None:
                by_tag[tag] = key
            if event.type == "PredictionLogged":
                by_once[once] = key
            chosen.append(key)
        return chosen, created

    def _ledger_key(
        self, connection: Connection, created: list[tuple[SubjectKey, SubjectRow]]
    ) -> SubjectKey:
        for key, _ in created:
            if key.handle == LEDGER_HANDLE:
                return key
        key_or_none = self._keys.cached(LEDGER_HANDLE)
        return key_or_none or self._load_handles(connection, [LEDGER_HANDLE])[LEDGER_HANDLE]

    def _load_subjects(self, connection: Connection, tags: Iterable[bytes | None]) -> None:
        missing = [tag for tag in set(tags) if tag is not None and not self._keys.cached_tag(tag)]
        self._keys.load(
            self._database.lookup(connection, "subject_key", _SUBJECT_COLUMNS, "tag", missing)
        )

    def _load_handles(
        self, connection: Connection, handles: Sequence[int]
    ) -> dict[int, SubjectKey]:
        rows = self._database.lookup(connection, "subject_key", _SUBJECT_COLUMNS, "handle", handles)
        return {key.handle: key for key in self._keys.load(rows)}

    def _referred(self, connection: Connection, plan: _Plan) -> dict[bytes, SubjectKey]:
        """Return the keys of stored predictions that fresh events without a subject name."""
        once = {
            self._keys.index.once(event.prediction[0], "PredictionLogged", event.prediction[1])
            for event in plan.fresh
            if event.prediction is not None and event.subject is None
        }
        if not once:
            return {}
        found = self._database.lookup(connection, "idempotency", "key, idx", "key", sorted(once))
        by_idx = {idx: bytes(key) for key, idx in found}
        handles = {
            by_idx[idx]: handle
            for idx, handle in self._database.lookup(
                connection, "payload", "idx, handle", "idx", list(by_idx)
            )
        }
        keys = {handle: self._keys.cached(handle) for handle in handles.values()}
        missing = [handle for handle, key in keys.items() if key is None]
        keys.update(self._load_handles(connection, missing))
        return {once: key for once, handle in handles.items() if (key := keys.get(handle))}

    def _seal(
        self, events: Sequence[Event], keys: Sequence[SubjectKey], logged_us: int
    ) -> list[Sealed]:
        random = self._random(RANDOM_BYTES * len(events))
        codec, log = self._codec, self._log
        return [
            seal(event, log, logged_us, key, codec, random[at : at + RANDOM_BYTES])
            for event, key, at in zip(
                events, keys, range(0, len(random) + 1, RANDOM_BYTES), strict=False
            )
        ]

    def _series_of(self, connection: Connection, events: Sequence[Event]) -> dict[SeriesName, int]:
        """Return the series ids of these events; inserts those that are new."""
        ids: dict[SeriesName, int] = {}
        for name in dict.fromkeys(map(series_name, events)):
            known = self._series.get(name)
            ids[name] = self._series_id(connection, name) if known is None else known
        return ids

    def _series_id(self, connection: Connection, name: SeriesName) -> int:
        columns = tables.series.c
        match = [column == value for column, value in zip(list(columns)[1:], name, strict=True)]
        there = connection.execute(select(columns.id).where(*match)).scalar()
        if there is not None:
            return int(there)
        newest = connection.execute(
            select(columns.id).order_by(columns.id.desc()).limit(1)
        ).scalar()
        id = 1 if newest is None else newest + 1
        connection.execute(insert(tables.series).values((id, *name)))
        return id

    def _insert(
        self,
        connection: Connection,
        plan: _Plan,
        sealed: Sequence[Sealed],
        keys: Sequence[SubjectKey],
        series: dict[SeriesName, int],
        first: int,
    ) -> None:
        entries, payloads, terms = [], [], []
        counts: dict[tuple[int, int, int], int] = {}
        index = self._keys.index
        idx = first
        for event, record, key in zip(plan.fresh, sealed, keys, strict=True):
            series_id = series[series_name(event)]
            entries.append((idx, record.leaf, series_id, event.event_us))
            payloads.append((idx, record.payload, key.handle, key.version, record.wrapped))
            if event.prediction is not None:
                terms.append(
                    (index.version, PREDICTION_FIELD, index.prediction(*event.prediction), idx)
                )
            for reference in event.references:
                terms.append((index.version, REFERENCE_FIELD, index.reference(*reference), idx))
            cell = (series_id, event.event_us // MINUTE_US, bucket(event.latency_us))
            counts[cell] = counts.get(cell, 0) + 1
            idx += 1
        database = self._database
        database.insert(connection, tables.entry, entries)
        database.insert(connection, tables.payload, payloads)
        database.insert(
            connection,
            tables.idempotency,
            list(zip(plan.once, plan.content, range(first, idx), strict=True)),
        )
        database.insert(connection, tables.blind_index, list(dict.fromkeys(terms)))
        database.add_counts(connection, [(*cell, count) for cell, count in counts.items()])

    def _project(self, connection: Connection, events: Sequence[Event], first: int) -> None:
        view = StoredView(connection, self._keys)
        for projection in self._projections:
            wanted = [
                Applied(first + place, event)
                for place, event in enumerate(events)
                if event.type in projection.types
            ]
            if wanted:
                projection.apply(wanted, view)

    def _answers(
        self, connection: Connection, plan: _Plan, hashes: Sequence[bytes], first: int, size: int
    ) -> list[Appended]:
        older = [idx for idx, _, _ in plan.answers if idx < first]
        stored = {
            idx: leaf_hash(bytes(leaf))
            for idx, leaf in self._database.lookup(connection, "entry", "idx, leaf", "idx", older)
        }
        return [
            Appended(
                idx, hashes[idx - first] if idx >= first else stored[idx], size, duplicate, conflict
            )
            for idx, duplicate, conflict in plan.answers
        ]


_SUBJECT_COLUMNS = "handle, tag, version, store_version, wrapped"


def series_name(event: Event) -> SeriesName:
    """Return the clear fields by which an event is searched and counted."""
    return (
        event.type,
        event.integration,
        event.model,
        event.version,
        event.status,
        event.retention,
    )


def _conflict(event: Event, key: bytes, content: bytes, first: int, logged_us: int) -> Event:
    return event_of(
        "ConflictRecorded",
        SYSTEM,
        {
            "id": f"{key.hex()}:{content.hex()}",
            "time": rfc3339(logged_us),
            "integration": event.integration,
            "type": event.type,
            "first": first,
        },
    )
