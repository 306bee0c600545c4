"""Preparing a group of events: all that can be computed before the transaction that appends it.

Decides which events are new, duplicates or conflicts, under which key each is sealed, and every
row that the transaction will insert. Works from a `Tip`, the state of the ledger that the group
will follow; the transaction compares it with the stored head and the group is prepared again where
they differ. So the next group is sealed while the database still writes the last one.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from sqlalchemy import Connection, func, select

from audit import leaves, tables
from audit.clock import Clock
from audit.compression import Codec
from audit.database import Database
from audit.edge import load
from audit.events import SYSTEM, SYSTEM_TYPES, Event, event_of, rfc3339
from audit.group import Appended, Prepared, Tip
from audit.keys import LEDGER_HANDLE, PREDICTION_FIELD, REFERENCE_FIELD, Keys, SubjectRow
from audit.leaf import SeriesName, series_name
from audit.merkle import leaf_hash
from audit.rollups import MINUTE_US, bucket
from audit.rootkey import Random
from audit.seal import RANDOM_BYTES, Fresh, SubjectKey, seal

_SUBJECT_COLUMNS = "handle, tag, version, store_version, wrapped"


@dataclass(slots=True)
class _Plan:
    """Which of the offered events are new, and what the others are instead."""

    fresh: list[Event] = field(default_factory=list)
    once: list[bytes] = field(default_factory=list)
    content: list[bytes] = field(default_factory=list)
    answers: list[tuple[int, bool, bool]] = field(default_factory=list)


class Preparer:
    """Prepares groups for one ledger. Belongs to one thread."""

    def __init__(
        self, database: Database, keys: Keys, log: str, clock: Clock, random: Random
    ) -> None:
        self._database = database
        self._keys = keys
        self._log = log
        self._clock = clock
        self._random = random
        self._codec = Codec()
        self._series: dict[SeriesName, int] = {}

    def tip(self, connection: Connection) -> Tip:
        """Return the stored state; forgets what was only prepared. Raises `Tampered`."""
        head = connection.execute(select(tables.head)).one()
        self._keys.forget()
        self._keys.refresh(connection, head.key_epoch)
        self._series = {
            (row.type, row.integration, row.model, row.version, row.status, row.retention): row.id
            for row in connection.execute(select(tables.series))
        }
        newest = connection.execute(select(func.max(tables.subject_key.c.handle))).scalar()
        return Tip(
            load(connection, head.size, bytes(head.root)),
            bytes(head.root),
            head.logged_us,
            head.key_epoch,
            0 if newest is None else newest + 1,
            max(self._series.values(), default=0) + 1,
        )

    def prepare(
        self,
        connection: Connection,
        tip: Tip,
        events: Sequence[Event],
        ahead: Sequence[Prepared] = (),
    ) -> Prepared:
        """Return `events` prepared to follow `tip`.

        `ahead` are the groups between what `connection` sees and `tip`, oldest first.
        """
        first = tip.edge.size
        logged_us = max(self._clock(), tip.logged_us)
        once = [self._once(event) for event in events]
        known = self._known(connection, once, ahead)
        plan = self._plan(connection, events, once, known, ahead, first, logged_us)
        keys, subjects, by_once = self._subject_keys(connection, plan, ahead, tip.next_handle)
        sealed = self._seal(plan.fresh, keys, logged_us)
        hashes = [leaf_hash(record.leaf) for record in sealed]
        edge, tiles = tip.edge.append(hashes)
        new_series = self._new_series(plan.fresh, tip.next_series)
        after = Tip(
            edge,
            edge.root() if hashes else tip.root,
            logged_us if hashes else tip.logged_us,
            tip.key_epoch,
            tip.next_handle + len(subjects),
            tip.next_series + len(new_series),
        )
        prepared = Prepared(
            base=tip,
            tip=after,
            fresh=plan.fresh,
            hashes=hashes,
            answers=[],
            known=known,
            keys_by_once=by_once,
            entries=[],
            payloads=[],
            once=list(zip(plan.once, plan.content, range(first, edge.size), strict=True)),
            terms=[],
            subjects=subjects,
            series=new_series,
            tiles=tiles,
            counts=[],
        )
        self._rows(prepared, sealed, keys, first)
        prepared.answers = self._answers(connection, plan, hashes, ahead, first, edge.size)
        return prepared

    def _known(
        self, connection: Connection, once: Sequence[bytes], ahead: Sequence[Prepared]
    ) -> dict[bytes, tuple[bytes | None, int]]:
        """Return what is known of these ids: content hash and index of the first."""
        known = {
            bytes(key): (None if content is None else bytes(content), int(idx))
            for key, content, idx in self._database.lookup(
                connection, "idempotency", "key, content, idx", "key", once
            )
        }
        for group in ahead:
            for key in once:
                if key in group.known:
                    known[key] = group.known[key]
        return known

    def _once(self, event: Event) -> bytes:
        return self._keys.index.once(event.integration, event.type, event.id)

    def _plan(
        self,
        connection: Connection,
        events: Sequence[Event],
        once: Sequence[bytes],
        known: dict[bytes, tuple[bytes | None, int]],
        ahead: Sequence[Prepared],
        size: int,
        logged_us: int,
    ) -> _Plan:
        index = self._keys.index
        plan = _Plan()
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
        # Each conflict is recorded once, however often the same contradiction is sent.
        for event in conflicts.values():
            key = self._once(event)
            if self._known(connection, [key], ahead) or key in known:
                continue
            known[key] = (index.content(event.body), size + len(plan.fresh))
            plan.fresh.append(event)
            plan.once.append(key)
            plan.content.append(index.content(event.body))
        return plan

    def _subject_keys(
        self,
        connection: Connection,
        plan: _Plan,
        ahead: Sequence[Prepared],
        next_handle: int,
    ) -> tuple[list[SubjectKey], list[SubjectRow], dict[bytes, SubjectKey]]:
        """Return the key of each fresh event, the rows of new keys, and predictions' keys."""
        keyring = self._keys
        tags = [
            None if event.subject is None else keyring.index.subject(*event.subject)
            for event in plan.fresh
        ]
        self._load_subjects(connection, tags)
        referred = self._referred(connection, plan, ahead)
        created: list[SubjectRow] = []
        by_once: dict[bytes, SubjectKey] = {}
        chosen: list[SubjectKey] = []
        for event, tag, once in zip(plan.fresh, tags, plan.once, strict=True):
            if tag is not None:
                key = keyring.cached_tag(tag)
            elif event.prediction is not None:
                about = self._about(event.prediction)
                key = by_once.get(about) or referred.get(about)
            elif event.integration == SYSTEM and event.type in SYSTEM_TYPES:
                key = self._ledger_key(connection)
            else:
                key = None
            if key is None:
                key, row = keyring.create(next_handle + len(created), tag)
                created.append(row)
            if event.type == "PredictionLogged":
                by_once[once] = key
            chosen.append(key)
        return chosen, created, by_once

    def _about(self, prediction: tuple[str, str]) -> bytes:
        return self._keys.index.once(prediction[0], "PredictionLogged", prediction[1])

    def _ledger_key(self, connection: Connection) -> SubjectKey:
        cached = self._keys.cached(LEDGER_HANDLE)
        return cached or self._load_handles(connection, [LEDGER_HANDLE])[LEDGER_HANDLE]

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

    def _referred(
        self, connection: Connection, plan: _Plan, ahead: Sequence[Prepared]
    ) -> dict[bytes, SubjectKey]:
        """Return the keys of earlier predictions that fresh events without a subject name."""
        once = {
            self._about(event.prediction)
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
        referred = {once: key for once, handle in handles.items() if (key := keys.get(handle))}
        for group in ahead:
            referred.update(group.keys_by_once)
        return referred

    def _seal(
        self, events: Sequence[Event], keys: Sequence[SubjectKey], logged_us: int
    ) -> list[Fresh]:
        random = self._random(RANDOM_BYTES * len(events))
        packed = self._codec.compress([event.body for event in events])
        log = self._log
        return [
            seal(event, body, log, logged_us, key, random[at : at + RANDOM_BYTES])
            for event, body, key, at in zip(
                events,
                packed,
                keys,
                range(0, RANDOM_BYTES * len(events), RANDOM_BYTES),
                strict=True,
            )
        ]

    def _new_series(self, events: Sequence[Event], next: int) -> list[tuple[int, *SeriesName]]:
        """Return the rows of series that these events are the first of."""
        rows: list[tuple[int, *SeriesName]] = []
        for name in dict.fromkeys(map(series_name, events)):
            if name not in self._series:
                self._series[name] = next + len(rows)
                rows.append((self._series[name], *name))
        return rows

    def _rows(
        self,
        prepared: Prepared,
        sealed: Sequence[Fresh],
        keys: Sequence[SubjectKey],
        first: int,
    ) -> None:
        index, series = self._keys.index, self._series
        put_entry, put_payload = prepared.entries.append, prepared.payloads.append
        terms: dict[tuple[int, int, bytes, int], None] = {}
        counts: dict[tuple[int, int, int], int] = {}
        idx = first
        for event, record, key in zip(prepared.fresh, sealed, keys, strict=True):
            series_id = series[series_name(event)]
            put_entry((idx, record.packed, series_id, event.event_us))
            put_payload((idx, record.payload, key.handle, key.version, record.wrapped))
            if event.prediction is not None:
                tag = index.prediction(*event.prediction)
                terms[index.version, PREDICTION_FIELD, tag, idx] = None
            for reference in event.references:
                terms[index.version, REFERENCE_FIELD, index.reference(*reference), idx] = None
            cell = (series_id, event.event_us // MINUTE_US, bucket(event.latency_us))
            counts[cell] = counts.get(cell, 0) + 1
            idx += 1
        prepared.terms = list(terms)
        prepared.counts = [(*cell, count) for cell, count in counts.items()]

    def _answers(
        self,
        connection: Connection,
        plan: _Plan,
        hashes: Sequence[bytes],
        ahead: Sequence[Prepared],
        first: int,
        size: int,
    ) -> list[Appended]:
        older = [idx for idx, _, _ in plan.answers if idx < first]
        stored = {
            row[0]: leaf_hash(leaves.text(row))
            for row in self._database.lookup(connection, leaves.TABLES, leaves.NAMES, "idx", older)
        }
        for group in ahead:
            stored.update(enumerate(group.hashes, group.base.edge.size))
        return [
            Appended(
                idx, hashes[idx - first] if idx >= first else stored[idx], size, duplicate, conflict
            )
            for idx, duplicate, conflict in plan.answers
        ]


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
