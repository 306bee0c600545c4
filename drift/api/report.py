"""Route: a report, for whoever holds its ticket.

Decides that few reports are drawn at once and that the page it answers with is cut off from
everything: its own scripts run, nothing is reached, nothing is kept.
"""

import asyncio
from typing import Annotated

from litestar import MediaType, Response, get
from litestar.handlers import HTTPRouteHandler
from litestar.params import PathParameter

from audit.problems import documented
from drift import reports
from drift.api.governing import Governing

_DRAWING = 2  # at once: each costs a process with a few hundred megabytes


def route(of: Governing) -> HTTPRouteHandler:
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
