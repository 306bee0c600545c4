"""What tells whether this process lives, is ready and how it does: no token, no content.

Decides that *alive* asks nothing and *ready* asks the database and the ledger, so that a store
that is away or was rolled back takes this process out of rotation without restarting it.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress

from litestar import Response, get
from litestar.enums import MediaType
from litestar.handlers import HTTPRouteHandler
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from audit.errors import AuditError
from audit.ledger import Ledger
from audit.problems import documented, problem
from audit.work import Work

_OPEN: list[dict[str, list[str]]] = [{}]
"""No token is needed."""


def routes(
    ledger: Ledger, work: Work, registry: CollectorRegistry, refresh: Callable[[], None]
) -> list[HTTPRouteHandler]:
    """The routes of health and metrics; `refresh` reads what metrics tell of the store."""

    @get(
        "/healthz",
        operation_id="health",
        summary="The process is alive",
        tags=["Health"],
        security=_OPEN,
        media_type=MediaType.TEXT,
        sync_to_thread=False,
    )
    def healthz() -> str:
        return "alive\n"

    @get(
        "/readyz",
        operation_id="readiness",
        summary="The store answers and continues what was signed",
        tags=["Health"],
        security=_OPEN,
        media_type=MediaType.TEXT,
        responses={503: documented()[503]},
    )
    async def readyz() -> Response[str] | Response[bytes]:
        try:
            ledger.require_working()
            await asyncio.to_thread(work.require_answering)
            await asyncio.to_thread(ledger.checkpoint)
        except AuditError as error:
            return problem(
                503,
                "Not ready",
                str(error),
                "Wait, or see to the database; modelwitness fsck tells more.",
                headers={"Retry-After": "5"},
            )
        return Response("ready\n", media_type=MediaType.TEXT)

    @get(
        "/metrics",
        operation_id="metrics",
        summary="Counters in Prometheus' text format",
        tags=["Health"],
        security=_OPEN,
        media_type="text/plain",
    )
    async def metrics() -> Response[bytes]:
        with suppress(AuditError):  # a store that is away hides no counter of this process
            await asyncio.to_thread(refresh)
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return [healthz, readyz, metrics]
