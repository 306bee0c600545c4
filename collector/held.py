"""Bodies of requests as they arrive: within their size and what the server may hold together.

Decides when reading ends early; how long a sender may take is decided where the connection is.
Hides ASGI's chunks. What was read counts as held until it is given back, so that many large
bodies at once are refused before they fill the memory.
"""

from litestar.types import Receive

from audit.errors import Busy
from collector.errors import Malformed, TooLarge
from collector.limits import Limits
from collector.metrics import Metrics

_REMEDY_SIZE = "Send fewer items in one request."


class Held:
    """Reads bodies. Belongs to one event loop."""

    def __init__(self, limits: Limits, metrics: Metrics) -> None:
        self._limits = limits
        self._metrics = metrics

    async def read(self, receive: Receive, length: bytes | None) -> bytes:
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
                held += len(chunk)
                self._hold(len(chunk))
                if held > most:
                    raise _too_large(most)
                chunks.append(chunk)
                if not message.get("more_body", False):
                    return chunks[0] if len(chunks) == 1 else b"".join(chunks)
        except BaseException:
            self._hold(-held)
            raise

    def give_back(self, body: bytes) -> None:
        """Hold a body no longer."""
        self._hold(-len(body))

    def _hold(self, change: int) -> None:
        self._metrics.held_bytes += change
        if change > 0 and self._metrics.held_bytes > self._limits.held_bytes:
            raise Busy("the server holds as many bodies as it may")


def _too_large(most: int) -> TooLarge:
    return TooLarge(f"the body is longer than {most} bytes", remedy=_REMEDY_SIZE)
