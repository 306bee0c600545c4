"""Who reads a stream whose order counts, where the broker does not see to it.

Decides that one consumer of a group reads and the others stand by; the lease lies in the store,
so that whoever can log can also see who reads. It is short: who was killed is followed within it,
who stops gives it back. One that was lost is noticed by its holder's own clock, before the next
batch, even if the store does not answer.
"""

import asyncio
import time
from typing import Protocol

from audit.errors import Busy


class Claims(Protocol):
    """The part of the work table that a lease needs."""

    def claim(self, name: str, holder: str, seconds: float) -> bool: ...


class Standing:
    """The lease on one stream of one group."""

    def __init__(self, work: Claims, name: str, holder: str, seconds: float) -> None:
        self._work = work
        self._name = name
        self._holder = holder
        self._seconds = seconds
        self._until = 0.0

    @property
    def pause(self) -> float:
        """Seconds between attempts to get or to keep it."""
        return self._seconds / 5

    @property
    def held(self) -> bool:
        """Whether this process may read and log."""
        return time.monotonic() < self._until

    async def renew(self) -> bool:
        """Get or keep the lease; returns whether it is held."""
        asked = time.monotonic()
        try:
            mine = await asyncio.to_thread(
                self._work.claim, self._name, self._holder, self._seconds
            )
        except Busy:
            return self.held
        self._until = asked + self._seconds if mine else 0.0
        return mine

    async def resign(self) -> None:
        """Give the lease back, if it is held."""
        if self.held:
            self._until = 0.0
            try:
                await asyncio.to_thread(self._work.claim, self._name, self._holder, 0)
            except Busy:
                return
