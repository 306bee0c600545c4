"""Whether leaves that are about to be shown are those that were appended.

Decides that none is shown on the word of its row alone, since the columns from which it is made
may be edited by whoever reaches the database: its hash must be that of its stored tile; in the
last, unfinished tile all leaves together must give the stored root. Hides what is remembered to
keep that cheap: full tiles never change, an unfinished one is checked once for each size of the
log.
Somebody who edits a tile as well is found by proofs, `verify` and `fsck`; so is an entry that was
moved out of the range that a search asks for.
"""

from collections.abc import Mapping
from typing import NamedTuple

from sqlalchemy import Connection, select

from audit import edge
from audit.database import Database
from audit.errors import Tampered
from audit.merkle import HASH_SIZE
from audit.tables import head

MOST_TILES = 1_024
"""Remembered full tiles of 8 KiB."""
_NOT_THE_ONE = "the entry is not the one that was appended"


class _Tail(NamedTuple):
    """The hashes of the unfinished tile, as they gave `root`."""

    size: int = 0
    root: bytes = b""
    hashes: tuple[bytes, ...] = ()

    @property
    def first(self) -> int:
        return self.size - self.size % edge.WIDTH


class Intact:
    """Compares leaves with the tree of one database; safe for use by several threads."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._tiles: dict[int, bytes] = {}
        self._tail = _Tail()

    def require(self, connection: Connection, hashes: Mapping[int, bytes]) -> None:
        """Raise `Tampered` unless each of these leaf hashes, by index, is that of the tree.

        It names the entry, unless the unfinished tile was never seen whole.
        """
        if not hashes:
            return
        size, root = connection.execute(select(head.c.size, head.c.root)).one()
        full = size - size % edge.WIDTH
        if max(hashes) >= size:
            raise Tampered("the entry is not in the tree", index=max(hashes))
        stored = self._full(connection, {each // edge.WIDTH for each in hashes if each < full})
        tail = self._unfinished(connection, size, root, hashes) if max(hashes) >= full else _Tail()
        for index, hash in sorted(hashes.items()):
            n, place = divmod(index, edge.WIDTH)
            if index >= full:
                known = tail.hashes[place]
            else:
                known = stored[n][place * HASH_SIZE :][:HASH_SIZE]
            if hash != known:
                raise Tampered(_NOT_THE_ONE, index=index)

    def _full(self, connection: Connection, wanted: set[int]) -> dict[int, bytes]:
        found = {n: self._tiles[n] for n in wanted if n in self._tiles}
        missing = sorted(wanted - found.keys())
        rows = self._database.lookup(connection, "tile", "n, hashes", "level = 0 AND n", missing)
        read = {int(n): bytes(hashes) for n, hashes in rows}
        for n in missing:
            if n not in read:
                raise Tampered(f"tile {n} of level 0 is missing", index=n * edge.WIDTH)
            found[n] = read[n]
            self._tiles[n] = read[n]
        while len(self._tiles) > MOST_TILES:
            self._tiles.pop(next(iter(list(self._tiles))), None)
        return found

    def _unfinished(
        self, connection: Connection, size: int, root: bytes, hashes: Mapping[int, bytes]
    ) -> _Tail:
        known = self._tail
        if (known.size, known.root) == (size, root):
            return known
        try:
            tail = _Tail(size, bytes(root), edge.load(connection, size, root).unfinished[0])
        except Tampered as error:
            if error.index is None and known.first == size - size % edge.WIDTH:
                for index in sorted(hashes.keys() & set(range(known.first, known.size))):
                    if hashes[index] != known.hashes[index - known.first]:
                        raise Tampered(_NOT_THE_ONE, index=index) from error
            raise
        self._tail = tail
        return tail
