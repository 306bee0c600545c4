"""Drift over HTTP: policies, verdicts, reports, alerts, retraining cases and their labels.

Decides which permission each route asks for (`audit.roles`) and that a person who may only ask
for an approval cannot give it. Hides nothing that the other modules decide; Evidently is never
loaded here: reports are drawn by a subprocess.
"""

import asyncio
import os
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import msgspec
from litestar import MediaType, Request, Response, Router, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.response import Stream

from audit.access import Access
from audit.api.authentication import authenticated
from audit.clock import Clock
from audit.events import micros, rfc3339
from audit.problems import documented
from audit.roles import DECISIONS, Forbidden, Principal, decide, roles_for
from audit.rootkey import Random
from audit.schema import NAME_PATTERN
from audit.store import Store
from audit.tokens import Tokens
from drift import listing, outbox, reports, steps
from drift.alerts import Alert
from drift.apply import policies
from drift.cases import Case
from drift.errors import IllegalStep, Unknown
from drift.settings import DriftSettings

CHUNK = 262_144
_DRAWING = 2  # reports drawn at once: each costs a process with a few hundred megabytes

Asked = Request[Principal, Any, Any]
Index = Annotated[int, PathParameter(ge=0, le=2**63 - 1, description="Number of an entry, from 0")]
Id = Annotated[str, PathParameter(max_length=128, description="Id of the case or alert")]
Name = Annotated[str | None, QueryParameter(pattern=NAME_PATTERN)]
Cursor = Annotated[str | None, QueryParameter(max_length=1024, description="`next` of a page")]
AlertStates = Annotated[
    Literal["raised", "acknowledged", "resolved"] | None, QueryParameter(name="state")
]
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


class Alerts(msgspec.Struct, frozen=True):
    """A page of alerts, newest incident first."""

    items: list[Alert]
    next: str | None


class Cases(msgspec.Struct, frozen=True):
    """A page of retraining cases, newest incident first."""

    items: list[Case]
    next: str | None


class CaseDetail(Case, frozen=True):
    """A case; `undelivered` tells why nobody took its message, where that is so."""

    undelivered: outbox.Dead | None = None


class TicketIssued(msgspec.Struct, frozen=True):
    """Opens /reports/{ticket} once, for a short time."""

    ticket: str


class Reason(msgspec.Struct, frozen=True):
    """Why a person decides as they do; `simulated` marks what a demonstration does for people."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]
    simulated: bool = False


class Candidate(msgspec.Struct, frozen=True):
    """The version that retraining gave, and what the retrainer measured of it."""

    version: Annotated[str, msgspec.Meta(pattern=NAME_PATTERN)]
    metrics: dict[str, float] = {}


@dataclass(frozen=True, slots=True)
class Governing:
    """What the routes are built from."""

    store: Store
    access: Access
    clock: Clock
    random: Random
    settings: DriftSettings

    def allow(self, principal: Principal, action: str, accept: Collection[str]) -> None:
        """Refuse whoever's decision is not accepted; a refusal of a known person is recorded."""
        if decide(principal, action) not in accept:
            self.access.denied(principal, action)
            raise Forbidden(action, roles_for(action, accept=accept))

    def reads(self, principal: Principal) -> None:
        """Let in whoever may see metadata."""
        self.allow(principal, "search_metadata", _seeing)


_seeing = [decision for decision in DECISIONS if decision != "deny"]
_deciding = ("allow", "second")  # the scheduler proposes, so whoever approves is the second


def router(
    store: Store,
    tokens: Tokens,
    access: Access,
    clock: Clock,
    *,
    settings: DriftSettings | None = None,
    random: Random = os.urandom,
) -> Router:
    """Return the routes of drift; the composition root adds problem handlers and the schema."""
    governing = Governing(store, access, clock, random, settings or DriftSettings.of())
    behind_token = Router(
        "/",
        guards=[authenticated(tokens, access.refused)],
        route_handlers=[
            *_verdict_routes(governing),
            *_alert_routes(governing),
            *_case_routes(governing),
            *_retrainer_routes(governing),
        ],
    )
    return Router("/", route_handlers=[behind_token, _report_route(governing)])


def _verdict_routes(of: Governing) -> Sequence[HTTPRouteHandler]:
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
        wanted = listing.Wanted(model, version, _moment(start), _moment(end))
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


def _report_route(of: Governing) -> HTTPRouteHandler:
    drawing = asyncio.Semaphore(_DRAWING)

    @get(
        "/reports/{ticket:str}",
        responses=documented(404),
        media_type=MediaType.HTML,
        summary="A report, for a ticket",
        tags=["drift"],
        security=[{}],
    )
    async def report(
        ticket: Annotated[str, PathParameter(max_length=128)],
    ) -> Response[bytes]:
        """The page may run its own scripts and reach nothing; the ticket is used up."""
        found = await asyncio.to_thread(reports.redeem, of.store, ticket, clock=of.clock)
        snapshot = await asyncio.to_thread(reports.report_of, of.store, found.index)
        async with drawing:
            html = await reports.draw(snapshot, of.settings.render_timeout)
        headers = {
            "Content-Security-Policy": reports.CSP,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cache-Control": "no-store",
        }
        return Response(html, media_type=MediaType.HTML, headers=headers)

    return report


