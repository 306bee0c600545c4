"""fsck: is the database still what was appended?

Decides the checks that need no keys: every leaf canonical and in its place, every payload the one
its leaf commits to, time of logging never decreasing, every tile and the root re-derived from
stored bytes (the columns by which entries are searched are part of their leaves), and the signed
checkpoints that are known from outside (the last signed one, anchored ones) continued by this
tree. `audit.deep` adds what needs keys. Names the first bad index. Reads only; works on a database
that no server would open.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    LargeBinary,
    Row,
    Text,
    cast,
    func,
    literal,
    make_url,
    or_,
    select,
)
from sqlalchemy.exc import SQLAlchemyError

from audit import checkpoint, leaf, leaves, note, tables
from audit.checkpoint import Checkpoint
from audit.database import Database, open_database
from audit.documents import Projection
from audit.edge import Edge
from audit.errors import AuditError, RolledBack, Tampered, Unverifiable
from audit.merkle import leaf_hash
from audit.rootkey import NoRootKey, secret_file
from audit.seal import check_payload
from audit.settings import AuditSettings

OK, TAMPERED, CANNOT_TELL = 0, 1, 2
_PAGE = 2_048
Report = Callable[[str], object]


@dataclass(slots=True)
class Walked:
    """What a walk over all entries found besides being sound."""

    size: int
    missing: list[int] = field(default_factory=list)
    """Indexes of entries without a payload: an erasure must account for each."""


def run(
    settings: AuditSettings,
    *,
    deep: bool,
    earlier: Sequence[Path],
    report: Report,
    projections: Sequence[Projection] = (),
) -> int:
    """Check the store that `settings` name; returns 0 sound, 1 tampered, 2 cannot tell."""
    try:
        database = _existing(settings)
        try:
            _check(database, settings, earlier, report, projections if deep else None)
        finally:
            database.engine.dispose()
    except Tampered as error:
        report(str(error))
        return TAMPERED
    except (AuditError, NoRootKey, SQLAlchemyError, OSError) as error:
        # A database driver's message may quote values: only its kind is told.
        told = str(error) if isinstance(error, AuditError | OSError) else type(error).__name__
        report(f"cannot tell: {told}")
        return CANNOT_TELL
    return OK


def _check(
    database: Database,
    settings: AuditSettings,
    earlier: Sequence[Path],
    report: Report,
    projections: Sequence[Projection] | None,
) -> None:
    from audit import deep

    with database.reading() as connection:
        _check_kinds(connection)
        log = origin(connection)
    # Read before the entries: what is signed meanwhile is not among those that we see.
    try:
        known = known_checkpoints(settings, log, earlier)
    except Unverifiable:
        with database.reading() as connection:
            walk(connection, [])  # another name of the log would explain it, and changes each leaf
        raise
    with database.reading() as connection:
        _check_kinds(connection)
        walked = walk(connection, known)
        report(f"{walked.size} entries: leaves, payloads, tiles and root agree")
        if known:
            report(f"{len(known)} checkpoints known from outside are continued")
        if projections is not None:
            for line in deep.check(connection, database, settings, projections, walked):
                report(line)
        elif walked.missing:
            raise Unverifiable(
                f"{len(walked.missing)} payloads are gone, the first at entry"
                f" {walked.missing[0]}: only --deep can tell whether erasures cover them"
            )


def _existing(settings: AuditSettings) -> Database:
    file = make_url(settings.url).database
    if settings.embedded and not (file and Path(file).is_file()):
        raise Unverifiable(f"there is no database {file}")
    return open_database(settings.url)


def _check_kinds(connection: Connection) -> None:
    """Raise `Tampered` where SQLite, which lets any value into any column, holds a wrong one."""
    if connection.dialect.name != "sqlite":
        return
    for table in tables.metadata.tables.values():
        wrong = or_(
            *(
                func.typeof(column).not_in([_kind(column), *(["null"] if column.nullable else [])])
                for column in table.columns
            )
        )
        query = select(func.min(table.c.idx) if "idx" in table.c else literal(None))
        index, count = connection.execute(query.add_columns(func.count()).where(wrong)).one()
        if count:
            place = index if isinstance(index, int) else None
            raise Tampered(f"table {table.name} holds a value of the wrong kind", index=place)
        for column in table.columns:
            if _kind(column) == "text":
                _check_text(connection, column)


def _check_text(connection: Connection, column: Column[Any]) -> None:
    """Raise `Tampered` where SQLite, which lets any bytes into a text, holds what is none."""
    for written in connection.execute(select(cast(column, LargeBinary)).distinct()).scalars():
        try:
            bytes(written).decode()
        except UnicodeDecodeError as error:
            raise Tampered(f"table {column.table.name} holds a text that is none") from error


def _kind(column: ColumnElement[Any]) -> str:
    if isinstance(column.type, LargeBinary):
        return "blob"
    return "text" if isinstance(column.type, Text) else "integer"


def origin(connection: Connection) -> str:
    """Return the log's name; raises `Unverifiable` where there is no log, `Tampered` beyond one."""
    found = connection.execute(select(tables.head.c.origin)).scalars().all()
    if not found:
        raise Unverifiable("the database holds no ledger")
    if len(found) > 1:
        raise Tampered("the ledger has several heads")
    return str(found[0])


