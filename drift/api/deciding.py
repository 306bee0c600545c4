"""Routes: retraining cases, and what people decide about them."""

from collections.abc import Sequence

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from audit.problems import documented
from audit.roles import decide
from drift import listing, outbox, steps
from drift.api.governing import DECIDING, Asked, Cursor, Governing, Id, Reason
from drift.cases import Case


class Cases(msgspec.Struct, frozen=True):
    """A page of retraining cases, newest incident first."""

    items: list[Case]
    next: str | None


class CaseDetail(Case, frozen=True):
    """A case; `undelivered` tells why nobody took its message, where that is so."""

    undelivered: outbox.Dead | None = None


def routes(of: Governing) -> Sequence[HTTPRouteHandler]:
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
        of.allow(request.user, "approve_retraining", DECIDING)
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
        of.allow(request.user, "approve_retraining", DECIDING)
        return steps.reject(
            of.store,
            case,
            request.user.actor,
            data.reason,
            simulated=data.simulated,
            clock=of.clock,
        )

    return [list_cases, one_case, approve, reject]