def _alert_routes(of: Governing) -> Sequence[HTTPRouteHandler]:
    @get(
        "/v1/alerts",
        sync_to_thread=True,
        responses=documented(400),
        summary="Alerts",
        tags=["alerts"],
    )
    def list_alerts(
        request: Asked,
        standing: AlertStates = None,
        cursor: Cursor = None,
    ) -> Alerts:
        """Of one state, or all."""
        of.reads(request.user)
        return Alerts(*listing.alerts(of.store.documents, standing, cursor))

    @post(
        "/v1/alerts/{alert:str}/acknowledge",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="Acknowledge an alert",
        tags=["alerts"],
    )
    def acknowledge(request: Asked, alert: Id, data: JSONBody[Reason]) -> Alert:
        """It stays until its cause has passed; who has seen it, and what they say, is recorded."""
        of.allow(request.user, "acknowledge_alert", ("allow",))
        return steps.acknowledge_alert(
            of.store,
            alert,
            request.user.actor,
            data.reason,
            simulated=data.simulated,
            clock=of.clock,
        )

    return [list_alerts, acknowledge]


def _case_routes(of: Governing) -> Sequence[HTTPRouteHandler]:
    @get(
        "/v1/cases",
        sync_to_thread=True,
        responses=documented(400),
        summary="Retraining cases",
        tags=["cases"],
    )
    def list_cases(request: Asked, cursor: Cursor = None) -> Cases:
        """Each with every step that it took."""
        of.reads(request.user)
        return Cases(*listing.cases(of.store.documents, cursor))

    @get(
        "/v1/cases/{case:str}",
        sync_to_thread=True,
        responses=documented(400, 404),
        summary="One retraining case",
        tags=["cases"],
    )
    def one_case(request: Asked, case: Id) -> CaseDetail:
        """For people who see metadata, and for the retrainer."""
        if decide(request.user, "report_retraining") != "allow":
            of.reads(request.user)
        found = steps.case_of(of.store, case)
        dead = outbox.dead_letter(of.store, case)
        return CaseDetail(**msgspec.structs.asdict(found), undelivered=dead)

    @post(
        "/v1/cases/{case:str}/approve",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="Approve a retraining",
        tags=["cases"],
    )
    def approve(request: Asked, case: Id, data: JSONBody[Reason]) -> Case:
        """By someone other than who proposed it; the scheduler then tells the retrainer."""
        of.allow(request.user, "approve_retraining", _deciding)
        return steps.approve(
            of.store,
            case,
            request.user.actor,
            data.reason,
            simulated=data.simulated,
            clock=of.clock,
        )

    @post(
        "/v1/cases/{case:str}/reject",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="Reject a retraining",
        tags=["cases"],
    )
    def reject(request: Asked, case: Id, data: JSONBody[Reason]) -> Case:
        """The same incident is then not proposed again."""
        of.allow(request.user, "approve_retraining", _deciding)
        return steps.reject(
            of.store,
            case,
            request.user.actor,
            data.reason,
            simulated=data.simulated,
            clock=of.clock,
        )

    return [list_cases, one_case, approve, reject]


def _retrainer_routes(of: Governing) -> Sequence[HTTPRouteHandler]:
    @post(
        "/v1/cases/{case:str}/acknowledge",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="Take a retraining over",
        tags=["retrainer"],
    )
    def acknowledge(request: Asked, case: Id) -> Case:
        """By the retrainer, once it has the request; a body is not read."""
        of.allow(request.user, "report_retraining", ("allow",))
        return steps.acknowledge_case(of.store, case, request.user.actor, clock=of.clock)

    @post(
        "/v1/cases/{case:str}/candidate",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="Register the version that retraining gave",
        tags=["retrainer"],
    )
    def candidate(request: Asked, case: Id, data: JSONBody[Candidate]) -> Case:
        """A VersionReleased that names the case does the same."""
        of.allow(request.user, "report_retraining", ("allow",))
        return steps.register_candidate(
            of.store, case, request.user.actor, data.version, data.metrics, clock=of.clock
        )

    @get(
        "/v1/cases/{case:str}/labels.parquet",
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary="The labelled predictions of a case",
        media_type="application/vnd.apache.parquet",
        tags=["retrainer"],
    )
    def labelled(request: Asked, case: Id) -> Stream:
        """Parquet: columns of the policy, label, label_source, time, entry.

        Repr-Digest (RFC 9530) is the digest that LabelsExported recorded before this was sent.
        """
        from drift import labels  # Arrow is loaded by whoever exports, not by every server

        of.allow(request.user, "labelled_export", ("allow",))
        found = steps.case_of(of.store, case)
        if not found.dispatched and found.state not in {"approved", "acknowledged", "candidate"}:
            raise IllegalStep(
                f"labels are exported for an approved case; this one is {found.state}"
            )
        export = labels.export(
            of.store,
            of.access,
            request.user,
            found,
            most_bytes=of.settings.export_bytes,
            clock=of.clock,
            random=of.random,
        )
        headers = {
            "Repr-Digest": export.repr_digest,
            "Content-Length": str(len(export.parquet)),
            "Content-Disposition": f'attachment; filename="{case}.parquet"',
            "Cache-Control": "no-store",
        }
        return Stream(
            _chunks(export.parquet),
            headers=headers,
            media_type="application/vnd.apache.parquet",
        )

    return [acknowledge, candidate, labelled]


def _chunks(content: bytes) -> Iterator[bytes]:
    for start in range(0, len(content), CHUNK):
        yield content[start : start + CHUNK]


def _moment(text: str | None) -> str | None:
    # In the address of a request a plus sign means a space, and arrives as one.
    return None if text is None else rfc3339(micros(text.replace(" ", "+")))
