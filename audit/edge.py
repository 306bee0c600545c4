"""The right edge of the stored tree: what an append needs of all that came before.

Decides which hashes are kept: full tiles of 256 are rows of `tile`; the unfinished tile of each
level is derived (level 0 from the last entries, higher ones from the roots of the tiles below).
Hides tile arithmetic from the ledger, which only says which leaves came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from sqlalchemy import Connection, select

from audit import leaves, merkle
from audit.errors import Tampered
from audit.tables import entry, tile

WIDTH = 256

TileRow = tuple[int, int, bytes, bytes]
"""A row of tile: level, n, hashes, root."""


@dataclass(frozen=True, slots=True)
class Edge:
    """`unfinished[level]` holds the hashes of that level's last, incomplete tile."""

    size: int
    unfinished: tuple[tuple[bytes, ...], ...] = ()

    def append(self, leaf_hashes: Sequence[bytes]) -> tuple[Self, list[TileRow]]:
        """Return the edge after these leaves and the tiles that they complete."""
        tiles: list[TileRow] = []
        levels = [list(level) for level in self.unfinished]
        incoming = list(leaf_hashes)
        level = 0
        first = self.size  # position of the first incoming hash within its level
        while incoming:
            if level == len(levels):
                levels.append([])
            held = levels[level] + incoming
            n = (first - len(levels[level])) // WIDTH
            roots = []
            full = len(held) - len(held) % WIDTH
            for start in range(0, full, WIDTH):
                hashes = held[start : start + WIDTH]
                root = merkle.root_of(hashes)
                tiles.append((level, n, b"".join(hashes), root))
                roots.append(root)
                n += 1
            levels[level] = held[full:]
            incoming = roots
            first = n - len(roots)
            level += 1
        grown = type(self)(self.size + len(leaf_hashes), tuple(tuple(held) for held in levels))
        return grown, tiles

    def root(self) -> bytes:
        """Return the root of the whole tree."""
        # The subtree of each level's unfinished tile is the last, incomplete child of the level
        # above: promoting it unpaired is what RFC 6962 asks for.
        below: list[bytes] = []
        for held in self.unfinished:
            row = [*held, *below]
            below = [merkle.root_of(row)] if row else []
        return below[0] if below else merkle.EMPTY_ROOT


def load(connection: Connection, size: int, root: bytes) -> Edge:
    """Return the edge of the stored tree of `size` leaves.

    Raises `Tampered` where the stored bytes do not give `root`.
    """
    rest = size % WIDTH
    rows = connection.execute(
        select(*leaves.COLUMNS)
        .select_from(leaves.STORED)
        .where(entry.c.idx >= size - rest, entry.c.idx < size)
        .order_by(entry.c.idx)
    ).all()
    levels = [tuple(merkle.leaf_hash(leaves.text(row)) for row in rows)]
    level, below = 1, size // WIDTH
    while below:
        rest = below % WIDTH
        roots = connection.execute(
            select(tile.c.root)
            .where(tile.c.level == level - 1, tile.c.n >= below - rest, tile.c.n < below)
            .order_by(tile.c.n)
        ).scalars()
        levels.append(tuple(bytes(each) for each in roots))
        level, below = level + 1, below // WIDTH
    edge = Edge(size, tuple(levels))
    if edge.root() != root:
        raise Tampered("the stored entries and tiles do not give the stored root: run fsck")
    return edge
