"""Looking at a place again and again, and logging what is new there.

Decides the order: rows are durable in the ledger (or quarantine) before progress is; so a killed
process reads a batch twice and the ledger keeps it once. One process watches a declaration at a
time, by a lease. A file that cannot be read is told once and never stops the others.
"""

import asyncio
import fnmatch
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, Protocol, cast

import fsspec  # type: ignore[import-untyped]  # publishes none
import msgspec

from audit.clock import Clock
from audit.errors import Busy
from collector.adapters.wire import Adapted, Adapter, Message
from collector.files import partitions
from collector.files.declaration import BY_INTEGRATION, Files
from collector.files.progress import HEAD, Progress, Progresses, head_of
from collector.files.reading import native, read_rows
from collector.files.rows import Batch, Unreadable, batches, format_of
from collector.integrations.declaration import Declared
from collector.integrations.intake import Settled

_LEASE_SECONDS = 60.0
_SHORTEST, _LONGEST = 0.2, 15.0


class Logs(Protocol):
    """The part of the intake that files need."""

    async def log(
        self, about: Message, adapted: Adapted, declared: Declared, adapter: Adapter
    ) -> Settled: ...


class Claims(Protocol):
    """The part of the work table that leases need."""

    def claim(self, name: str, holder: str, seconds: float) -> bool: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A file, as a listing tells it."""

    path: str
    size: int
    changed: str
    changed_us: int


@dataclass(slots=True)
class Seen:
    """What watching has done so far, for people and metrics."""

    files: int = 0
    rows: int = 0
    refused: int = 0
    late: tuple[str, ...] = ()
    problem: str = ""


class Watcher:
    """Watches one declaration. Belongs to one event loop."""

    def __init__(
        self,
        files: Files,
        options: Mapping[str, str],
        intake: Logs,
        declared: Callable[[str], Declared | None],
        adapters: Mapping[str, Adapter],
        progress: Progresses,
        claims: Claims,
        holder: str,
        clock: Clock,
        tell: Callable[[str], None],
    ) -> None:
        """`options` are those of the file system, secrets resolved."""
        self.seen = Seen()
        self._files = files
        self._options = options
        self._intake = intake
        self._declared = declared
        self._adapters = adapters
        self._progress = progress
        self._claims = claims
        self._holder = holder
        self._clock = clock
        self._tell = tell
        self._began_us = clock()
        self._told: set[str] = set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Look until stopped; a store that is away is looked at again."""
        while not stopping.is_set():
            try:
                await self.look(stopping)
                self.seen.problem = ""
            except (OSError, Busy, ImportError, ValueError) as error:
                self.seen.problem = type(error).__name__
                self._once(f"the place cannot be read: {type(error).__name__}")
            with suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), self._files.every_us / 1e6)

    async def look(self, stopping: asyncio.Event) -> None:
        """Log what is new since the last look; raises `Busy`, and `OSError` of the place."""
        claimed = await asyncio.to_thread(
            self._claims.claim, self._lease, self._holder, _LEASE_SECONDS
        )
        if not claimed:
            return
        system, root = await asyncio.to_thread(self._open)
        found = await asyncio.to_thread(self._list, system, root)
        self._look_for_late(root, found)
        for each in found:
            if stopping.is_set():
                return
            await self._read(system, root, each, stopping)

    @property
    def _lease(self) -> str:
        return f"files {self._files.name}"

    def _open(self) -> tuple[Any, str]:
        system, root = fsspec.core.url_to_fs(self._files.location, **self._options)
        system.invalidate_cache()
        return system, str(root).rstrip("/")

    def _list(self, system: Any, root: str) -> list[Found]:
        found = []
        for path, told in system.find(root, detail=True).items():
            inside = path.removeprefix(root).lstrip("/")
            if told.get("type") != "file" or not _matches(inside, self._files.pattern):
                continue
            changed = told.get("mtime") or told.get("LastModified") or told.get("created") or ""
            text = f"{told.get('ETag') or told.get('etag') or ''}{changed}"
            found.append(Found(path, int(told.get("size") or 0), text, _micros(changed)))
        return sorted(found, key=lambda each: each.path)

    def _look_for_late(self, root: str, found: list[Found]) -> None:
        if self._files.expected is None:
            return
        inside = [each.path.removeprefix(root).lstrip("/") for each in found]
        late = partitions.late(self._files.expected, inside, self._clock(), self._began_us)
        for each in set(late) - set(self.seen.late):
            self._tell(f"{self._files.name}: partition {each} is late")
        self.seen.late = tuple(late)

    async def _read(self, system: Any, root: str, found: Found, stopping: asyncio.Event) -> None:
        progress = await asyncio.to_thread(self._progress.of, found.path)
        same = (progress.size, progress.changed) == (found.size, found.changed)
        final = self._clock() - found.changed_us >= self._files.final_after_us
        if same and (progress.done or not final):
            return
        declared, adapter = self._reader()
        place = adapter.of_path(found.path) if adapter.of_path is not None else {}
        about = Message(url=found.path, headers=((b"modelwitness-file", _name(found.path, root)),))
        try:
            format, packed = format_of(found.path, self._files.format)
            file = cast(BinaryIO, await asyncio.to_thread(system.open, found.path, "rb"))
            try:
                progress = await asyncio.to_thread(_known, progress, file)
                rows = batches(
                    file,
                    format,
                    packed,
                    row=progress.rows,
                    position=progress.position,
                    final=final,
                    numbered=declared.mapping is not None,
                )
                while batch := await asyncio.to_thread(next, rows, None):
                    refused = await self._log(about, batch, declared, adapter, place, stopping)
                    progress = msgspec.structs.replace(
                        progress,
                        rows=batch.first + len(batch.rows),
                        position=batch.position,
                        refused=progress.refused + refused,
                    )
                    await asyncio.to_thread(self._progress.save, progress)
                    self.seen.rows += len(batch.rows)
                    self.seen.refused += refused
                    if stopping.is_set():
                        return
            finally:
                await asyncio.to_thread(file.close)
            done, problem = final or format == "parquet", ""
        except Unreadable as error:
            done, problem = final, str(error)
            if final:
                self._once(f"a file cannot be read: {error}", found.path)
        await asyncio.to_thread(
            self._progress.save,
            msgspec.structs.replace(
                progress, size=found.size, changed=found.changed, done=done, problem=problem
            ),
        )
        self.seen.files += done

    def _reader(self) -> tuple[Declared, Adapter]:
        name = self._files.integration
        if self._files.rows != BY_INTEGRATION:
            return Declared(name=name, adapter=self._files.rows), native(self._files.rows)
        declared = self._declared(name)
        if declared is None or declared.adapter not in self._adapters:
            raise Busy("the integration of the files is not declared with an adapter")
        return declared, self._adapters[declared.adapter]

    async def _log(
        self,
        about: Message,
        batch: Batch,
        declared: Declared,
        adapter: Adapter,
        place: Mapping[str, str],
        stopping: asyncio.Event,
    ) -> int:
        pause = _SHORTEST
        while True:
            claimed = await asyncio.to_thread(
                self._claims.claim, self._lease, self._holder, _LEASE_SECONDS
            )
            if not claimed:
                raise Busy("another process watches these files now")
            try:
                about = msgspec.structs.replace(about, received_us=self._clock())
                adapted = await asyncio.to_thread(
                    read_rows, about, batch.rows, declared, adapter, place
                )
                return (await self._intake.log(about, adapted, declared, adapter)).rejected
            except Busy:
                if stopping.is_set():
                    raise
                with suppress(TimeoutError):
                    await asyncio.wait_for(stopping.wait(), pause)
                pause = min(2 * pause, _LONGEST)

    def _once(self, what: str, about: str = "") -> None:
        """Tell something once; a path may name a person and is not told."""
        if what + about not in self._told:
            self._told.add(what + about)
            self._tell(f"{self._files.name}: {what}")


def _known(progress: Progress, file: BinaryIO) -> Progress:
    """`progress`, or a new one where this is another file than was read then."""
    start = file.read(HEAD)
    file.seek(0, 2)
    size = file.tell()
    file.seek(0)
    head = head_of(start[: progress.head_bytes])
    same = progress.head_bytes and progress.head == head and size >= progress.position
    if progress.rows and not same:
        progress = Progress(path=progress.path)
    return msgspec.structs.replace(progress, head=head_of(start), head_bytes=len(start))


def _matches(path: str, pattern: str) -> bool:
    if pattern == "**":
        return True
    if pattern.startswith("**/") and fnmatch.fnmatchcase(path, pattern[3:]):
        return True
    return fnmatch.fnmatchcase(path, pattern)


def _name(path: str, root: str) -> bytes:
    return str(PurePosixPath(path.removeprefix(root).lstrip("/"))).encode("utf-8", "replace")


def _micros(changed: Any) -> int:
    """µs since the epoch of a listing's time, 0 where it tells none: the file is then final."""
    if isinstance(changed, int | float):
        return int(changed * 1e6)
    stamp = getattr(changed, "timestamp", None)
    return int(stamp() * 1e6) if callable(stamp) else 0
