"""Routes: search entries by clear fields, producer's id, subject or reference.

A personal id never stands in an address: the search is a POST. Searching for a person or an
external id takes the permission to see in full; what was searched for is masked in the record.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody
from msgspec import Meta

from audit import schema
from audit.api.reads import SEARCH, Asked, Reads, Row, Sight, named, row_of, span, within
from audit.errors import Rejected
from audit.events import EVENT_TYPES, rfc3339
from audit.masking import MASK
from audit.problems import documented
from audit.reader import Leaf, Page
from audit.roles import Forbidden, roles_for
from audit.search import LARGEST_PAGE, Query

Text = Annotated[str, Meta(min_length=1, max_length=512)]


class Reference(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An external id by the name it was logged under."""

    name: Text
    value: Text


class Search(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Which entries: a range of event time and any of the filters; newest first.

    A filter of another name is refused: left out, it would make the answer look complete.

    `producer_id` names one event of `integration` (and `type`, by default PredictionLogged); it
    cannot be asked for together with `subject` or `reference`.
    """

    start: schema.Time = msgspec.field(name="from")
    end: schema.Time = msgspec.field(name="to")
    integration: schema.Name | None = None
    model: schema.Name | None = None
    version: schema.Name | None = None
    type: schema.Name | None = None
    status: schema.Name | None = None
    subject: schema.Subject | None = None
    reference: Reference | None = None
    producer_id: schema.Id | None = None
    cursor: Annotated[str, Meta(max_length=256)] | None = None
    limit: Annotated[int, Meta(ge=1, le=LARGEST_PAGE)] = 50


class Found(msgspec.Struct, frozen=True):
    """One page; `next` is the cursor of the following one, `snapshot` the size searched."""

    items: list[Row]
    next: str | None
    snapshot: int


def routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The routes of this subject."""

    @post(
        "/v1/search",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 413),
        summary="Search entries, newest first",
        tags=["entries"],
    )
    def search(request: Asked, data: JSONBody[Search]) -> Found:
        """The access is in the ledger, with the entries found, before they are returned."""
        principal = request.user
        sight = reads.sight(principal)
        query = _query(data, sight)
        if (data.subject or data.reference or data.producer_id) and sight.decision != "allow":
            reads.access.denied(principal, SEARCH)
            raise Forbidden(SEARCH, roles_for(SEARCH, accept={"allow"}))
        named(reads, data.type, query.integration, data.model, data.version, place="/")
        snapshot = reads.store.reader.size()
        page = reads.store.reader.search(query) if data.producer_id is None else _one(reads, data)
        indexes = [leaf.index for leaf in page.leaves]
        reads.access.record(principal, "search", indexes=indexes, filter=_told(data))
        return Found([row_of(leaf) for leaf in page.leaves], page.next, snapshot)

    return [search]


def _query(data: Search, sight: Sight) -> Query:
    start_us, end_us = _span(data)
    if data.type is not None and data.type not in EVENT_TYPES:
        raise Rejected("there is no such event type", field="/type", remedy="Use a known type.")
    if data.producer_id is not None and data.integration is None:
        raise Rejected(
            "a producer's id is known within its integration only",
            field="/integration",
            remedy="Name the integration that logged it.",
        )
    if data.producer_id is not None and (data.subject or data.reference):
        raise Rejected(
            "a producer's id names one event already: a subject or reference would not be checked",
            field="/producer_id",
            remedy="Search by the producer's id alone, or by subject and reference without it.",
        )
    return Query(
        start_us=start_us,
        end_us=end_us,
        integration=within(sight, data.integration),
        model=data.model,
        version=data.version,
        type=data.type,
        status=data.status,
        subject=(data.subject.scheme, data.subject.id) if data.subject else None,
        reference=(data.reference.name, data.reference.value) if data.reference else None,
        cursor=data.cursor,
        limit=data.limit,
    )


def _span(data: Search) -> tuple[int, int]:
    return span(data.start.isoformat(), data.end.isoformat(), place="/")


def _one(reads: Reads, data: Search) -> Page:
    """The one event with this producer's id, when it passes the other filters too."""
    start_us, end_us = _span(data)
    type = data.type or "PredictionLogged"
    index = reads.store.reader.find(data.integration or "", type, data.producer_id or "")
    if index is None:
        return Page([], None)
    leaf = reads.store.reader.leaf(index)
    inside = start_us <= leaf.event_us < end_us
    return Page([leaf] if inside and _equal(leaf, data) else [], None)


def _equal(leaf: Leaf, data: Search) -> bool:
    asked = ((data.model, leaf.model), (data.version, leaf.version), (data.status, leaf.status))
    return all(wanted in {None, is_} for wanted, is_ in asked)


def _told(data: Search) -> dict[str, Any]:
    """The question as the access records it: personal and external ids are masked."""
    start_us, end_us = _span(data)
    told: dict[str, Any] = {"from": rfc3339(start_us), "to": rfc3339(end_us)}
    for name in ("integration", "model", "version", "type", "status"):
        if getattr(data, name) is not None:
            told[name] = getattr(data, name)
    for name in ("subject", "reference", "producer_id"):
        if getattr(data, name) is not None:
            told[name] = MASK
    return told
