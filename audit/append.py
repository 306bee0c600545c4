"""One append: everything that happens to a prepared group inside one transaction.

Decides the order: lock, compare the head with what the group was prepared for, insert all rows,
bring the projections up, swap the head. Nothing here signs or answers; that follows the commit.
"""

from collections.abc import Sequence

from sqlalchemy import Connection, text

from audit import tables, tree
from audit.checkpoint import Checkpoint
from audit.database import Database
from audit.documents import Applied, Projection, StoredView
from audit.errors import AuditError, Busy, Rewritten, RolledBack
from audit.events import Event
from audit.group import Prepared, Tip
from audit.keys import Keys
from audit.prepare import Preparer

# Text, not expressions: these run once a group, and building an expression costs more than the
# statement itself.
_HEAD = text("SELECT size, root, key_epoch FROM head")
_SWAP = text(
    "UPDATE head SET size = :size, root = :root, logged_us = :logged_us WHERE size = :first"
)


class Stale(AuditError):
    """The ledger is not at the tip that a group was prepared for: prepare it again."""


class Appender:
    """Appends prepared groups to one ledger; several processes may each have one."""

    def __init__(self, database: Database, keys: Keys, projections: Sequence[Projection]) -> None:
        self._database = database
        self._keys = keys
        self._projections = projections

    def commit(self, prepared: Prepared, last: Checkpoint | None) -> None:
        """Commit a group. Raises `Stale`, `RolledBack`, and `Busy` where the database is away."""
        with self._database.writing() as connection:
            self._require(connection, prepared.base, last)
            self._insert(connection, prepared)

    def append(
        self, preparer: Preparer, events: Sequence[Event], last: Checkpoint | None
    ) -> Prepared:
        """Prepare and commit under one lock: never stale, whoever else appends.

        `last` is the largest checkpoint that was ever signed. Raises `RolledBack` where the
        database holds less, `Rewritten` where it holds another history, `Tampered` where it
        contradicts itself, `Busy` where it is away.
        """
        with self._database.writing() as connection:
            tip = preparer.tip(connection)
            self._require(connection, tip, last)
            if last is not None and tree.root_at(connection, last.size) != last.root:
                raise Rewritten(last.size)
            prepared = preparer.prepare(connection, tip, events)
            self._insert(connection, prepared)
            return prepared

    def _require(self, connection: Connection, base: Tip, last: Checkpoint | None) -> None:
        size, root, epoch = connection.execute(_HEAD).one()
        if last is not None and size < last.size:
            raise RolledBack(size, last.size)
        if (size, bytes(root), epoch) != (base.edge.size, base.root, base.key_epoch):
            raise Stale("another process appended or rotated keys meanwhile")
        self._keys.refresh(connection, epoch)

    def _insert(self, connection: Connection, prepared: Prepared) -> None:
        insert = self._database.insert
        insert(connection, tables.series, prepared.series)
        insert(connection, tables.subject_key, prepared.subjects)
        insert(connection, tables.entry, prepared.entries)
        insert(connection, tables.payload, prepared.payloads)
        insert(connection, tables.idempotency, prepared.once)
        insert(connection, tables.blind_index, prepared.terms)
        insert(connection, tables.tile, prepared.tiles)
        self._database.add_counts(connection, prepared.counts)
        first, tip = prepared.base.edge.size, prepared.tip
        self._project(connection, prepared.fresh, first)
        if not prepared.fresh:
            return
        swapped = connection.execute(
            _SWAP,
            {
                "first": first,
                "size": tip.edge.size,
                "root": tip.root,
                "logged_us": tip.logged_us,
            },
        )
        if swapped.rowcount != 1:
            raise Busy("another writer appended first")

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
