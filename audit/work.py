"""Work: what must still be done or is kept for a while, outside the ledger.

Decides one table for quarantine, outbox, leases, sign-in codes and progress: a kind, a unique key,
when it is due, who holds it until when, how often it was tried, and a sealed body. A lease ends by
itself, so what a killed process held is done by another.
"""

from collections.abc import Sequence
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from audit.clock import Clock
from audit.database import Database
from audit.keys import Keys
from audit.tables import head, work


class WorkItem(NamedTuple):
    """One piece of work."""

    kind: str
    key: str
    body: bytes
    attempts: int
    due_us: int


class New(NamedTuple):
    """An item to be added."""

    kind: str
    key: str
    body: bytes
    due_us: int = 0


class Work:
    """The work table, safe for use by several threads and processes."""

    def __init__(self, database: Database, keys: Keys, clock: Clock) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._lock = Lock()

    def require_answering(self) -> None:
        """Return where the table can be read now; raises `Busy` else."""
        with self._database.reading() as connection:
            connection.execute(select(work.c.key).limit(1)).first()

    def put(self, kind: str, key: str, body: bytes, due_us: int = 0) -> bool:
        """Add an item, durably; returns False (and changes nothing) where its key is there."""
        with self._database.writing() as connection, self._lock:
            self._refresh(connection)
            if _exists(connection, kind, key):
                return False
            connection.execute(insert(work).values(**self._row(New(kind, key, body, due_us))))
            return True

    def change(self, put: Sequence[New] = (), remove: Sequence[tuple[str, str]] = ()) -> list[bool]:
        """Remove items by (kind, key), then add others, all at once and durably.

        Returns for each item of `put` whether it was added; one whose key is there is left as is.
        """
        added = []
        with self._database.writing() as connection, self._lock:
            self._refresh(connection)
            for kind, key in remove:
                connection.execute(delete(work).where(work.c.kind == kind, work.c.key == key))
            for new in put:
                added.append(not _exists(connection, new.kind, new.key))
                if added[-1]:
                    connection.execute(insert(work).values(**self._row(new)))
        return added

    def found(self, wanted: Sequence[tuple[str, str]]) -> list[WorkItem | None]:
        """Return the items with these (kind, key) as one moment has them, without taking them."""
        with self._database.reading() as connection, self._lock:
            self._refresh(connection)
            rows = [
                connection.execute(_where(select(work), kind, key)).one_or_none()
                for kind, key in wanted
            ]
            return [None if row is None else self._item(row) for row in rows]

    def lease(self, kind: str, holder: str, seconds: float, limit: int) -> list[WorkItem]:
        """Take up to `limit` items that are due and free, for that long."""
        now = self._clock()
        with self._database.writing() as connection, self._lock:
            self._refresh(connection)
            rows = connection.execute(
                select(work)
                .where(work.c.kind == kind, work.c.due_us <= now, work.c.leased_us <= now)
                .order_by(work.c.due_us, work.c.key)
                .limit(limit)
            ).all()
            for row in rows:
                connection.execute(
                    update(work)
                    .where(work.c.kind == kind, work.c.key == row.key)
                    .values(leased_us=now + int(seconds * 1_000_000), holder=holder)
                )
            return [self._item(row) for row in rows]

    def take(self, kind: str, key: str) -> WorkItem | None:
        """Remove an item and return it, None where it is not there: exactly one caller gets it."""
        with self._database.writing() as connection, self._lock:
            self._refresh(connection)
            row = connection.execute(_where(select(work), kind, key)).one_or_none()
            if row is not None:
                connection.execute(delete(work).where(work.c.kind == kind, work.c.key == key))
            return None if row is None else self._item(row)

    def done(self, kind: str, key: str) -> None:
        """Remove an item that is done."""
        with self._database.writing() as connection:
            connection.execute(delete(work).where(work.c.kind == kind, work.c.key == key))

    def later(self, kind: str, key: str, due_us: int) -> None:
        """Give an item back after a failed attempt, due again at `due_us`."""
        with self._database.writing() as connection:
            connection.execute(
                update(work)
                .where(work.c.kind == kind, work.c.key == key)
                .values(due_us=due_us, leased_us=0, holder="", attempts=work.c.attempts + 1)
            )

    def get(self, kind: str, key: str) -> WorkItem | None:
        """Return an item without taking it."""
        with self._database.reading() as connection, self._lock:
            self._refresh(connection)
            row = connection.execute(_where(select(work), kind, key)).one_or_none()
            return None if row is None else self._item(row)

    def list(self, kind: str, after: str = "", limit: int = 200) -> list[WorkItem]:
        """Return items by key, past `after`."""
        with self._database.reading() as connection, self._lock:
            self._refresh(connection)
            rows = connection.execute(
                select(work)
                .where(work.c.kind == kind, work.c.key > after)
                .order_by(work.c.key)
                .limit(limit)
            )
            return [self._item(row) for row in rows]

    def usage(self, kind: str, suffix: str) -> tuple[int, int]:
        """Return how many items of a kind have keys that end so, and their bytes as stored."""
        with self._database.reading() as connection:
            count, size = connection.execute(
                select(func.count(), func.coalesce(func.sum(func.length(work.c.sealed)), 0)).where(
                    work.c.kind == kind, work.c.key.endswith(suffix, autoescape=True)
                )
            ).one()
            return int(count), int(size)

    def claim(self, name: str, holder: str, seconds: float) -> bool:
        """Hold or renew the lease `name`; returns whether `holder` has it now."""
        now = self._clock()
        with self._database.writing() as connection, self._lock:
            self._refresh(connection)
            row = connection.execute(_where(select(work), "lease", name)).one_or_none()
            if row is not None and row.leased_us > now and row.holder != holder:
                return False
            connection.execute(delete(work).where(work.c.kind == "lease", work.c.key == name))
            connection.execute(
                insert(work).values(
                    kind="lease",
                    key=name,
                    due_us=0,
                    leased_us=now + int(seconds * 1_000_000),
                    holder=holder,
                    attempts=0,
                    sealed=self._keys.seal_state(b"", "lease", name),
                )
            )
            return True

    def _row(self, new: New) -> dict[str, Any]:
        return {
            "kind": new.kind,
            "key": new.key,
            "due_us": new.due_us,
            "leased_us": 0,
            "holder": "",
            "attempts": 0,
            "sealed": self._keys.seal_state(new.body, new.kind, new.key),
        }

    def _item(self, row: Row[Any]) -> WorkItem:
        body = self._keys.open_state(bytes(row.sealed), row.kind, row.key)
        return WorkItem(row.kind, row.key, body, row.attempts, row.due_us)

    def _refresh(self, connection: Connection) -> None:
        self._keys.refresh(connection, connection.execute(select(head.c.key_epoch)).scalar_one())


def _where(query: Select[Any], kind: str, key: str) -> Select[Any]:
    return query.where(work.c.kind == kind, work.c.key == key)


def _exists(connection: Connection, kind: str, key: str) -> bool:
    query = select(work.c.key).where(work.c.kind == kind, work.c.key == key)
    return connection.execute(query).first() is not None
