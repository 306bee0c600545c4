"""Looking at a place again and again, and logging what is new there.

Decides that one process watches a declaration at a time, by a lease; that a file which cannot be
read is told once and never stops the others; and what is no data of anybody: names that begin with
"." or "_", by which writers mark what is not finished. Paths may name persons and are not told: a
file is told by the beginning of the SHA-256 of its path.
"""

import asyncio
import fnmatch
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from audit.clock import Clock
from audit.errors import Broken, Busy
from collector.adapters.wire import Adapter
from collector.errors import Full
from collector.files import late
from collector.files.counts import FileCounts
from collector.files.declaration import BY_INTEGRATION, Files
from collector.files.following import Beside, Following
from collector.files.place import Away, Found, Listing, Place
from collector.files.progress import KeepsWork, Progresses
from collector.files.reading import native
from collector.files.taking import Taking
from collector.integrations.declaration import Declared
from collector.integrations.wiring import Wired
from collector.streams.standing import Claims, Standing
from collector.streams.taking import Patience, Stopped

_TOLD = 10_000
"""Files of which it is remembered that they were told."""
_SHOWN = 12


class Work(KeepsWork, Claims, Protocol):
    """The part of the work table that watching needs."""


class Watcher:
    """Watches one declaration. Belongs to one event loop; used once."""

    def __init__(
        self,
        files: Files,
        place: Callable[[Files], Place],
        ways: Wired,
        work: Work,
        holder: str,
        clock: Clock,
        stopping: asyncio.Event,
        counts: FileCounts,
        tell: Callable[[str], None],
    ) -> None:
        """`place` opens the place of a declaration; `holder` tells this process from others."""
        self._files = files
        self._open = place
        self._place: Place | None = None
        self._ways = ways
        self._work = work
        self._clock = clock
        self._stopping = stopping
        self._counts = counts
        self._tell = tell
        self._beside = Beside(f"files {files.name}")
        self._standing = Standing(work, f"files {files.name}", holder, files.session_seconds)
        self._progress = Progresses(work, files.name)
        self._patience = Patience(stopping, lambda text: tell(f"{files.name}: {text}"))
        self._following = Following(
            files,
            Taking(files, ways.intake, ways.quarantine, self._patience),
            self._reader,
            self._progress,
            counts,
            clock,
            self._patience,
            self._beside,
            lambda: self._standing.held and not stopping.is_set(),
        )
        self._settled: dict[str, tuple[int, str, bool]] = {}
        """Size, time and whether it is unreadable, of files that are read to their end."""
        self._told: set[str] = set()
        self._state = ""

    async def run(self) -> None:
        """Look until stopped; raises what only a new process could mend."""
        keeping = asyncio.create_task(self._keep_standing())
        try:
            while not self._stopping.is_set():
                with suppress(Stopped):
                    looked = await self.look()
                    await self._rest(self._files.every_us / 1e6 if looked else self._standing.pause)
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
            self._beside.close()
            await self._standing.resign()

    async def look(self) -> bool:
        """Log what is new since the last look; False where another process watches.

        Raises `Stopped` where it was told to stop or lost the lease, `Broken`, and what nobody
        foresaw.
        """
        if not await self._standing.renew():
            self._say("stands by while another process watches")
            return False
        try:
            found = await self._list()
            await self._look_for_late(found)
            await self._follow_all(found)
        except (Broken, Stopped):
            raise
        except Busy as busy:
            self._counts.away = True
            self._place = None
            self._say(f"waits: {busy}")
        else:
            self._counts.away = False
        return True

    async def _list(self) -> list[Found]:
        place, listing = await self._beside(self._list_now)
        self._place = place
        found = [each for each in listing.found if _is_meant(each.inside, self._files.pattern)]
        if not self._state.startswith("watches"):
            self._say(f"watches {len(found)} files")
        if listing.closed:
            self._once("folders", f"{listing.closed} folders cannot be looked into")
        return found

    def _list_now(self) -> tuple[Place, Listing]:
        place = self._place or self._open(self._files)
        return place, place.list()

    async def _look_for_late(self, found: list[Found]) -> None:
        paths = [each.inside for each in found]
        known = await self._patience.until_done(
            asyncio.to_thread, late.look, self._work, self._files, paths, self._clock()
        )
        missing = () if known is None else known.partitions
        for each in missing:
            if each not in self._counts.late:
                self._tell(f"{self._files.name}: partition {each} is late")
        self._counts.late = missing

    async def _follow_all(self, found: list[Found]) -> None:
        fresh = [each for each in found if self._settled.get(each.key, ())[:2] != _state(each)]
        await self._patience.until_done(asyncio.to_thread, self._progress.follow_renamed, fresh)
        away = 0
        for each in fresh:
            if self._stopping.is_set():
                raise Stopped
            try:
                problem = await self._follow(each)
            except Away as error:
                away, problem = away + 1, str(error)
            except Full as error:  # what it waits for holds up no other file
                problem = f"waits: {error}"
            if problem:
                self._once(each.key, f"file {each.key[:_SHOWN]}: {problem}")
        there = {each.key for each in found}
        self._settled = {key: state for key, state in self._settled.items() if key in there}
        self._counts.unreadable = away + sum(bad for _, _, bad in self._settled.values())

    async def _follow(self, found: Found) -> str:
        """Why a file cannot be read, "" where it can."""
        assert self._place is not None  # noqa: S101 - it was listed
        progress = await self._following.follow(self._place, found)
        if progress.done:
            self._settled[found.key] = (*_state(found), bool(progress.problem))
        return progress.problem

    def _reader(self) -> tuple[Declared, Adapter]:
        """With what rows are read now; it may block."""
        name = self._files.integration
        if self._files.rows != BY_INTEGRATION:
            return Declared(name=name, adapter=self._files.rows), native(self._files.rows)
        declared = self._ways.registered.get(name)
        if declared is None or declared.adapter not in self._ways.adapters:
            raise Busy(f"integration {name} is not declared: apply its file")
        return declared, self._ways.adapters[declared.adapter]

    async def _keep_standing(self) -> None:
        while True:
            await asyncio.sleep(self._standing.pause)
            if self._standing.held:
                await self._standing.renew()

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)

    def _say(self, state: str) -> None:
        """Tell how it is, when that changes."""
        if state != self._state:
            self._state = state
            self._tell(f"{self._files.name}: {state}")

    def _once(self, about: str, what: str) -> None:
        """Tell something of a file once."""
        if about not in self._told:
            if len(self._told) >= _TOLD:
                self._told.clear()
            self._told.add(about)
            self._tell(f"{self._files.name}: {what}")


def _state(found: Found) -> tuple[int, str]:
    return found.size, found.changed


def _is_meant(inside: str, pattern: str) -> bool:
    marked = any(part.startswith((".", "_")) for part in inside.split("/"))
    if marked and not any(part.startswith((".", "_")) for part in pattern.split("/")):
        return False
    if pattern == "**":
        return True
    if pattern.startswith("**/") and fnmatch.fnmatchcase(inside, pattern[3:]):
        return True
    return fnmatch.fnmatchcase(inside, pattern)
