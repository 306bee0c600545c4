"""The guard that every route behind a token shares.

Decides how a token arrives (Authorization: Bearer) and where the principal then stands
(`request.user`). Hides threads: a token that must be looked up never blocks the event loop.
"""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from litestar.connection import ASGIConnection
from litestar.handlers.base import BaseRouteHandler
from litestar.types import Guard

from audit.errors import AuditError
from audit.roles import Principal, Unauthenticated
from audit.tokens import Tokens

_LONGEST = 512


def authenticated(tokens: Tokens, refused: Callable[[], None] | None = None) -> Guard:
    """A guard that sets `request.user` to the `Principal`, or raises `Unauthenticated`.

    `refused` is called, in a worker thread, for every request that is turned away.
    """

    async def guard(connection: ASGIConnection[Any, Any, Any, Any], _: BaseRouteHandler) -> None:
        try:
            connection.scope["user"] = await _principal(tokens, connection)
        except Unauthenticated:
            if refused is not None:
                # Nothing is given away: a ledger that cannot take the count changes no answer.
                with suppress(AuditError):
                    await asyncio.to_thread(refused)
            raise

    return guard


async def _principal(tokens: Tokens, connection: ASGIConnection[Any, Any, Any, Any]) -> Principal:
    scheme, _, text = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not 0 < len(text) <= _LONGEST:
        raise Unauthenticated("the request carries no bearer token")
    known = tokens.remembered(text)
    return await asyncio.to_thread(tokens.authenticate, text) if known is None else known