def known_checkpoints(
    settings: AuditSettings, origin: str, earlier: Sequence[Path]
) -> list[Checkpoint]:
    """Return the signed checkpoints that are kept outside the database, smallest first."""
    paths = list(earlier)
    last = settings.data / "checkpoints" / "last-signed"
    if last.exists() and last.read_bytes().strip():
        paths.append(last)
    if not paths:
        return []
    seed = secret_file(settings.key_directory / "log.key", bytes, create=False)
    verifier = note.Signer(origin, seed).verifier
    found = []
    for path in paths:
        try:
            found.append(checkpoint.open(path.read_bytes().rstrip(b"\n") + b"\n", verifier))
        except AuditError as error:
            raise Unverifiable(f"{path} is no checkpoint of this log: {error}") from error
    return sorted(found, key=lambda each: each.size)


def walk(connection: Connection, known: Sequence[Checkpoint]) -> Walked:
    """Re-derive the tree from stored bytes; raises `Tampered` naming the first bad index."""
    head = connection.execute(select(tables.head)).one()
    if known and known[-1].size > head.size:
        raise RolledBack(head.size, known[-1].size)
    walked = Walked(head.size)
    edge, logged_us = Edge(0), 0
    unused = set(connection.execute(select(tables.series.c.id)).scalars())
    for page in _pages(connection, head.size, known):
        hashes: list[bytes] = []
        for row in page:
            if row.idx != edge.size + len(hashes):
                raise Tampered("an entry is missing", index=edge.size + len(hashes))
            raw, logged_us = _checked(row, logged_us)
            unused.discard(row.series)
            if row.sealed is None:
                walked.missing.append(row.idx)
            hashes.append(leaf_hash(raw))
        edge, tiles = edge.append(hashes)
        for level, n, content, root in tiles:
            _check_tile(connection, level, n, content, root)
        _check_known(edge, known)
    if edge.size != head.size:
        raise Tampered("an entry is missing", index=edge.size)
    if edge.root() != head.root:
        raise Tampered(f"{_suspects(edge.size, known)} does not give the stored root")
    if head.id != 1 or head.logged_us != logged_us:
        raise Tampered("the head does not agree with the last entry")
    if unused:
        raise Tampered("there are series that no entry has")
    _check_nothing_more(connection, head.size)
    return walked


def _check_known(edge: Edge, known: Sequence[Checkpoint]) -> None:
    for each in known:
        if each.size == edge.size and each.root != edge.root():
            raise Tampered(f"{_suspects(edge.size, known)} is not the one that was signed")


def _suspects(size: int, known: Sequence[Checkpoint]) -> str:
    """Say which entries no tile and no earlier checkpoint vouches for."""
    first = max([size - size % 256, *(each.size for each in known if each.size < size)])
    return f"one of the entries {first} to {size - 1}"


def _pages(
    connection: Connection, size: int, known: Sequence[Checkpoint]
) -> Iterator[Sequence[Row[Any]]]:
    """Yield rows of entry and payload in order; a page ends at each known checkpoint."""
    entry, payload = tables.entry, tables.payload
    query = (
        select(*leaves.COLUMNS, entry.c.series, payload.c.sealed)
        .select_from(leaves.STORED)
        .outerjoin(payload, payload.c.idx == entry.c.idx)
        .order_by(entry.c.idx)
    )
    stops = {*range(0, size, _PAGE), *(each.size for each in known), size}
    for start, end in pairwise(sorted(stops)):
        page = connection.execute(query.where(entry.c.idx >= start, entry.c.idx < end)).all()
        if not page:
            raise Tampered("an entry is missing", index=start)
        yield page


def _checked(row: Row[Any], logged_us: int) -> tuple[bytes, int]:
    """Check one entry against its payload and predecessor; return its leaf and when it was logged.

    That the leaf is the one that was appended is for the tiles to say.
    """
    raw = leaves.text(row[: len(leaves.COLUMNS)])
    try:
        fields = leaf.parse(raw)
        if row.sealed is not None:
            check_payload(fields, row.sealed)
    except Tampered as error:
        raise Tampered(error.what, index=row.idx) from error
    if fields.logged_us < logged_us:
        raise Tampered("an entry was logged before its predecessor", index=row.idx)
    return raw, fields.logged_us


def _check_tile(connection: Connection, level: int, n: int, hashes: bytes, root: bytes) -> None:
    stored = connection.execute(
        select(tables.tile.c.hashes, tables.tile.c.root).where(
            tables.tile.c.level == level, tables.tile.c.n == n
        )
    ).one_or_none()
    width = 256 ** (level + 1)
    if stored is None:
        raise Tampered(f"tile {n} of level {level} is missing", index=n * width)
    if stored.hashes == hashes and stored.root == root:
        return
    bad = n * width
    if stored.hashes != hashes:
        place = next(
            (i for i in range(256) if stored.hashes[32 * i :][:32] != hashes[32 * i :][:32]), 255
        )
        bad += place * 256**level
    raise Tampered(f"tile {n} of level {level} is not that of its entries", index=bad)


def _check_nothing_more(connection: Connection, size: int) -> None:
    """Raise `Tampered` where there are rows that no entry of the tree accounts for."""
    for table, column in ((tables.entry, "idx"), (tables.payload, "idx")):
        beyond = connection.execute(
            select(func.min(table.c[column])).where(
                (table.c[column] >= size) | (table.c[column] < 0)
            )
        ).scalar()
        if beyond is not None:
            raise Tampered(f"{table.name} has a row that is not in the tree", index=int(beyond))
    full = 0
    below = size
    while below := below // 256:
        full += below
    if connection.execute(select(func.count()).select_from(tables.tile)).scalar() != full:
        raise Tampered("there are tiles that the tree does not have")
