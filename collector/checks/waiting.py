"""What processes that wait tell of themselves: files that are late, streams that are read.

Decides when a stream counts as standing still: nobody has said for `_ALIVE_US` that it reads it.
Who stops on purpose takes its word back. What is late is decided in `collector.files.late`.

    stream-read    PLACE PROCESS    when this process last said that it reads the place
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from audit.clock import Clock
from audit.errors import Busy
from audit.work import New, WorkItem
from collector.files.late import listed

READ = "stream-read"
_ALIVE_US: Final = 180_000_000
_BEAT_SECONDS: Final = 45.0
_FORGOTTEN_US: Final = 7 * 86_400_000_000


class Works(Protocol):
    """The part of the work table that is used here."""

    def change(
        self, put: Sequence[New] = (), remove: Sequence[tuple[str, str]] = ()
    ) -> Sequence[bool]: ...
    def list(self, kind: str, after: str = "", limit: int = 200) -> Sequence[WorkItem]: ...


class Read(msgspec.Struct, frozen=True):
    """Who reads a stream or watches files says so; `place` names them, with what they are."""

    place: str
    integration: str
    at_us: int


_decode_read = msgspec.json.Decoder(Read).decode


def tell_read(work: Works, process: str, places: Sequence[tuple[str, str]], now_us: int) -> None:
    """Say that this process reads these (place, integration)."""
    put = [
        New(READ, f"{place} {process}", msgspec.json.encode(Read(place, integration, now_us)))
        for place, integration in places
    ]
    work.change(put, [(READ, each.key) for each in put])


def tell_left(work: Works, process: str, places: Sequence[tuple[str, str]]) -> None:
    """Take that back, for a process that stops on purpose."""
    work.change((), [(READ, f"{place} {process}") for place, _ in places])


async def keep_telling(
    work: Works, process: str, places: Sequence[tuple[str, str]], clock: Clock
) -> None:
    """Say so again and again, until cancelled: then take it back."""
    try:
        while places:
            with suppress(Busy):  # the database is away: nothing is read either
                await asyncio.to_thread(tell_read, work, process, places, clock())
            await asyncio.sleep(_BEAT_SECONDS)
    finally:
        with suppress(Busy):
            await asyncio.shield(asyncio.to_thread(tell_left, work, process, places))


def late_files(work: Works) -> dict[str, list[str]]:
    """Return the late partitions of each integration."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    after = ""
    while page := listed(work, after):
        for each in page:
            found[each.integration] += each.partitions
        after = page[-1].name
    return found


def still_streams(work: Works, now_us: int) -> dict[str, list[str]]:
    """Return which streams of each integration nobody reads any more."""
    newest: dict[str, Read] = {}
    old: list[tuple[str, str]] = []
    for item in _all(work, READ):
        read = _decode_read(item.body)
        if now_us - read.at_us > _FORGOTTEN_US:
            old.append((READ, item.key))
        elif read.place not in newest or newest[read.place].at_us < read.at_us:
            newest[read.place] = read
    if old:
        work.change((), old)
    found: defaultdict[str, list[str]] = defaultdict(list)
    for read in newest.values():
        if now_us - read.at_us > _ALIVE_US:
            found[read.integration].append(f"nobody reads {read.place} any more")
    return found


def _all(work: Works, kind: str) -> Sequence[WorkItem]:
    found: list[WorkItem] = []
    after = ""
    while page := work.list(kind, after):
        found += page
        after = page[-1].key
    return found
