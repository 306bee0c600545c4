"""Search: which entries match, newest first, a page at a time.

Decides the filters (a mandatory time range; integration, model, version, type, status; subject or
one reference) and the cursor (the event time and index of the last entry seen, so that pages
neither repeat nor skip while the ledger grows). Hides how an index is chosen:

    subject, reference       the blind index, whose hits are decrypted and rechecked by the reader
    few series match         one short range of the index of each, merged
    more of them             the newest entries by time, looked through up to a bound; where too few
                             of those match, the series whose newest entries come next, merged

so that a page costs a bounded number of statements however many series there are.
"""

import heapq
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Connection, Select, and_, literal, select, tuple_

from audit.errors import Rejected
from audit.keys import REFERENCE_FIELD, IndexKeys
from audit.tables import blind_index, entry, payload, series, subject_key

LARGEST_PAGE = 200
Place = tuple[int, int]
"""(event_us, index): the order of search results, descending."""


class Bounds(NamedTuple):
    """From how many series on the time is walked instead, and over how many entries at most."""

    merged: int = 64
    walked: int = 4_000


BOUNDS = Bounds()


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


def candidates(
    connection: Connection, query: Query, keys: IndexKeys, bounds: Bounds = BOUNDS
) -> Iterator[Place]:
    """Yield the places of entries that match the query's indexes, newest first.

    By subject or reference all of them; else as many as a page needs, and one more.
    """
    upper = _parse_cursor(query.cursor)
    if query.subject is not None:
        yield from _of_subject(connection, query, keys.subject(*query.subject), upper)
    elif query.reference is not None:
        tag = keys.reference(*query.reference)
        yield from _of_term(connection, query, keys.version, tag, upper)
    else:
        matching = select(series.c.id).where(*_filters(query)).limit(bounds.merged + 1)
        wanted = list(connection.execute(matching).scalars())
        if len(wanted) > bounds.merged:
            yield from _of_many(connection, query, upper, bounds.walked)
        else:
            yield from _merged(connection, query, wanted, upper)


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


def _filters(query: Query) -> list[ColumnElement[bool]]:
    asked = (
        (series.c.integration, query.integration),
        (series.c.model, query.model),
        (series.c.version, query.version),
        (series.c.type, query.type),
        (series.c.status, query.status),
    )
    return [column == value for column, value in asked if value is not None]


def _in_range(
    rows: Select[Any],
    query: Query,
    upper: Place | None,
    time: ColumnElement[int] = entry.c.event_us,
) -> Select[Any]:
    """Hold rows to the range and below `upper`, newest first."""
    rows = rows.where(time >= query.start_us)
    if upper is None or upper[0] >= query.end_us:
        rows = rows.where(time < query.end_us)
    else:
        # One bound, and as a pair: so an index is entered at this place, not read from its end.
        rows = rows.where(tuple_(time, entry.c.idx) < tuple_(*map(literal, upper)))
    return rows.order_by(time.desc(), entry.c.idx.desc())


def _merged(
    connection: Connection, query: Query, wanted: Sequence[int], upper: Place | None
) -> Iterator[Place]:
    return heapq.merge(
        *(_of_series(connection, query, each, upper) for each in wanted), reverse=True
    )


def _of_series(
    connection: Connection, query: Query, id: int, upper: Place | None
) -> Iterator[Place]:
    rows = select(entry.c.event_us, entry.c.idx).where(entry.c.series == id)
    page = connection.execute(_in_range(rows, query, upper).limit(query.limit + 1))
    for event_us, idx in page:
        yield int(event_us), int(idx)


def _of_many(
    connection: Connection, query: Query, upper: Place | None, most: int
) -> Iterator[Place]:
    filters = _filters(query)
    if not filters:  # every entry matches: the walk is as long as the page
        yield from _by_time(connection, query, upper, query.limit + 1)
        return
    found = 0
    for place, matches in _walked(connection, query, upper, most):
        upper = place
        if matches:
            found += 1
            yield place
    if found <= query.limit:
        nearest = _nearest(connection, query, upper)
        yield from _merged(connection, query, nearest, upper)


def _by_time(
    connection: Connection, query: Query, upper: Place | None, most: int
) -> Iterator[Place]:
    rows = select(entry.c.event_us, entry.c.idx)
    for event_us, idx in connection.execute(_in_range(rows, query, upper).limit(most)):
        yield int(event_us), int(idx)


def _walked(
    connection: Connection, query: Query, upper: Place | None, most: int
) -> Iterator[tuple[Place, bool]]:
    """Yield the newest `most` entries, and whether the query's clear fields are theirs."""
    newest = select(entry.c.event_us, entry.c.idx, entry.c.series)
    walked = _in_range(newest, query, upper).limit(most).subquery()
    rows = (
        select(walked.c.event_us, walked.c.idx, and_(*_filters(query)))
        # An outer join, whose left side every planner reads first and in its order.
        .select_from(walked.outerjoin(series, series.c.id == walked.c.series))
        .order_by(walked.c.event_us.desc(), walked.c.idx.desc())
    )
    for event_us, idx, matches in connection.execute(rows):
        yield (int(event_us), int(idx)), bool(matches)


def _nearest(connection: Connection, query: Query, upper: Place | None) -> list[int]:
    """Return the matching series whose newest entries below `upper` are the newest.

    As many as a page has entries, and one more: no entry of another series can be on that page,
    since the newest of each of these stands above all of that series.
    """
    newest = _in_range(select(entry.c.idx).where(entry.c.series == series.c.id), query, upper)
    found = (
        select(series.c.id, newest.limit(1).scalar_subquery().label("idx"))
        .where(*_filters(query))
        .subquery()
    )
    rows = (
        select(found.c.id)
        .join(entry, entry.c.idx == found.c.idx)
        .order_by(entry.c.event_us.desc(), entry.c.idx.desc())
        .limit(query.limit + 1)
    )
    return list(connection.execute(rows).scalars())


def _of_subject(
    connection: Connection, query: Query, tag: bytes, upper: Place | None
) -> Iterator[Place]:
    rows = (
        select(entry.c.event_us, entry.c.idx)
        .join(payload, payload.c.idx == entry.c.idx)
        .join(subject_key, subject_key.c.handle == payload.c.handle)
        .where(subject_key.c.tag == tag)
    )
    yield from _filtered(connection, query, rows, upper)


def _of_term(
    connection: Connection, query: Query, version: int, tag: bytes, upper: Place | None
) -> Iterator[Place]:
    rows = (
        select(entry.c.event_us, entry.c.idx)
        .join(blind_index, blind_index.c.idx == entry.c.idx)
        .where(
            blind_index.c.kver == version,
            blind_index.c.field == REFERENCE_FIELD,
            blind_index.c.tag == tag,
        )
    )
    yield from _filtered(connection, query, rows, upper)


def _filtered(
    connection: Connection, query: Query, rows: Select[Any], upper: Place | None
) -> Iterator[Place]:
    # "+ 0" hides the indexes by series and by time: a planner that walks one reads every entry.
    filters = _filters(query)
    if filters:
        wanted = select(series.c.id).where(*filters)
        rows = rows.where((entry.c.series + 0).in_(wanted))
    for event_us, idx in connection.execute(_in_range(rows, query, upper, entry.c.event_us + 0)):
        yield int(event_us), int(idx)
