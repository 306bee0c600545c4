"""Routes: policies in force, verdicts of judged windows, tickets to their reports."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from audit.api.reads import moment
from audit.events import rfc3339
from audit.problems import documented
from audit.schema import NAME_PATTERN
from drift import listing, reports
from drift.api.governing import Asked, Cursor, Governing, Index
from drift.apply import policies
from drift.errors import Unknown

Name = Annotated[str | None, QueryParameter(pattern=NAME_PATTERN)]
From = Annotated[str | None, QueryParameter(name="from", max_length=64, description="RFC 3339")]
To = Annotated[str | None, QueryParameter(name="to", max_length=64, description="RFC 3339")]


class PolicyRow(msgspec.Struct, frozen=True):
    """A policy in force, as it was applied; `secret` and `url` in it may be references."""

    model: str
    owner: str
    revision: str
    author: str
    time: str
    index: int
    window: str
    text: str


class Policies(msgspec.Struct, frozen=True):
    """Every policy in force; `next` is always None."""

    items: list[PolicyRow]
    next: str | None = None


class Verdicts(msgspec.Struct, frozen=True):
    """A page of DriftMeasured without their reports, newest window first."""

    items: list[dict[str, Any]]
    next: str | None


class TicketIssued(msgspec.Struct, frozen=True):
    """Opens /reports/{ticket} once, for a short time."""

    ticket: str


def routes(of: Governing) -> Sequence[HTTPRouteHandler]:
    @get(
        "/v1/policies",
        sync_to_thread=True,
        responses=documented(),
        summary="Policies in force",
        tags=["drift"],
    )
    def list_policies(request: Asked) -> Policies:
        """One for each model that has one."""
        of.reads(request.user)
        return Policies(
            [
                PolicyRow(
                    model=document.model,
                    owner=document.owner,
                    revision=document.revision,
                    author=document.author,
                    time=document.time,
                    index=document.index,
                    window=policy.window,
                    text=document.text,
                )
                for document, policy in policies(of.store)
            ]
        )

    @get(
        "/v1/drift",
        sync_to_thread=True,
        responses=documented(400),
        summary="Verdicts of judged windows",
        tags=["drift"],
    )
    def list_verdicts(
        request: Asked,
        model: Name = None,
        version: Name = None,
        start: From = None,
        end: To = None,
        cursor: Cursor = None,
    ) -> Verdicts:
        """Windows that overlap the range, newest first; reports are opened through tickets."""
        of.reads(request.user)
        wanted = listing.Wanted(model, version, _told(start, "from"), _told(end, "to"))
        return Verdicts(*listing.verdicts(of.store.documents, wanted, cursor))

    @get(
        "/v1/drift/{index:int}",
        sync_to_thread=True,
        responses=documented(400, 404),
        summary="One verdict",
        tags=["drift"],
    )
    def verdict(request: Asked, index: Index) -> dict[str, Any]:
        """The DriftMeasured at this entry without its report."""
        of.reads(request.user)
        if of.store.reader.leaf(index).type != "DriftMeasured":
            raise Unknown("this entry is no drift verdict")
        [opened] = of.store.reader.open([index])
        body: dict[str, Any] = msgspec.json.decode(opened.body)
        has_report = body.pop("report", None) is not None
        return {**body, "index": index, "has_report": has_report}

    @post(
        "/v1/drift/{index:int}/ticket",
        sync_to_thread=True,
        responses=documented(400, 404),
        summary="A ticket to the report of a verdict",
        tags=["drift"],
    )
    def ticket(request: Asked, index: Index) -> TicketIssued:
        """Good once and for a minute; who asked is in the ledger."""
        of.reads(request.user)
        of.access.record(request.user, "open_report", indexes=[index])
        text = reports.issue(
            of.store,
            index,
            request.user.actor,
            seconds=of.settings.ticket,
            clock=of.clock,
            random=of.random,
        )
        return TicketIssued(text)

    return [list_policies, list_verdicts, verdict, ticket]


def _told(text: str | None, field: str) -> str | None:
    return None if text is None else rfc3339(moment(text, field))
