"""What verifiers need from elsewhere, fetched once and remembered: key sets and certificates.

Decides how long a copy is believed, how often it is asked for anew, and that a copy outlives its
source for a day, so that a key server that is away stops nobody who was known. Hides where it
comes from: `https:` through the one rule for addresses that are called, or `file:`. It blocks.
"""

from collections.abc import Callable
from pathlib import Path
from threading import Lock
from typing import Final, NamedTuple

import httpx

from audit.clock import Clock
from audit.errors import Busy, Unreachable
from audit.outgoing import Outgoing, get_bounded

SECOND_US: Final = 1_000_000
FRESH_US: Final = 3_600 * SECOND_US
"""How long a copy is believed."""
AGAIN_US: Final = 30 * SECOND_US
"""The least time between two requests for one source, whatever senders claim is new in it."""
KEPT_US: Final = 86_400 * SECOND_US
"""How long a copy serves whose source does not answer."""
MOST_BYTES: Final = 256 * 1024
MOST_SOURCES: Final = 256
SECONDS: Final = 5.0


class _Copy(NamedTuple):
    body: bytes
    read_us: int


class Fetched:
    """Fetches and remembers. Safe for use by several threads."""

    def __init__(self, outgoing: Outgoing, clock: Clock) -> None:
        self._outgoing = outgoing
        self._clock = clock
        self._copies: dict[str, _Copy] = {}
        self._tried_us: dict[str, int] = {}
        self._lock = Lock()

    def get(self, source: str, wanted: str = "", *, by_operator: bool = False) -> bytes:
        """Return what stands at `source`; with `wanted`, a copy that holds that text if one can be.

        `by_operator` says that the address stands in a declaration and not in a message. Raises
        `Busy` where there is neither an answer nor a copy that is young enough.
        """
        now = self._clock()
        with self._lock:
            known = self._copies.get(source)
            if known is not None and not self._is_wanting(known, wanted, now):
                return known.body
            # A source is asked once for all, and not for each name that somebody made up.
            if now - self._tried_us.get(source, -AGAIN_US) < AGAIN_US:
                return self._old(known, now)
            self._tried_us[source] = now
            self._bound()
        try:
            body = self._read(source, by_operator=by_operator)
        except (Unreachable, httpx.HTTPError, OSError, ValueError):
            return self._old(known, now)
        with self._lock:
            self._copies[source] = _Copy(body, now)
        return body

    def _is_wanting(self, copy: _Copy, wanted: str, now: int) -> bool:
        fresh = copy.read_us <= now < copy.read_us + FRESH_US
        return not fresh or (wanted != "" and wanted.encode() not in copy.body)

    def _old(self, copy: _Copy | None, now: int) -> bytes:
        if copy is None or now - copy.read_us > KEPT_US:
            raise Busy("the keys of this sender cannot be fetched", retry_after=30)
        return copy.body

    def _bound(self) -> None:
        while len(self._tried_us) > MOST_SOURCES:
            oldest = min(self._tried_us, key=lambda source: self._tried_us[source])
            self._tried_us.pop(oldest)
            self._copies.pop(oldest, None)

    def _read(self, source: str, *, by_operator: bool) -> bytes:
        if by_operator and source.startswith("file:"):
            return Path(source.removeprefix("file:")).read_bytes()
        with self._outgoing.client(SECONDS, written_by_operator=by_operator) as client:
            return get_bounded(client, source, MOST_BYTES)


def calling(outgoing: Outgoing) -> Callable[[str], None]:
    """Return what GETs an address that a sender named, for the effect there; raises `Busy`.

    The answer is read within bounds and forgotten: nothing of it comes back to the sender.
    """

    def call(url: str) -> None:
        try:
            with outgoing.client(SECONDS) as client:
                get_bounded(client, url, MOST_BYTES)
        except (Unreachable, httpx.HTTPError, ValueError):
            raise Busy("an address of the sender did not answer", retry_after=30) from None

    return call
