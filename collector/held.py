"""Bodies of requests as they arrive: within their size and what the server may hold together.

Decides when reading ends early; how long a sender may take is decided where the connection is.
Hides ASGI's chunks. What was read counts as held until it is given back, so that many large
bodies at once are refused before they fill the memory.

A body that is read before its sender is known, because the proof is of the body, counts in a pot
of its own: however many strangers send, senders who proved themselves first are not refused. One
integration has a share of that pot, so who knows one name hinders that one alone.
"""

from collections import Counter
from typing import Final

from litestar.types import Receive

from audit.errors import Busy
from collector.errors import Malformed, TooLarge
from collector.limits import Limits

_REMEDY_SIZE = "Send fewer items in one request."
_SHARES: Final = 4
"""Integrations whose shares together are all that is held of unproved bodies."""


class Held:
    """Reads bodies. Belongs to one event loop.

    `unproved` is the name of the integration that a sender calls for while it is not known whether
    it is one; None where the sender is known.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.held_bytes = 0
        """Bytes of bodies of known senders that are held at this moment."""
        self.unproved_bytes = 0
        """Bytes of bodies that are held before their senders are known."""
        # One body, as large as bodies may be, always fits into a share.
        self._share = max(limits.unproved_bytes // _SHARES, limits.body_bytes)
        self._unproved: Counter[str] = Counter()

    async def read(
        self, receive: Receive, length: bytes | None, unproved: str | None = None
    ) -> bytes:
        """Return the whole body; raises `TooLarge`, `Malformed` or `Busy`.

        `length` is the Content-Length header, if there is one.
        """
        most = self._limits.body_bytes
        if length is not None and length.isdigit() and int(length) > most:
            raise _too_large(most)
        chunks: list[bytes] = []
        held = 0
        try:
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    raise Malformed("the body ended early", remedy="Send the whole body.")
                chunk = message["body"]
                self._hold(len(chunk), unproved)
                held += len(chunk)
                if held > most:
                    raise _too_large(most)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except BaseException:
            self._release(held, unproved)
            raise

    def proved(self, body: bytes, unproved: str) -> None:
        """Hold the body that proved its sender as one of a known sender.

        Raises `Busy`, after which it is still held as it was.
        """
        self._hold(len(body), None)
        self._release(len(body), unproved)

    def give_back(self, body: bytes, unproved: str | None = None) -> None:
        """Hold a body no longer."""
        self._release(len(body), unproved)

    def _hold(self, size: int, unproved: str | None) -> None:
        if unproved is None:
            if self.held_bytes + size > self._limits.held_bytes:
                raise Busy("the server holds as many bodies as it may")
            self.held_bytes += size
            return
        share = self._unproved[unproved] + size
        whole = self.unproved_bytes + size
        if share > self._share or whole > self._limits.unproved_bytes:
            raise Busy("the server holds as many bodies of unknown senders as it may")
        self._unproved[unproved] = share
        self.unproved_bytes = whole

    def _release(self, size: int, unproved: str | None) -> None:
        if unproved is None:
            self.held_bytes -= size
            return
        self.unproved_bytes -= size
        self._unproved[unproved] -= size
        if not self._unproved[unproved]:
            del self._unproved[unproved]


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is longer than {most} bytes", remedy=_REMEDY_SIZE)
