"""The deep check: everything about a store that only its keys can tell.

Decides what must agree with the opened payloads: the leaf's clear fields, the blind index (no row
missing, none too many), what makes appending idempotent, rollups, subject keys, the documents of
every projection (replayed and compared), and that each missing payload is covered by a logged
erasure. Memory grows with series, rollup cells and documents, not with entries.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from audit import leaf, tables
from audit.compression import Codec
from audit.database import Database
from audit.documents import Applied, Projection, SchemaHistory
from audit.errors import AuditError, Tampered
from audit.events import SYSTEM_TYPES, Event, event_of_json
from audit.fsck import Walked, origin, series_names
from audit.keys import PREDICTION_FIELD, REFERENCE_FIELD, Keys, ring_data
from audit.migrate import fingerprint
from audit.rollups import MINUTE_US, bucket
from audit.rootkey import RootKey
from audit.scratch import Scratch
from audit.seal import Sealed, SubjectKey, open_sealed
from audit.settings import AuditSettings

_PAGE = 1_024


def check(
    connection: Connection,
    database: Database,
    settings: AuditSettings,
    projections: Sequence[Projection],
    walked: Walked,
) -> Iterator[str]:
    """Yield a line for each part that agrees; raises `Tampered` at the first that does not."""
    from audit.store import root_key

    root = root_key(settings, bytes)
    log = origin(connection)
    keys = Keys(root, log, bytes)
    epoch = connection.execute(select(tables.head.c.key_epoch)).scalar_one()
    if epoch < 1:
        raise Tampered("the head counts fewer key rotations than there can be")
    keys.refresh(connection, epoch)
    _check_ring(connection, root, log)
    everything = [SchemaHistory(), *projections]
    examiner = Examiner(connection, database, keys, everything)
    for event in examiner.events(walked.size):
        examiner.take(event)
    yield f"{walked.size - len(walked.missing)} payloads open and agree with their leaves"
    examiner.check_erased(walked.missing)
    examiner.check_subjects()
    examiner.check_blind_index()
    examiner.check_idempotency(walked.size)
    examiner.check_rollups()
    yield "subjects, blind index, idempotency and rollups agree with the payloads"
    examiner.check_documents()
    yield "the documents of every projection are those that the ledger gives"
    schema = examiner.scratch.get("schema", "newest")
    if schema is None or msgspec.json.decode(schema)["fingerprint"] != fingerprint(connection):
        raise Tampered("the schema is not the one that was migrated: a guard was changed")
    yield "the schema, guards included, is the one that was migrated"


class Examiner:
    """Opens every payload once and keeps what the projections must then hold."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        keys: Keys,
        projections: Sequence[Projection],
    ) -> None:
        self._connection = connection
        self._database = database
        self._keys = keys
        self._projections = projections
        self._codec = Codec()
        self._ranges: list[tuple[int, int]] = []
        self._named: set[int] = set()
        self._terms = _Multiset()
        self._cells: Counter[tuple[int, int, int]] = Counter()
        self._series = {name: id for id, name in series_names(connection).items()}
        self.scratch = Scratch()

    def events(self, size: int) -> Iterator[tuple[int, int, Event | None, leaf.Leaf]]:
        """Yield (index, handle, event, leaf) of every entry; no event where it is erased."""
        entry, payload, subject = tables.entry, tables.payload, tables.subject_key
        query = (
            select(
                entry.c.idx,
                entry.c.leaf,
                payload.c.sealed,
                payload.c.handle,
                payload.c.key_version,
                payload.c.wrapped,
                subject.c.tag,
                subject.c.version,
                subject.c.store_version,
                subject.c.wrapped.label("subject_wrapped"),
            )
            .outerjoin(payload, payload.c.idx == entry.c.idx)
            .outerjoin(subject, subject.c.handle == payload.c.handle)
        )
        for start in range(0, size, _PAGE):
            page = self._connection.execute(
                query.where(entry.c.idx >= start, entry.c.idx < start + _PAGE).order_by(entry.c.idx)
            ).all()
            for row in page:
                fields = leaf.parse(row.leaf)
                if row.sealed is None:
                    yield row.idx, -1, None, fields
                    continue
                try:
                    key = self._subject_key(row)
                    body = open_sealed(Sealed(row.leaf, row.sealed, row.wrapped), key, self._codec)
                    event = event_of_json(fields.type, fields.integration, body)
                except AuditError as error:
                    raise Tampered(str(error), index=row.idx) from error
                self._check_tag(row.idx, row.tag, row.handle, event)
                yield row.idx, row.handle, event, fields

    def take(self, found: tuple[int, int, Event | None, leaf.Leaf]) -> None:
        """Check one opened entry against its leaf and keep what projections owe it."""
        idx, _, event, fields = found
        name = (
            fields.type,
            fields.integration,
            fields.model,
            fields.version,
            fields.status,
            fields.retention,
        )
        minute = fields.event_us // MINUTE_US
        self._cells[(self._series[name], minute, bucket(fields.latency_us))] += 1
        if event is None:
            return
        derived = (
            event.type,
            event.integration,
            event.model,
            event.version,
            event.status,
            event.retention,
        )
        if derived != name or (event.event_us, event.latency_us) != (
            fields.event_us,
            fields.latency_us,
        ):
            raise Tampered("the clear fields of a leaf are not those of its payload", index=idx)
        index = self._keys.index
        for tag in _terms(self._keys, event):
            self._terms.add((index.version, *tag, idx))
        if event.type == "ErasureCompleted":
            self._ranges += [
                (int(first), int(last)) for first, last in msgspec.json.decode(event.body)["ranges"]
            ]
        for projection in self._projections:
            if event.type in projection.types:
                projection.apply([Applied(idx, event)], self.scratch)

    def check_erased(self, missing: Sequence[int]) -> None:
        """Raise `Tampered` where a payload is gone that no logged erasure covers."""
        for idx in missing:
            if not any(first <= idx <= last for first, last in self._ranges):
                raise Tampered("a payload is gone and no logged erasure covers it", index=idx)

    def check_subjects(self) -> None:
        """Raise `Tampered` where a subject key does not open or names a subject nobody gave."""
        for row in self._connection.execute(select(tables.subject_key)):
            self._keys.unwrap_subject(row.handle, row.version, row.store_version, row.wrapped)
            if row.tag is not None and row.handle not in self._named:
                raise Tampered(f"subject key {row.handle} claims a subject that no payload names")

    def check_blind_index(self) -> None:
        """Raise `Tampered` where blind-index rows are missing or too many."""
        stored = _Multiset()
        for row in self._connection.execute(select(tables.blind_index)):
            stored.add((row.kver, row.field, row.tag, row.idx))
        if stored != self._terms:
            raise Tampered(
                f"the blind index has {stored.count} rows, its payloads give {self._terms.count},"
                " and they are not the same: run rebuild"
            )

    def check_idempotency(self, size: int) -> None:
        """Raise `Tampered` where a producer's id leads elsewhere than to its entry."""
        count = self._connection.execute(
            select(func.count()).select_from(tables.idempotency)
        ).scalar_one()
        if count != size:
            raise Tampered(f"{count} producers' ids are kept for {size} entries")
        index = self._keys.index
        wanted: dict[bytes, tuple[int, bytes | None]] = {}

        def compare() -> None:
            rows = self._database.lookup(
                self._connection, "idempotency", "key, content, idx", "key", list(wanted)
            )
            stored = {bytes(key): (idx, content) for key, content, idx in rows}
            for key, (idx, content) in wanted.items():
                there = stored.get(key)
                if there is None or there[0] != idx:
                    raise Tampered("a producer's id does not lead to its entry", index=idx)
                if content is not None and there[1] != content:
                    raise Tampered("the kept content hash is not that of the entry", index=idx)
            wanted.clear()

        for idx, _, event, _ in self.events(size):
            if event is None:
                continue
            # A system event may be idempotent over less than its whole body.
            content = index.content(event.content or event.body)
            wanted[index.once(event.integration, event.type, event.id)] = (
                idx,
                None if event.type in SYSTEM_TYPES else content,
            )
            if len(wanted) == _PAGE:
                compare()
        compare()

    def check_rollups(self) -> None:
        """Raise `Tampered` where a rollup is not the count of its entries."""
        for row in self._connection.execute(select(tables.rollup)):
            cell = (row.series, row.minute, row.bucket)
            if self._cells.pop(cell, 0) != row.count:
                raise Tampered("a rollup is not the count of its entries: run rebuild")
        if self._cells:
            raise Tampered("a rollup is missing: run rebuild")

    def check_documents(self) -> None:
        """Raise `Tampered` where a document is not what its events give."""
        kinds = {kind for projection in self._projections for kind in projection.kinds}
        expected = dict(self.scratch.items())
        for row in self._connection.execute(select(tables.document)):
            if row.kind not in kinds:
                raise Tampered(f"there are documents of the unknown kind {row.kind}")
            body = self._keys.open_state(row.sealed, row.kind, row.key)
            if expected.pop((row.kind, row.key), None) != body:
                raise Tampered(f"a {row.kind} is not what the ledger gives: run rebuild")
        if expected:
            kind, _ = next(iter(expected))
            raise Tampered(f"a {kind} is missing: run rebuild")

    def _subject_key(self, row: Row[Any]) -> SubjectKey:
        if row.version is None or row.key_version != row.version:
            raise Tampered("the key of a payload is missing or of another version")
        cached = self._keys.cached(row.handle)
        if cached is not None:
            return cached
        return self._keys.load(
            [(row.handle, row.tag, row.version, row.store_version, row.subject_wrapped)]
        )[0]

    def _check_tag(self, idx: int, tag: bytes | None, handle: int, event: Event) -> None:
        if event.subject is None:
            return
        if tag != self._keys.index.subject(*event.subject):
            raise Tampered("a payload is not under the key of its subject", index=idx)
        self._named.add(handle)


class _Multiset:
    """A multiset that knows only its size and an order-free digest: equal ones compare equal."""

    def __init__(self) -> None:
        self.count = 0
        self._sum = 0

    def add(self, row: tuple[int, int, bytes, int]) -> None:
        version, field, tag, idx = row
        digest = sha256(b"%d|%d|%d|" % (version, field, idx) + tag).digest()
        self.count += 1
        self._sum = (self._sum + int.from_bytes(digest)) % (1 << 256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Multiset) and (self.count, self._sum) == (other.count, other._sum)

    __hash__ = None  # type: ignore[assignment]  # it changes, so it must not be a key


def _terms(keys: Keys, event: Event) -> set[tuple[int, bytes]]:
    found = {(REFERENCE_FIELD, keys.index.reference(*each)) for each in event.references}
    if event.prediction is not None:
        found.add((PREDICTION_FIELD, keys.index.prediction(*event.prediction)))
    return found


def _check_ring(connection: Connection, root: RootKey, log: str) -> None:
    for row in connection.execute(select(tables.key_ring)):
        if row.root_id != root.id:
            raise Tampered(f"{row.kind} key {row.version} names another root key")
        root.unwrap(row.wrapped, ring_data(log, row.kind, row.version))
