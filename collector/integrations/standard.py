"""Addresses that a standard fixes, where an integration's token is the credential.

    POST /v1/traces, /v1/logs    OTLP/HTTP
    POST /api/v1/lineage         OpenLineage, as Marquez answers it

Decides how the token comes (Authorization: Bearer, or Basic with the token as password, or as user
without one: some exporters can do no other), and that a refusal too is worded as the standard has
it. The integration is the token's. Where it is declared with this very adapter, its options hold;
else the adapter's defaults do: nothing must be declared to export traces. Hides ASGI.
"""

import asyncio
import time
from base64 import b64decode
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec
from litestar import Request, post
from litestar.handlers import HTTPRouteHandler

from audit.clock import Clock
from audit.errors import Busy
from audit.roles import Forbidden, Principal, Unauthenticated, require
from audit.tokens import Tokens
from collector.adapters.wire import Adapter, Message, Reply
from collector.errors import CollectorError
from collector.held import Held
from collector.integrations.declaration import Declared
from collector.integrations.door import Answered
from collector.integrations.doorway import Delivered
from collector.integrations.refusals import Refusals
from collector.integrations.registered import Registered
from collector.metrics import Metrics

ADDRESSES: Final[Mapping[str, str]] = MappingProxyType(
    {"/v1/traces": "otlp", "/v1/logs": "otlp", "/api/v1/lineage": "openlineage"}
)
"""Each address and the name of its adapter."""
_SUMMARIES: Final = {
    "/v1/traces": "Take spans of OpenTelemetry: OTLP/HTTP, protobuf or JSON",
    "/v1/logs": "Take log records of OpenTelemetry: OTLP/HTTP, protobuf or JSON",
    "/api/v1/lineage": "Take a run, dataset or job event of OpenLineage",
}
_LONGEST: Final = 2_048
Take = Callable[[Message, Declared, Adapter], Awaitable[Reply]]


def declared_at(url: str, declared: Declared | None, integration: str) -> Declared | None:
    """With what a message to this address is read; None where the address is none of these."""
    adapter = ADDRESSES.get(url.partition("?")[0])
    if adapter is None or (declared is not None and declared.adapter == adapter):
        return declared
    return Declared(name=integration, adapter=adapter)


class Standard:
    """Takes requests to these addresses. Belongs to one event loop."""

    def __init__(
        self,
        take: Take,
        registered: Registered,
        adapters: Mapping[str, Adapter],
        tokens: Tokens,
        refusals: Refusals,
        held: Held,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._take = take
        self._registered = registered
        self._adapters = adapters
        self._tokens = tokens
        self._refusals = refusals
        self._held = held
        self._metrics = metrics
        self._clock = clock

    async def take(self, request: Request[Any, Any, Any], address: str) -> Answered:
        """The sender's answer to a POST; raises only what is no refusal and no `Busy`."""
        began = time.perf_counter()
        adapter = self._adapters[ADDRESSES[address]]
        message = Message(
            url=address,
            headers=tuple(
                (name.lower(), value)
                for name, value in request.scope["headers"]
                if name.lower() not in {b"authorization", b"cookie"}
            ),
            received_us=self._clock(),
        )
        try:
            reply, size = await self._admitted(request, message, adapter)
        except Unauthenticated:
            # The address is known to everybody, so the words of its standard give nothing away.
            reply = adapter.failing(message, 401, "The request carries no valid token")
            reply = reply._replace(headers=(*reply.headers, ("www-authenticate", "Bearer")))
            return Answered(await self._refusals.stranger(reply, began))
        except (Forbidden, Busy, CollectorError) as error:
            return Answered(self._refusals.known(message, adapter, error))
        self._metrics.answered(f"in:{adapter.name}", size, time.perf_counter() - began)
        return Answered(reply)

    async def _admitted(
        self, request: Request[Any, Any, Any], message: Message, adapter: Adapter
    ) -> tuple[Reply, int]:
        principal = await self._principal(request.headers.get("authorization", ""))
        require(principal, "append", accept={"allow"})
        integration = principal.integration or principal.actor
        known = await asyncio.to_thread(self._registered.get, integration)
        declared = declared_at(message.url, known, integration)
        if declared is None:
            raise LookupError("an address without an adapter has a route")
        length = request.headers.get("content-length")
        body = await self._held.read(
            request.receive, None if length is None else length.encode("latin-1")
        )
        try:
            whole = msgspec.structs.replace(message, body=body)
            return await self._take(whole, declared, adapter), len(body)
        finally:
            self._held.give_back(body)

    async def _principal(self, authorization: str) -> Principal:
        text = _token(authorization)
        known = self._tokens.remembered(text)
        if known is None:
            known = await asyncio.to_thread(self._tokens.authenticate, text)
        return known


def routes(standard: Standard) -> list[HTTPRouteHandler]:
    """The routes; each authenticates by itself."""
    return [_route(standard, address) for address in ADDRESSES]


def _route(standard: Standard, address: str) -> HTTPRouteHandler:
    async def deliver(request: Request[Any, Any, Any]) -> Answered:
        return await standard.take(request, address)

    return post(
        address,
        operation_id=f"deliver_{address.rpartition('/')[2]}",
        operation_class=Delivered,
        summary=_SUMMARIES[address],
        tags=["Integrations"],
        status_code=200,
    )(deliver)


def _token(authorization: str) -> str:
    """The token in a header; raises `Unauthenticated` where there is none."""
    scheme, _, text = authorization.partition(" ")
    text = text.strip()
    if not 0 < len(text) <= _LONGEST:
        raise Unauthenticated("the request carries no token")
    if scheme.lower() == "bearer":
        return text
    if scheme.lower() != "basic":
        raise Unauthenticated("the request carries no token")
    try:
        user, _, password = b64decode(text, validate=True).decode().partition(":")
    except ValueError:
        raise Unauthenticated("the request carries no token") from None
    return password or user
