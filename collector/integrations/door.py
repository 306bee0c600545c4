"""From a request at /in/INTEGRATION to a message whose sender is known.

Decides what a stranger learns: the same refusal for a name that nobody declared and for a wrong
credential, and nothing from a probe; the words of an adapter are for senders that proved who they
are. Decides when a body is read (not before a credential that needs none was good), which headers
count as credentials and go no further, and that the address is the declared one with the query of
the request. Hides ASGI.

Two things still tell a declared name. Where the sender signs its body, the refusal comes after the
body and not before it, and is 503 while as many such bodies are held as may be. While a secret that
was here, or a key, cannot be had, 503 comes in the place of 401, because whoever calls may be the
sender, and many drop what was answered 401.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec
from litestar import Request
from litestar.response.base import ASGIResponse
from litestar.types import Receive, Scope, Send

from audit.clock import Clock
from audit.errors import Busy
from collector.adapters.wire import Adapter, Message, Reply
from collector.errors import CollectorError, Unproved, Unset
from collector.held import Held
from collector.integrations.declaration import Declared
from collector.integrations.proof import Fetches, KnowsTokens, Presented, Verifier, require
from collector.integrations.refusals import Refusals, unproved
from collector.integrations.registered import Registered
from collector.integrations.secrets import Secrets
from collector.integrations.verifiers import VERIFIERS
from collector.metrics import Metrics

_CREDENTIALS: Final = frozenset(
    {b"authorization", b"proxy-authorization", b"cookie", b"x-proxy-secret"}
)
_NAMED_CREDENTIALS: Final = ("header", "proxy_header")
_ALLOWED: Final = ("allow", "OPTIONS, POST")

Take = Callable[[Message, Declared, Adapter], Awaitable[Reply]]


class Answered(ASGIResponse):
    """A reply as the sender's adapter worded it."""

    def __init__(self, reply: Reply) -> None:
        self._reply = reply

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        status, body, headers = self._reply
        told = [
            (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers
        ]
        if status != 204:
            told.append((b"content-length", b"%d" % len(body)))
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": body, "more_body": False})


class Door:
    """Lets senders in. Belongs to one event loop."""

    def __init__(
        self,
        take: Take,
        registered: Registered,
        adapters: Mapping[str, Adapter],
        secrets: Secrets,
        tokens: KnowsTokens,
        fetched: Fetches,
        refusals: Refusals,
        held: Held,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._take = take
        self._registered = registered
        self._adapters = adapters
        self._secrets = secrets
        self._tokens = tokens
        self._fetched = fetched
        self._refusals = refusals
        self._held = held
        self._metrics = metrics
        self._clock = clock

    async def take(self, request: Request[Any, Any, Any], name: str, secret: str) -> ASGIResponse:
        """Return the sender's answer to a POST; raises what is no refusal and no `Busy`."""
        began = time.perf_counter()
        message = _message(request)
        declared, adapter = await self._known(name)
        if declared is None or adapter is None:
            return Answered(await self._refusals.stranger(unproved(message), began))
        message = msgspec.structs.replace(
            message, url=_url(declared, message.url), received_us=self._clock()
        )
        verifier = VERIFIERS[declared.credential.verify]
        peer = request.client.host if request.client is not None else ""
        body: bytes | None = None
        called: str | None = None  # for whom the body is held while nobody knows who sent it
        try:
            try:
                if verifier.reads_body:
                    body = await self._body(request, declared.name)
                    called = declared.name
                    message = msgspec.structs.replace(message, body=body)
                await self._prove(verifier, message, declared, secret, peer)
            except Unset:  # nobody can be the sender, and the log tells the operator
                self._metrics.unset(declared.name)
                return Answered(await self._refusals.stranger(unproved(message), began))
            except Busy as error:
                return Answered(self._refusals.undecided(message, error))
            except CollectorError:  # also a body that cannot be read: it is no known sender's yet
                return Answered(await self._refusals.stranger(unproved(message), began))
            if body is None:
                body = await self._body(request)
                message = msgspec.structs.replace(message, body=body)
            elif called is not None:
                self._held.proved(body, called)
                called = None
            reply = await self._take(_without_credentials(message, declared), declared, adapter)
        except (Busy, CollectorError) as error:
            return Answered(self._refusals.known(message, adapter, error))
        finally:
            if body is not None:
                self._held.give_back(body, called)
        self._metrics.answered(f"in:{adapter.name}", len(body), time.perf_counter() - began)
        return Answered(reply)

    async def consent(
        self, request: Request[Any, Any, Any], name: str, secret: str
    ) -> ASGIResponse:
        """Return the answer to OPTIONS: consent where the declaration names who asks for it.

        The CloudEvents webhook specification 1.0: without consent the header is left out. Whoever
        proves by the path must show it here too.
        """
        headers = [_ALLOWED]
        origin = request.headers.get("webhook-request-origin", "").lower()
        declared, _ = await self._known(name)
        if declared is not None and origin in declared.origins:
            verifier = VERIFIERS[declared.credential.verify]
            try:
                if verifier.name == "path":
                    await self._prove(verifier, _message(request), declared, secret, "")
            except (Busy, CollectorError):
                pass
            else:
                headers.append(("webhook-allowed-origin", origin))
                headers.append(("webhook-allowed-rate", "*"))
        return Answered(Reply(200, b"", tuple(headers)))

    async def _known(self, name: str) -> tuple[Declared | None, Adapter | None]:
        registered = self._registered
        found = (
            registered.get(name)
            if registered.is_fresh()
            else await asyncio.to_thread(registered.get, name)
        )
        if found is None or found.credential.verify not in VERIFIERS:
            return None, None
        return found, self._adapters.get(found.adapter)

    async def _body(self, request: Request[Any, Any, Any], called: str | None = None) -> bytes:
        length = request.headers.get("content-length")
        return await self._held.read(
            request.receive, None if length is None else length.encode("latin-1"), called
        )

    async def _prove(
        self, verifier: Verifier, message: Message, declared: Declared, secret: str, peer: str
    ) -> None:
        if secret and verifier.name != "path":
            raise Unproved("nothing follows the name of this integration")
        presented = Presented(
            integration=declared.name,
            message=message,
            credential=declared.credential,
            secrets=self._secrets.all_of(declared.credential.secrets),
            path_secret=secret,
            peer=peer,
            now_us=self._clock(),
            tokens=self._tokens,
            fetched=self._fetched,
        )
        if verifier.slow:
            await asyncio.to_thread(require, verifier, presented)
        else:
            require(verifier, presented)


def probed(method: str) -> ASGIResponse:
    """Return the answer to GET and HEAD, the same for every name."""
    if method == "HEAD":
        return Answered(Reply(200, b"", (_ALLOWED,)))
    headers = (("content-type", "text/plain; charset=utf-8"), _ALLOWED)
    return Answered(Reply(405, b"Send POST.", headers))


def _message(request: Request[Any, Any, Any]) -> Message:
    """The request without its body; `url` is the query alone."""
    query = request.scope["query_string"].decode("latin-1")
    return Message(
        method=request.method,
        url=f"?{query}" if query else "",
        headers=tuple((name.lower(), value) for name, value in request.scope["headers"]),
    )


def _url(declared: Declared, query: str) -> str:
    return declared.url.partition("?")[0] + query


def _without_credentials(message: Message, declared: Declared) -> Message:
    """The message that is read and may be kept: nothing in it lets anybody in."""
    credential = declared.credential
    options = credential.options
    dropped = _CREDENTIALS | {
        options[each].lower().encode("latin-1") for each in _NAMED_CREDENTIALS if each in options
    }
    headers = tuple((name, value) for name, value in message.headers if name not in dropped)
    url = message.url
    if credential.verify == "query":
        place, _, query = url.partition("?")
        left = [
            each
            for each in parse_qsl(query, keep_blank_values=True, max_num_fields=64)
            if each[0] != options["parameter"]
        ]
        url = f"{place}?{urlencode(left)}" if left else place
    return msgspec.structs.replace(message, headers=headers, url=url)
