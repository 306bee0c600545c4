"""Search: which entries match, newest first, a page at a time.

Decides the filters (a mandatory time range; integration, model, version, type, status; subject or
one reference) and the cursor (the event time and index of the last entry seen, so that pages
neither repeat nor skip while the ledger grows). Hides how an index is chosen: by clear fields one
short index per matching series, by subject or reference the blind index, whose hits are decrypted
and rechecked by the reader.
"""

import heapq
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Select, and_, or_, select

from audit.errors import Rejected
from audit.keys import REFERENCE_FIELD, IndexKeys
from audit.tables import blind_index, entry, payload, series, subject_key

LARGEST_PAGE = 200
Place = tuple[int, int]
"""(event_us, index): the order of search results, descending."""


@dataclass(frozen=True, slots=True)
class Query:
    """What to search for; `start_us` is included, `end_us` is not."""

    start_us: int
    end_us: int
    integration: str | None = None
    model: str | None = None
    version: str | None = None
    type: str | None = None
    status: str | None = None
    subject: tuple[str, str] | None = None
    reference: tuple[str, str] | None = None
    cursor: str | None = None
    limit: int = 50

    def __post_init__(self) -> None:
        if not 1 <= self.limit <= LARGEST_PAGE:
            raise Rejected(
                "limit is out of range", field="/limit", remedy=f"Ask for 1 to {LARGEST_PAGE}."
            )
        if self.start_us >= self.end_us:
            raise Rejected("the range is empty", field="/to", remedy="Let `to` be after `from`.")


def candidates(connection: Connection, query: Query, keys: IndexKeys) -> Iterator[Place]:
    """Yield the places of entries that match the query's indexes, newest first."""
    upper = _parse_cursor(query.cursor)
    wanted = _series_ids(connection, query)
    if not wanted:
        return
    if query.subject is not None:
        yield from _of_subject(connection, query, keys.subject(*query.subject), wanted, upper)
    elif query.reference is not None:
        tag = keys.reference(*query.reference)
        yield from _of_term(connection, query, keys.version, tag, wanted, upper)
    else:
        streams = [_of_series(connection, query, each, upper) for each in wanted]
        yield from heapq.merge(*streams, reverse=True)


def cursor_of(place: Place) -> str:
    """Return the opaque cursor that continues after `place`."""
    return b2a_base64(f"{place[0]},{place[1]}".encode(), newline=False).decode()


def _parse_cursor(cursor: str | None) -> Place | None:
    if cursor is None:
        return None
    try:
        event_us, _, index = a2b_base64(cursor.encode(), strict_mode=True).partition(b",")
        place = int(event_us), int(index)
        if max(map(abs, place)) < 2**63:
            return place
    except (Base64Error, ValueError, UnicodeEncodeError):
        pass
    raise Rejected(
        "the cursor is not one of ours", field="/cursor", remedy="Send `next` of the last page."
    )


def _series_ids(connection: Connection, query: Query) -> list[int]:
    wanted = select(series.c.id)
    for column, value in (
        (series.c.integration, query.integration),
        (series.c.model, query.model),
        (series.c.version, query.version),
        (series.c.type, query.type),
        (series.c.status, query.status),
    ):
        if value is not None:
            wanted = wanted.where(column == value)
    return list(connection.execute(wanted).scalars())


def _in_range(rows: Select[Place], query: Query, upper: Place | None) -> Select[Place]:
    rows = rows.where(entry.c.event_us >= query.start_us, entry.c.event_us < query.end_us)
    if upper is not None:
        rows = rows.where(
            or_(
                entry.c.event_us < upper[0],
                and_(entry.c.event_us == upper[0], entry.c.idx < upper[1]),
            )
        )
    return rows.order_by(entry.c.event_us.desc(), entry.c.idx.desc())


def _of_series(
    connection: Connection, query: Query, id: int, upper: Place | None
) -> Iterator[Place]:
    rows = select(entry.c.event_us, entry.c.idx).where(entry.c.series == id)
    page = connection.execute(_in_range(rows, query, upper).limit(query.limit + 1))
    for event_us, idx in page:
        yield int(event_us), int(idx)


def _of_subject(
    connection: Connection, query: Query, tag: bytes, wanted: Sequence[int], upper: Place | None
) -> Iterator[Place]:
    # "+ 0" hides the series' index: a planner that walks it reads every entry of the series.
    rows = (
        select(entry.c.event_us, entry.c.idx)
        .join(payload, payload.c.idx == entry.c.idx)
        .join(subject_key, subject_key.c.handle == payload.c.handle)
        .where(subject_key.c.tag == tag, (entry.c.series + 0).in_(wanted))
    )
    for event_us, idx in connection.execute(_in_range(rows, query, upper)):
        yield int(event_us), int(idx)


def _of_term(
    connection: Connection,
    query: Query,
    version: int,
    tag: bytes,
    wanted: Sequence[int],
    upper: Place | None,
) -> Iterator[Place]:
    rows = (
        select(entry.c.event_us, entry.c.idx)
        .join(blind_index, blind_index.c.idx == entry.c.idx)
        .where(
            blind_index.c.kver == version,
            blind_index.c.field == REFERENCE_FIELD,
            blind_index.c.tag == tag,
            (entry.c.series + 0).in_(wanted),
        )
    )
    for event_us, idx in connection.execute(_in_range(rows, query, upper)):
        yield int(event_us), int(idx)
