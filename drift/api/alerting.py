"""Routes: alerts, and that a person has seen one."""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, QueryParameter

from audit.problems import documented
from drift import listing, steps
from drift.alerts import Alert
from drift.api.governing import Asked, Cursor, Governing, Id, Reason

AlertStates = Annotated[
    Literal["raised", "acknowledged", "resolved"] | None, QueryParameter(name="state")
]


class Alerts(msgspec.Struct, frozen=True):
    """A page of alerts, newest incident first."""

    items: list[Alert]
    next: str | None


def routes(of: Governing) -> Sequence[HTTPRouteHandler]:
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
