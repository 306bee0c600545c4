"""Routes: retraining cases, and what people decide about them."""

from collections.abc import Sequence

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from audit import roles
from audit.problems import documented
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
        if roles.decide(request.user, "report_retraining") != "allow":
            of.reads(request.user)
        found = steps.case_of(of.store, case)
        dead = outbox.dead_letter(of.store, case)
        return CaseDetail(**msgspec.structs.asdict(found), undelivered=dead)

    return [list_cases, one_case, *(_decision(of, name) for name in steps.DECISIONS)]


_TOLD = {
    "approve": "By someone other than who proposed it; the scheduler then tells the retrainer.",
    "reject": "The same incident is then not proposed again.",
}


def _decision(of: Governing, name: str) -> HTTPRouteHandler:
    @post(
        f"/v1/cases/{{case:str}}/{name}",
        status_code=200,
        sync_to_thread=True,
        responses=documented(400, 404, 409),
        summary=f"{name.capitalize()} a retraining",
        description=_TOLD[name],
        tags=["cases"],
    )
    def decide(request: Asked, case: Id, data: JSONBody[Reason]) -> Case:
        of.allow(request.user, "approve_retraining", DECIDING)
        actor = request.user.actor
        return steps.decide(
            of.store, case, name, actor, data.reason, simulated=data.simulated, clock=of.clock
        )

    return decide
