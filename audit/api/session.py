"""Routes: sign in with a one-time code, who am I, sign out."""

from collections.abc import Sequence
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import JSONBody

from audit import signin
from audit.api.reads import OPEN, Asked, Reads
from audit.problems import documented
from audit.roles import ACTIONS, told


class Code(msgspec.Struct, frozen=True):
    """A one-time code, as the start of the program printed it."""

    code: Annotated[str, msgspec.Meta(min_length=1, max_length=256)]


class Me(msgspec.Struct, frozen=True):
    """The principal behind a token; `can` tells the decision for every action."""

    actor: str
    roles: list[str]
    integration: str | None
    can: dict[str, str]


class SignedOut(msgspec.Struct, frozen=True):
    """Whose token no longer opens anything."""

    actor: str


def open_routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The route that needs no token."""

    @post(
        "/v1/signin",
        status_code=200,
        sync_to_thread=True,
        security=OPEN,
        responses=documented(400, 413),
        summary="Exchange a one-time code for a session token",
        tags=["session"],
    )
    def sign_in(data: JSONBody[Code]) -> signin.Session:
        """The token lives twelve hours; the code is used up whatever the answer is."""
        return signin.redeem(reads.store.work, reads.tokens, data.code, clock=reads.clock)

    return [sign_in]


def routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The routes behind a token."""

    @get(
        "/v1/me",
        sync_to_thread=False,
        responses=documented(),
        summary="Who the token stands for and what it may do",
        tags=["session"],
    )
    def me(request: Asked) -> Me:
        """Decisions are allow, second, break_glass, request, metadata or deny; own, own_versions
        and scope allow it for what is the principal's own, for releases, for its integration."""
        principal = request.user
        can = {action: told(principal, action) for action in ACTIONS}
        return Me(principal.actor, list(principal.roles), principal.integration, can)

    @post(
        "/v1/signout",
        status_code=200,
        sync_to_thread=True,
        responses=documented(),
        summary="End the token that the request carries",
        tags=["session"],
    )
    def sign_out(request: Asked) -> SignedOut:
        """Every process refuses the token within a second; the ledger keeps that it was ended."""
        principal = request.user
        reads.tokens.revoke(principal.token, by=principal.actor)
        return SignedOut(principal.actor)

    return [me, sign_out]
