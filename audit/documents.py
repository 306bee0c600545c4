"""Documents: projections kept as sealed bodies under a kind and a key.

Decides how a package outside the kernel keeps a view of the ledger without tables of its own: it
hands in a `Projection`, whose `apply` runs inside the append transaction, and reads with
`Documents`. A projection's documents are determined by its events alone, so `rebuild` can drop
and recreate them. Bodies are sealed; kinds and keys are clear and must name nobody.
"""

from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Protocol

import msgspec
from sqlalchemy import Connection, delete, insert, select

from audit.database import Database
from audit.events import Event
from audit.keys import Keys
from audit.tables import document, head

_PAGES = (25, 200)
"""Documents read at first, since many who ask stop soon, and then at a time."""


class Applied(msgspec.Struct, frozen=True):
    """An event that the running transaction appends, and where."""

    index: int
    event: Event


class View(Protocol):
    """Documents within one transaction: what `Projection.apply` reads and writes."""

    def get(self, kind: str, key: str) -> bytes | None:
        """Return a document's body, None where there is none."""

    def list(
        self,
        kind: str,
        prefix: str = "",
        after: str = "",
        limit: int = 200,
        *,
        descending: bool = False,
    ) -> list[tuple[str, bytes]]:
        """Return up to `limit` (key, body) whose key starts with `prefix`, by key, past `after`."""

    def put(self, kind: str, key: str, body: bytes) -> None:
        """Write a document, over one that may be there."""

    def delete(self, kind: str, key: str) -> None:
        """Remove a document, if it is there."""


class StoredView(View):
    """The documents of the database, as one transaction sees and changes them."""

    def __init__(self, connection: Connection, keys: Keys) -> None:
        self._connection = connection
        self._keys = keys

    def get(self, kind: str, key: str) -> bytes | None:
        sealed = self._connection.execute(
            select(document.c.sealed).where(document.c.kind == kind, document.c.key == key)
        ).scalar()
        return None if sealed is None else self._keys.open_state(bytes(sealed), kind, key)

    def list(
        self,
        kind: str,
        prefix: str = "",
        after: str = "",
        limit: int = 200,
        *,
        descending: bool = False,
    ) -> list[tuple[str, bytes]]:
        key = document.c.key
        query = select(key, document.c.sealed).where(document.c.kind == kind)
        if prefix:
            query = query.where(key >= prefix)
            following = _following(prefix)
            if following:
                query = query.where(key < following)
        if after:
            query = query.where(key < after if descending else key > after)
        query = query.order_by(key.desc() if descending else key).limit(limit)
        return [
            (row.key, self._keys.open_state(bytes(row.sealed), kind, row.key))
            for row in self._connection.execute(query)
        ]

    def put(self, kind: str, key: str, body: bytes) -> None:
        self.delete(kind, key)
        sealed = self._keys.seal_state(body, kind, key)
        self._connection.execute(insert(document).values(kind=kind, key=key, sealed=sealed))

    def delete(self, kind: str, key: str) -> None:
        self._connection.execute(
            delete(document).where(document.c.kind == kind, document.c.key == key)
        )


class Projection(Protocol):
    """A view of some types of events, owned by whoever defines it."""

    name: str
    types: frozenset[str]
    kinds: frozenset[str]
    """The kinds of its documents: `rebuild` drops and recreates just these."""

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        """Bring the documents up to these events, in order; determined by the events alone."""

    def forget(self, handle: int, view: View) -> None:
        """Remove what was learned of a subject whose key is being destroyed."""


class SchemaHistory:
    """Keeps the fingerprint of the schema as it was last migrated."""

    name = "schema"
    types = frozenset({"SchemaMigrated"})
    kinds = frozenset({"schema"})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        view.put("schema", "newest", entries[-1].event.body)

    def forget(self, handle: int, view: View) -> None:
        """Nothing: a schema is about nobody."""


class Documents:
    """Reads documents from any thread."""

    def __init__(self, database: Database, keys: Keys) -> None:
        self._database = database
        self._keys = keys
        self._lock = Lock()

    def get(self, kind: str, key: str) -> bytes | None:
        """Return a document's body, None where there is none."""
        with self._database.reading() as connection, self._lock:
            return self._view(connection).get(kind, key)

    def list(
        self,
        kind: str,
        prefix: str = "",
        after: str = "",
        limit: int = 200,
        *,
        descending: bool = False,
    ) -> list[tuple[str, bytes]]:
        """Return up to `limit` (key, body) whose key starts with `prefix`, by key, past `after`."""
        with self._database.reading() as connection, self._lock:
            return self._view(connection).list(kind, prefix, after, limit, descending=descending)

    def each(
        self, kind: str, prefix: str = "", *, after: str = "", descending: bool = False
    ) -> Iterator[tuple[str, bytes]]:
        """Give every (key, body) that `list` would, however many there are.

        They are read in pages, so that whoever stops early has not read them all; what is written
        meanwhile past the last key given is given too.
        """
        size, following = _PAGES
        while rows := self.list(kind, prefix, after, size, descending=descending):
            yield from rows
            if len(rows) < size:
                return
            after, size = rows[-1][0], following

    def _view(self, connection: Connection) -> StoredView:
        self._keys.refresh(connection, connection.execute(select(head.c.key_epoch)).scalar_one())
        return StoredView(connection, self._keys)


def _following(prefix: str) -> str:
    """Return the least text that sorts after all that start with `prefix`; "" for none."""
    kept = prefix.rstrip("\U0010ffff")
    if not kept:
        return ""
    last = ord(kept[-1]) + 1
    return kept[:-1] + chr(0xE000 if last == 0xD800 else last)  # surrogates are no characters
