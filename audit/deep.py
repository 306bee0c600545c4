"""The deep check: everything about a store that only its keys can tell.

Decides what must agree with the opened payloads: the leaf's clear fields, the blind index (no row
missing, none too many), what makes appending idempotent, rollups, subject keys, the documents of
every projection (replayed and compared), and that each missing payload is covered by a logged
erasure. Memory grows with series, subjects, rollup cells and documents, not with entries.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from hashlib import blake2b
from typing import Any

import msgspec
from sqlalchemy import Connection, Result, Select, func, select

from audit import erasures, tables
from audit.database import Database
from audit.documents import Applied, Projection, SchemaHistory
from audit.errors import PayloadGone, Tampered
from audit.events import SYSTEM, SYSTEM_TYPES, Event
from audit.fsck import Walked, origin
from audit.keys import IndexKeys, Keys, ring_data
from audit.migrate import fingerprint, revision
from audit.replay import PAGE, Replayed, pages
from audit.rootkey import RootKey
from audit.scratch import Scratch
from audit.settings import AuditSettings
from audit.store import root_key

_ENVELOPE = "cloudevent"


def check(
    connection: Connection,
    database: Database,
    settings: AuditSettings,
    projections: Sequence[Projection],
    walked: Walked,
) -> Iterator[str]:
    """Yield a line for each part that agrees; raises `Tampered` at the first that does not."""
    root = root_key(settings, os.urandom)
    log = origin(connection)
    _check_ring(connection, root, log)
    keys = Keys(root, log, os.urandom)
    epoch = connection.execute(select(tables.head.c.key_epoch)).scalar_one()
    keys.refresh(connection, epoch)
    everything = [SchemaHistory(), *projections]
    examiner = Examiner(connection, database, keys, everything, walked.size)
    for page in pages(connection, keys, walked.size):
        examiner.take(page)
    examiner.check_erased()
    yield f"{examiner.opened} payloads open and agree with their leaves"
    examiner.check_epoch(epoch)
    examiner.check_subjects()
    examiner.check_blind_index()
    examiner.check_idempotency()
    examiner.check_rollups()
    yield "subjects, blind index, idempotency and rollups agree with the payloads"
    examiner.check_documents()
    yield "the documents of every projection are those that the ledger gives"
    examiner.check_work()
    damage = database.damage(connection)
    if damage is not None:
        raise Tampered(f"the database finds {damage}: entries may be hidden from search; rebuild")
    schema = examiner.scratch.get("schema", "newest")
    recorded = {} if schema is None else msgspec.json.decode(schema)
    if recorded.get("fingerprint") != fingerprint(connection):
        raise Tampered("the schema is not the one that was migrated: a guard was changed")
    if recorded.get("revision") != revision(connection):
        raise Tampered("the database claims another schema version than was migrated")
    yield "the schema, guards included, is the one that was migrated"


class Examiner:
    """Takes every opened entry once and keeps what the projections must then hold."""

    def __init__(
        self,
        connection: Connection,
        database: Database,
        keys: Keys,
        projections: Sequence[Projection],
        size: int,
    ) -> None:
        self._connection = connection
        self._database = database
        self._keys = keys
        self._projections = projections
        self._size = size
        self._gone: list[int] = []
        self._erased: list[tuple[int, int]] = []
        self._rotations = 0
        self._named: set[int] = set()
        secret = os.urandom(32)
        self._terms = _Multiset(secret)
        self._stored_terms = _Multiset(secret)
        self._cells: Counter[tuple[int, int, int]] = Counter()
        self.scratch = Scratch()

    @property
    def opened(self) -> int:
        """How many payloads were there and opened."""
        return self._size - len(self._gone)

    def take(self, page: Sequence[Replayed]) -> None:
        """Check opened entries against their leaves and keep what projections owe them."""
        for entry in page:
            self._cells[entry.cell] += 1
            if entry.event is None:
                self._gone.append(entry.idx)
                continue
            _check_leaf(entry, entry.event)
            self._check_tag(entry, entry.event)
            for term in entry.terms(self._keys):
                self._terms.add(term)
            self._note(entry.idx, entry.event)
            for projection in self._projections:
                if entry.event.type in projection.types:
                    projection.apply([Applied(entry.idx, entry.event)], self.scratch)
        self._check_known(page)

    def check_erased(self) -> None:
        """Raise `PayloadGone` where a payload is gone that no logged erasure covers."""
        idx = erasures.first_uncovered(self._gone, self._erased)
        if idx is not None:
            raise PayloadGone(idx)

    def check_epoch(self, epoch: int) -> None:
        """Raise `Tampered` where the head counts fewer key changes than were logged.

        It only tells caches that they are old, so a higher count does no harm.
        """
        if epoch < 1 + self._rotations:
            raise Tampered("the head counts fewer rotations of keys than were logged")

    def check_subjects(self) -> None:
        """Raise `Tampered` where a subject key does not open or names a subject nobody gave."""
        with self._stream(select(tables.subject_key)) as rows:
            for row in rows:
                self._keys.unwrap_subject(row.handle, row.version, row.store_version, row.wrapped)
                if row.tag is not None and row.handle not in self._named:
                    raise Tampered(
                        f"subject key {row.handle} claims a subject that no payload names"
                    )

    def check_blind_index(self) -> None:
        """Raise `Tampered` where blind-index rows are missing or too many."""
        with self._stream(select(tables.blind_index)) as rows:
            for row in rows:
                self._stored_terms.add((row.kver, row.field, row.tag, row.idx))
        if self._stored_terms != self._terms:
            raise Tampered(
                f"the blind index has {self._stored_terms.size} rows, the payloads give"
                f" {self._terms.size}, and they are not the same: run rebuild"
            )

    def check_idempotency(self) -> None:
        """Raise `Tampered` where there are more producers' ids than entries, or fewer.

        `take` has found those of all entries that open; what is erased has no content hash.
        """
        table, missing = tables.idempotency, set(self._gone)
        count = self._connection.execute(select(func.count()).select_from(table)).scalar_one()
        if count != self._size:
            raise Tampered(f"{count} producers' ids are kept for {self._size} entries")
        with self._stream(select(table.c.idx).where(table.c.content.is_(None))) as rows:
            for row in rows:
                if row.idx not in missing:
                    raise Tampered("the content hash of an entry is gone", index=row.idx)
                missing.discard(row.idx)
        if missing:
            raise Tampered("a content hash outlived its erased entry", index=min(missing))

    def check_rollups(self) -> None:
        """Raise `Tampered` where a rollup is not the count of its entries."""
        with self._stream(select(tables.rollup)) as rows:
            for *cell, count in rows:
                if self._cells.pop(tuple(cell), 0) != count:
                    raise Tampered("a rollup is not the count of its entries: run rebuild")
        if self._cells:
            raise Tampered("a rollup is missing: run rebuild")

    def check_documents(self) -> None:
        """Raise `Tampered` where a document is not what its events give."""
        kinds = {kind for projection in self._projections for kind in projection.kinds}
        expected = dict(self.scratch.items())
        with self._stream(select(tables.document)) as rows:
            for row in rows:
                if row.kind not in kinds:
                    raise Tampered("there are documents of a kind that no projection makes")
                body = self._keys.open_state(row.sealed, row.kind, row.key)
                if expected.pop((row.kind, row.key), None) != body:
                    raise Tampered(
                        f"a document {row.kind} is not what the ledger gives: run rebuild"
                    )
        if expected:
            kind, _ = next(iter(expected))
            raise Tampered(f"a document {kind} is missing: run rebuild")

    def check_work(self) -> None:
        """Raise `Tampered` where a work item was not sealed under its kind and key."""
        with self._stream(select(tables.work)) as rows:
            for row in rows:
                self._keys.open_state(row.sealed, row.kind, row.key)

    def _note(self, idx: int, event: Event) -> None:
        if event.integration != SYSTEM:
            return
        if event.type == erasures.COMPLETED:
            self._erased += erasures.ranges(idx, event.body)
        elif event.type == "KeyRotated":
            self._rotations += 1

    def _check_tag(self, entry: Replayed, event: Event) -> None:
        if event.subject is None or entry.handle is None:
            return
        if entry.tag != self._keys.index.subject(*event.subject):
            raise Tampered("a payload is not under the key of its subject", index=entry.idx)
        self._named.add(entry.handle)

    def _check_known(self, page: Sequence[Replayed]) -> None:
        index = self._keys.index
        events = [(each.idx, each.event) for each in page if each.event is not None]
        once = [index.once(event.integration, event.type, event.id) for _, event in events]
        stored = {
            bytes(key): (idx, content)
            for key, content, idx in self._database.lookup(
                self._connection, "idempotency", "key, content, idx", "key", once
            )
        }
        for (idx, event), key in zip(events, once, strict=True):
            there, content = stored.get(key, (None, None))
            if there != idx:
                raise Tampered("a producer's id does not lead to its entry", index=idx)
            if content is not None and bytes(content) not in _contents(index, event):
                raise Tampered("the kept content hash is not that of the entry", index=idx)

    def _stream(self, query: Select[Any]) -> Result[Any]:
        """Return rows that come page by page; to be closed, since the server holds a cursor."""
        return self._connection.execute(query.execution_options(yield_per=PAGE))


class _Multiset:
    """A multiset that knows only its size and an order-free digest: equal ones compare equal.

    The digest is keyed afresh in every run: sums of unkeyed ones could be met on purpose.
    """

    def __init__(self, secret: bytes) -> None:
        self.size = 0
        self._secret = secret
        self._sum = 0

    def add(self, row: tuple[int, int, bytes, int]) -> None:
        version, field, tag, idx = row
        message = b"%d|%d|%d|" % (version, field, idx) + tag
        digest = blake2b(message, key=self._secret, digest_size=32).digest()
        self.size += 1
        self._sum = (self._sum + int.from_bytes(digest)) % (1 << 256)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Multiset) and (self.size, self._sum) == (other.size, other._sum)

    __hash__ = None  # type: ignore[assignment]  # it changes, so it must not be a key


def _check_leaf(entry: Replayed, event: Event) -> None:
    fields = entry.leaf
    derived = (
        event.type,
        event.integration,
        event.model,
        event.version,
        event.status,
        event.retention,
        event.event_us,
        event.latency_us,
    )
    stands = (
        fields.type,
        fields.integration,
        fields.model,
        fields.version,
        fields.status,
        fields.retention,
        fields.event_us,
        fields.latency_us,
    )
    if derived != stands:
        raise Tampered("the clear fields of a leaf are not those of its payload", index=entry.idx)


def _contents(index: IndexKeys, event: Event) -> Iterator[bytes]:
    """Yield the content hashes that an event may have been kept with."""
    yield index.content(event.content or event.body)
    if event.integration == SYSTEM and event.type in SYSTEM_TYPES:
        yield index.content(event.id.encode())  # the system's own are known by their id alone
        return
    body = msgspec.json.decode(event.content or event.body)
    origin = body.get("origin")
    if isinstance(origin, dict) and isinstance(origin.get("content"), str):
        yield index.content(origin["content"].encode())  # an adapter's events, by what they say
    if body.pop(_ENVELOPE, None) is not None:  # the envelope is kept but is not the content
        yield index.content(msgspec.json.encode(body, order="deterministic"))


def _check_ring(connection: Connection, root: RootKey, log: str) -> None:
    versions: dict[str, list[int]] = {"store": [], "index": []}
    for row in connection.execute(select(tables.key_ring).order_by(tables.key_ring.c.version)):
        root.unwrap(row.wrapped, ring_data(log, row.kind, row.version))
        if row.root_id != root.id:
            raise Tampered(f"{row.kind} key {row.version} names another root key")
        versions[row.kind].append(row.version)
    if not all(found and found[-1] == len(found) for found in versions.values()):
        raise Tampered("a key of the store is gone")
