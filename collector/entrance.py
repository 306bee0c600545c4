"""From an HTTP request to a delivery: who sends, what headers say, and the body within limits.

Decides whom an event belongs to (the integration of the credential, else its actor), what the
role may send, and how large a body may be (how long it may take, `audit.api.protocol` decides).
Hides ASGI. The framework's own reading of requests is left aside on purpose: it costs more than all
of this.
"""

import time
from collections.abc import Awaitable, Callable
from typing import Any

from litestar import Request
from litestar.response.base import ASGIResponse
from litestar.types import Guard, Receive, Scope, Send

from audit.roles import Principal, decide, require
from audit.tokens import Tokens
from collector.adapt import TYPES
from collector.delivery import CLOUDEVENTS, NATIVE, Delivery
from collector.errors import NotAcceptable
from collector.held import Held
from collector.ingest import Answer
from collector.metrics import Metrics

_VERSIONS = frozenset({"VersionReleased"})
_JSON = (b"content-type", b"application/json")
_TOKEN = 64
"""Longer than any header with a token of ours."""


class Json(ASGIResponse):
    """An answer that is JSON already; a response of the framework's at a quarter of its price."""

    def __init__(self, answer: Answer) -> None:
        # What the framework's own constructor would prepare, __call__ does not need.
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body = self._answer
        length = (b"content-length", b"%d" % len(body))
        await send({"type": "http.response.start", "status": status, "headers": [_JSON, length]})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class Entrance:
    """Takes requests to ingest addresses. Belongs to one event loop.

    `guard` decides about whoever `tokens` does not remember.
    """

    def __init__(
        self,
        take: Callable[[Delivery], Awaitable[Answer]],
        tokens: Tokens,
        guard: Guard,
        held: Held,
        metrics: Metrics,
    ) -> None:
        self._take = take
        self._tokens = tokens
        self._guard = guard
        self._held = held
        self._metrics = metrics
        self._permitted: dict[tuple[str, ...], frozenset[str]] = {}

    async def take(self, request: Request[Principal, Any, Any], address: str) -> ASGIResponse:
        """The answer to a request at `address`; raises `CollectorError`, `Denied` or `Busy`."""
        began = time.perf_counter()
        content_type = encoding = length = accept = principal = sent = None
        attributes: tuple[tuple[bytes, bytes], ...] = ()
        for name, value in request.scope["headers"]:
            if name == b"authorization":
                principal = self._remembered(value)
            elif name == b"content-type":
                content_type = value.decode("latin-1")
            elif name == b"content-encoding":
                encoding = value.decode("latin-1")
            elif name == b"content-length":
                length = value
            elif name == b"accept":
                accept = value
            elif name == b"modelwitness-sent":
                sent = value
            elif name.startswith(b"ce-"):
                attributes += ((name, value),)
        if principal is None:
            waits = self._guard(request, request.route_handler)
            if waits is not None:
                await waits
            principal = request.user
        permitted = self._permission(principal, address)
        self._note(principal, sent)
        if accept is not None and accept != b"*/*":
            _require_acceptable(accept)
        body = await self._held.read(request.receive, length)
        try:
            answer = await self._take(
                Delivery(
                    address=address,
                    integration=principal.integration or principal.actor,
                    permitted=permitted,
                    body=body,
                    content_type=content_type,
                    encoding=encoding,
                    attributes=attributes if address == CLOUDEVENTS else (),
                )
            )
        finally:
            self._held.give_back(body)
        self._metrics.answered(address, len(body), time.perf_counter() - began)
        return Json(answer)

    def _note(self, principal: Principal, sent: bytes | None) -> None:
        """Note when the sender's clock says that it sent this."""
        if sent is not None and self._metrics.notes is not None:
            self._metrics.notes.sent(principal.integration or principal.actor, sent)

    def _remembered(self, authorization: bytes) -> Principal | None:
        """The principal, when it is known without a wait; what else it may be the guard decides."""
        if authorization[:7] != b"Bearer " or len(authorization) > _TOKEN:
            return None
        return self._tokens.remembered(authorization[7:].decode("latin-1"))

    def _permission(self, principal: Principal, address: str) -> frozenset[str]:
        """What the roles may send here; raises `Forbidden` when that is nothing."""
        permitted = self._permitted.get(principal.roles)
        if permitted is None:
            if decide(principal, "append") == "allow":
                permitted = TYPES
            elif decide(principal, "append", "own_versions") == "allow":
                permitted = _VERSIONS
            else:
                permitted = frozenset()
            self._permitted[principal.roles] = permitted
        if not permitted or (address != CLOUDEVENTS and NATIVE[address] not in permitted):
            require(principal, "append")
        return permitted


def _require_acceptable(accept: bytes) -> None:
    wanted = accept.lower()
    if wanted and not (b"*/*" in wanted or b"json" in wanted or b"application/*" in wanted):
        raise NotAcceptable(
            "the answer is JSON, which the Accept header refuses",
            field="Accept",
            remedy="Send Accept: application/json.",
        )
