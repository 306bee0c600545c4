"""What it means to take a batch: done when it is durable, waited for as long as that needs.

Decides how long a batch is held: a ledger that is busy or away, and a quarantine that is full, are
tried again with growing pauses, with nothing acknowledged, until the process is told to stop.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple, ParamSpec, Protocol, TypeVar

from audit.errors import Broken, Busy
from collector.streams.carried import Carried
from collector.streams.declaration import Stream

MOST_EVENTS = 1_024
"""Events of one append: more would keep other writers out for long."""
_SHORTEST, _LONGEST = 0.1, 15.0
"""Seconds between attempts."""

P = ParamSpec("P")
T = TypeVar("T")


class Stopped(Exception):
    """The process ends before a batch could be logged: it is not acknowledged."""


class Taken(NamedTuple):
    """What became of a batch: events, halves that wait for the other, messages without content."""

    logged: int = 0
    duplicates: int = 0
    quarantined: int = 0
    waiting: int = 0
    tombstones: int = 0
    not_kept: int = 0


class Taker(Protocol):
    """Reads batches and logs them, one step after the other, so that reading may go ahead."""

    async def read(self, stream: Stream, messages: Sequence[Carried]) -> Any: ...
    async def log(self, batch: Any) -> Taken: ...


class Patience:
    """Repeats what finds the ledger busy; `tell` hears when it waits and when it is over."""

    def __init__(self, stopping: asyncio.Event, tell: Callable[[str], None]) -> None:
        self._stopping = stopping
        self._tell = tell

    async def until_done(
        self, act: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `act` gives, once nothing is busy any more.

        Raises `Stopped` when told to stop, and what else `act` raises: `Broken` and `Tampered`
        mean that only a new process, or nobody, can go on.
        """
        pause = _SHORTEST
        while True:
            try:
                found = await act(*args, **kwargs)
            except Broken:
                raise
            except Busy as busy:
                if pause == _SHORTEST:
                    self._tell(f"waits: {busy}")
                await self._rest(pause)
                pause = min(2 * pause, _LONGEST)
            else:
                if pause > _SHORTEST:
                    self._tell("goes on")
                return found

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped


async def all_of(lanes: Sequence[Awaitable[T]]) -> list[T]:
    """All results, after every lane has ended; else raises what the first that failed raised."""
    found = await asyncio.gather(*lanes, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return [each for each in found if not isinstance(each, BaseException)]
