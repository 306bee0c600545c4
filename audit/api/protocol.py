"""HTTP/1.1 as uvicorn speaks it, with bounds on how a request may arrive.

Decides how large the head of a request may grow, and how long a sender may take over head and
body, at every address; uvicorn itself bounds none of it, so that anybody could fill the memory or
hold the connections. How large a body may be is decided by whoever reads it.
"""

import asyncio
from typing import Any, ClassVar

import msgspec
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from audit.problems import problem_of

LARGEST_HEAD = 64 * 1024
HEAD_SECONDS = 20.0
BODY_SECONDS = 30.0
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
)
_TOO_SLOW = (
    b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n"
    b"Content-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%b"
)


class BoundedProtocol(HttpToolsProtocol):
    """Closes connections whose heads are too large or slow; answers slow bodies with 408."""

    body_seconds: ClassVar[float] = BODY_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._head_bytes = 0
        self._in_head = True
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn's
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self._in_head:
            return
        self._head_bytes += len(data)
        if self._head_bytes > LARGEST_HEAD and not self.transport.is_closing():
            self.transport.write(_TOO_LARGE)
            self.transport.close()

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._arrived()
        self._timer = self.loop.call_later(self.body_seconds, self._body_too_slow)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._arrived()
        super().on_message_complete()

    def _await_head(self) -> None:
        self._arrived()
        self._in_head, self._head_bytes = True, 0
        self._timer = self.loop.call_later(HEAD_SECONDS, self._too_slow)

    def _arrived(self) -> None:
        self._in_head = False
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _body_too_slow(self) -> None:
        # While another answer is on its way on this connection, there is no place for this one.
        untold = not self.pipeline and not self.cycle.response_started
        if untold and not self.transport.is_closing():
            found = problem_of(
                408,
                "Too slow",
                f"the body did not arrive within {self.body_seconds:g} s",
                "Send smaller bodies, or over a faster connection.",
            )
            body = msgspec.json.encode(found)
            self.transport.write(_TOO_SLOW % (len(body), body))
        self._too_slow()

    def _too_slow(self) -> None:
        if not self.transport.is_closing():
            self.transport.close()
