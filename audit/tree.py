"""The stored tree: tiles, roots and proofs from what the database holds.

Decides how a tile is had: full hash tiles are stored, partial ones and entry bundles derived from
entries and from the roots of the tiles below.
"""

from sqlalchemy import Connection, select

from audit import checkpoint, leaves, merkle, tiles, tlogproof
from audit.database import Database
from audit.errors import NotFound, Tampered
from audit.tables import entry, head
from audit.tables import tile as stored_tile


class StoredTree:
    """The tree in a database, for whoever has no connection open."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def committed(self) -> tuple[int, bytes]:
        """Return size and root as they are committed."""
        with self._database.reading() as connection:
            size, root = connection.execute(select(head.c.size, head.c.root)).one()
        return int(size), bytes(root)

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` leaves, from stored tiles and entries."""
        with self._database.reading() as connection:
            return root_at(connection, size)


def root_at(connection: Connection, size: int) -> bytes:
    """Return the root of the first `size` leaves."""
    return merkle.root_at(size, tiles.subtree_reader(size, lambda each: tile(connection, each)))


def prove(connection: Connection, index: int, signed: bytes) -> bytes:
    """Return the `.tlog-proof` of an entry against a signed checkpoint.

    Its extra data is the leaf, which everybody may see in the tiles: with it, the proof alone says
    what it proves. Nothing has to trust it, since what is proved is its hash. Raises `NotFound`,
    and `Tampered` where it would prove nothing.
    """
    covered = checkpoint.unverified(signed)
    if not 0 <= index < covered.size:
        raise NotFound(f"there is no entry {index}")
    read = tiles.subtree_reader(covered.size, lambda each: tile(connection, each))
    hashes = merkle.inclusion_proof(index, covered.size, read)
    row = connection.execute(
        select(*leaves.COLUMNS).select_from(leaves.STORED).where(entry.c.idx == index)
    ).one_or_none()
    if row is None:
        raise Tampered("an entry is missing", index=index)
    extra = leaves.text(row)
    try:
        merkle.verify_inclusion(merkle.leaf_hash(extra), index, covered.size, hashes, covered.root)
    except Tampered as error:
        raise Tampered("the entry does not lead to the signed root", index=index) from error
    return tlogproof.marshal(tlogproof.TlogProof(index, tuple(hashes), signed, extra))


def tile(connection: Connection, wanted: tiles.Tile) -> bytes:
    """Return a hash tile or entry bundle; raises `NotFound` beyond the tree."""
    first = wanted.index * tiles.WIDTH
    if wanted.level is None or wanted.level == 0:
        if wanted.level == 0 and wanted.width == tiles.WIDTH:
            return _stored(connection, 0, wanted.index)
        entries = connection.execute(
            select(*leaves.COLUMNS)
            .select_from(leaves.STORED)
            .where(entry.c.idx >= first, entry.c.idx < first + wanted.width)
            .order_by(entry.c.idx)
        ).all()
        raw = [leaves.text(row) for row in entries]
        if len(raw) != wanted.width:
            raise NotFound(f"the ledger does not reach {wanted.path}")
        if wanted.level is None:
            return tiles.encode_bundle(raw)
        return b"".join(map(merkle.leaf_hash, raw))
    if wanted.width == tiles.WIDTH:
        return _stored(connection, wanted.level, wanted.index)
    rows = connection.execute(
        select(stored_tile.c.root)
        .where(
            stored_tile.c.level == wanted.level - 1,
            stored_tile.c.n >= first,
            stored_tile.c.n < first + wanted.width,
        )
        .order_by(stored_tile.c.n)
    ).scalars()
    roots = [bytes(each) for each in rows]
    if len(roots) != wanted.width:
        raise NotFound(f"the ledger does not reach {wanted.path}")
    return b"".join(roots)


def _stored(connection: Connection, level: int, n: int) -> bytes:
    hashes = connection.execute(
        select(stored_tile.c.hashes).where(stored_tile.c.level == level, stored_tile.c.n == n)
    ).scalar()
    if hashes is None:
        raise NotFound(f"the ledger does not reach {tiles.Tile(level, n).path}")
    return bytes(hashes)
