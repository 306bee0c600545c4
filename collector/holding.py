"""The routes of quarantine: what was refused, taking it once more, and giving it up.

Decides who sees and replays whose refusals, and that only a person who may replay all of them gives
one up; contents are never shown, only replayed.
"""

import asyncio
from typing import Annotated, Any, Protocol

import msgspec
from litestar import Request, get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody, Parameter
from litestar.response.base import ASGIResponse

from audit.clock import Clock
from audit.ledger import Ledger
from audit.problems import documented
from audit.roles import Principal, decide, require
from collector import openapi
from collector.disposal import discard
from collector.entrance import Json
from collector.errors import CollectorError
from collector.ingest import Answer
from collector.quarantine import ID_PATTERN, Kept, Quarantine, Summary

_ACTION = "replay_quarantine"
_OWN = "own"

Asked = Request[Principal, Any, Any]
Id = Annotated[str, Parameter(pattern=ID_PATTERN, description="Id of what is kept")]
After = Annotated[
    str,
    # PostgreSQL's text holds no NUL.
    Parameter(max_length=64, pattern="^[^\\x00]*$", description="`next` of the page before"),
]
Limit = Annotated[int, Parameter(ge=1, le=200, description="Most items of the page")]


class Discard(msgspec.Struct, frozen=True):
    """Why what is kept is wanted no more."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=4096)]


class Page(msgspec.Struct, frozen=True):
    """Oldest first; `next` is null on the last page. A page that is not the last may be short."""

    items: list[Summary]
    next: str | None


class Replays(Protocol):
    """Takes what was kept once more; True where nothing of it was refused again."""

    async def replay(self, kept: Kept) -> tuple[Answer, bool]: ...


def routes(
    quarantine: Quarantine, replays: Replays, ledger: Ledger, clock: Clock
) -> list[HTTPRouteHandler]:
    """The routes; they want a guard that sets the principal."""

    @get(
        "/",
        operation_id="list_quarantine",
        summary="What was refused and is kept",
        tags=["Quarantine"],
        responses=documented(400),
    )
    async def listed(request: Asked, after: After = "", limit: Limit = 50) -> Page:
        own = _scope(request.user, ("allow", "metadata"))
        return Page(*await asyncio.to_thread(quarantine.list, own, after, limit))

    @post(
        "/{id:str}/replay",
        operation_id="replay_quarantine",
        summary="Take what was refused once more; what is accepted leaves quarantine",
        tags=["Quarantine"],
        responses={**openapi.ingest_answers(), **documented(404)},
    )
    async def replay(request: Asked, id: Id) -> ASGIResponse:
        own = _scope(request.user, ("allow",))
        kept = await asyncio.to_thread(quarantine.get, id, own)
        try:
            answer, whole = await replays.replay(kept)
        except CollectorError as error:
            error.quarantine = id
            raise
        if whole:
            await asyncio.to_thread(quarantine.remove, id)
        return Json(answer)

    @post(
        "/{id:str}/discard",
        status_code=200,
        operation_id="discard_quarantine",
        summary="Give up what was refused; who, why and how much stands on the ledger",
        tags=["Quarantine"],
        responses=documented(400, 404, 413),
    )
    async def discarded(request: Asked, id: Id, data: JSONBody[Discard]) -> Summary:
        require(request.user, _ACTION, accept=("allow",))
        return await asyncio.to_thread(
            discard,
            quarantine,
            ledger,
            id,
            actor=request.user.actor,
            reason=data.reason,
            clock=clock,
        )

    return [listed, replay, discarded]


def _scope(principal: Principal, accept: tuple[str, ...]) -> str | None:
    """The one integration whose refusals the principal may have, None for all.

    Raises `Forbidden` when there is none.
    """
    if decide(principal, _ACTION) in accept:
        return None
    require(principal, _ACTION, _OWN, accept=accept)
    return principal.integration or principal.actor
