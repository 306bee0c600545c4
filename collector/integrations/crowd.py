"""How many halves of one integration may wait for their other.

Decides that beyond its share an integration is told to come again, and how old a measure of the
share may be; what this process adds is counted at once. Hides that the share is measured by the
ends of keys, which are a digest of the integration's name.
"""

from hashlib import blake2b
from threading import Lock
from typing import Final, NamedTuple, Protocol

from audit.clock import Clock
from audit.errors import Busy
from collector.integrations.unpaired import HALF
from collector.limits import Limits

_LAG_US: Final = 5_000_000
"""Measuring looks at all that waits, so it is not done for each half."""


class MeasuresWork(Protocol):
    """The part of the work table that tells how much waits."""

    def usage(self, kind: str, suffix: str) -> tuple[int, int]: ...


class Crowded(Busy):
    """Too many halves of an integration wait for their other."""

    def __init__(self) -> None:
        super().__init__(
            "too many requests and responses of this integration wait for their other half: "
            "find out why the sender logs only one side",
            retry_after=30,
        )


class _Share(NamedTuple):
    """What waits of one integration, as it was measured at `read_us`, and what came since."""

    halves: int
    bytes: int
    read_us: int


class Crowd:
    """Counts halves that wait, by integration. Safe for use by several threads.

    A share may be exceeded by what several processes keep within the same seconds.
    """

    def __init__(self, work: MeasuresWork, clock: Clock, limits: Limits) -> None:
        self._work = work
        self._clock = clock
        self._limits = limits
        self._shares: dict[str, _Share] = {}
        self._lock = Lock()

    def has_room(self, integration: str, halves: int, size: int) -> bool:
        """Whether so many more halves, of so many bytes together, may wait; raises `Busy`."""
        share = self._measured(integration)
        return (
            share.halves + halves <= self._limits.waiting_halves
            and share.bytes + size <= self._limits.waiting_half_bytes
        )

    def changed(self, integration: str, halves: int, size: int) -> None:
        """Count halves that wait from now on, or (below zero) wait no more."""
        with self._lock:
            share = self._shares.get(integration)
            if share is not None:
                self._shares[integration] = _Share(
                    max(0, share.halves + halves), max(0, share.bytes + size), share.read_us
                )

    def _measured(self, integration: str) -> _Share:
        now = self._clock()
        with self._lock:
            share = self._shares.get(integration)
        if share is None or not share.read_us <= now < share.read_us + _LAG_US:
            share = _Share(*self._work.usage(HALF, suffix(integration)), now)
            with self._lock:
                self._shares[integration] = share
        return share


def suffix(integration: str) -> str:
    """Return how the keys of an integration's halves end."""
    return "." + blake2b(integration.encode(), digest_size=8).hexdigest()
