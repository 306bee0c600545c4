"""One file, read from where reading ended: batch by batch, each durable before the next counts.

Decides when a file is read to its end: when it has not changed for `final_after`, by its own time
or by ours, so that one from a clock that runs ahead is final too; until then its last line may
still grow. One batch is read while the one before is logged.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, BinaryIO, TypeVar, TypeVarTuple, Unpack

import msgspec

from audit.clock import Clock
from collector.adapters.wire import FILE, PLACE, Adapter, Message
from collector.files.counts import FileCounts
from collector.files.declaration import Files
from collector.files.place import Found, Missing, Place
from collector.files.progress import HEAD, Progress, Progresses, head_of
from collector.files.reading import Rows, read_rows
from collector.files.rows import LONGEST_LINE, Batch, Unreadable, batches, format_of
from collector.files.taking import Reader, Taking
from collector.integrations.declaration import Declared
from collector.streams.taking import Patience, Stopped

T = TypeVar("T")
A = TypeVarTuple("A")


class Following:
    """Reads files of one declaration. Belongs to one event loop.

    `readers` tells with what rows are read now, and raises `Busy`; `may_go_on` whether they may be
    logged.
    """

    def __init__(
        self,
        files: Files,
        taking: Taking,
        readers: Callable[[], tuple[Declared, Adapter]],
        progress: Progresses,
        counts: FileCounts,
        clock: Clock,
        patience: Patience,
        beside: "Beside",
        may_go_on: Callable[[], bool],
    ) -> None:
        self._files = files
        self._taking = taking
        self._readers = readers
        self._progress = progress
        self._counts = counts
        self._clock = clock
        self._until_done = patience.until_done
        self._beside = beside
        self._may_go_on = may_go_on

    async def follow(self, place: Place, found: Found) -> Progress:
        """Log what is new in a file and return how far it was read.

        Raises `Away`, `Full`, `Busy` where its integration is not declared, `Stopped`.
        """
        stored = await self._until_done(asyncio.to_thread, self._progress.of, found)
        run = _Run(found, self._looked_at(stored, found))
        still_us = self._clock() - min(found.changed_us, run.progress.since_us)
        final = still_us >= self._files.final_after_us
        if run.progress.done or (run.progress.ended and not final):
            return run.progress
        try:
            reader = await self._reader(place, found, wait=not final)
            if reader is None:
                return run.progress
            format, packed = format_of(found.at, self._files.format)
            await self._read(place, run, reader, format, packed, final)
            run.move(ended=True, done=final or format == "parquet")
        except Unreadable as error:
            run.move(ended=True, done=final, problem=str(error) if final else "")
        await self._save(run)
        now = run.progress
        self._counts.files += now.done and not now.problem
        return now

    def _looked_at(self, progress: Progress, found: Found) -> Progress:
        """Progress with what the listing tells now; nothing of it stays where it cannot."""
        if (progress.size, progress.changed) == (found.size, found.changed):
            return progress
        if found.path.lower().endswith((".parquet", ".pq")) or self._files.format == "parquet":
            progress = Progress(path=found.path)  # nobody appends to one: it was written anew
        return msgspec.structs.replace(
            progress,
            size=found.size,
            changed=found.changed,
            since_us=self._clock(),
            ended=False,
            done=False,
            problem="",
        )

    async def _reader(self, place: Place, found: Found, *, wait: bool) -> Reader | None:
        """With what a file is read; None where the file that explains it is still waited for."""
        declared, adapter = await asyncio.to_thread(self._readers)
        told = {} if adapter.of_path is None else dict(adapter.of_path(found.path))
        schema = "" if adapter.schema_path is None else adapter.schema_path(found.at)
        if schema:
            line = await self._beside(_last_line, place, schema)
            if not line and wait:
                return None
            told["schema"] = line
        headers = (
            (b"modelwitness-file", found.inside.encode("utf-8", "backslashreplace")),
            (PLACE, msgspec.json.encode(told)),
        )
        about = Message(method=FILE, url=found.path, headers=headers)
        return Reader(declared, adapter, about, told)

    async def _read(
        self, place: Place, run: "_Run", reader: Reader, format: str, packed: bool, final: bool
    ) -> None:
        file = await self._beside(place.open, run.found.at)
        try:
            run.progress = await self._beside(_same, run.progress, file)
            rows = batches(
                file,
                format,
                packed,
                row=run.progress.rows,
                position=run.progress.position,
                final=final,
                numbered=reader.declared.mapping is not None,
            )
            await self._log(run, reader, rows)
        finally:
            await self._beside(file.close)

    async def _log(self, run: "_Run", reader: Reader, batches: Iterator[Batch]) -> None:
        def read() -> tuple[Batch, Rows] | None:
            batch = next(batches, None)
            if batch is None:
                return None
            about = msgspec.structs.replace(reader.about, received_us=self._clock())
            adapted = read_rows(about, batch.rows, reader.declared, reader.adapter, reader.place)
            return batch, adapted

        coming = asyncio.ensure_future(self._beside(read))
        try:
            while (come := await coming) is not None:
                if not self._may_go_on():
                    raise Stopped
                coming = asyncio.ensure_future(self._beside(read))
                batch, rows = come
                taken = await self._taking.take(rows, reader, batch.first)
                run.move(
                    rows=batch.first + len(batch.rows),
                    position=batch.position,
                    refused=run.progress.refused + taken.quarantined + taken.not_kept,
                )
                await self._save(run)
                self._counts.add(len(batch.rows), taken)
        finally:
            await asyncio.gather(coming, return_exceptions=True)  # it still reads the file

    async def _save(self, run: "_Run") -> None:
        await self._until_done(asyncio.to_thread, self._progress.save, run.found, run.progress)


@dataclass(slots=True)
class _Run:
    """A file that is being read, and how far."""

    found: Found
    progress: Progress

    def move(self, **to: Any) -> None:
        self.progress = msgspec.structs.replace(self.progress, **to)


class Beside:
    """One thread that reads files, whatever their store makes it wait for."""

    def __init__(self, name: str) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)

    def __call__(self, act: Callable[[Unpack[A]], T], *args: *A) -> Awaitable[T]:
        """What `act` gives, called in that thread."""
        return asyncio.get_running_loop().run_in_executor(self._thread, act, *args)

    def close(self) -> None:
        """Start nothing more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


def _same(progress: Progress, file: BinaryIO) -> Progress:
    """`progress`, or a new one where this is another file than was read then."""
    start = file.read(HEAD)
    size = file.seek(0, 2)
    file.seek(0)
    head = head_of(start[: progress.head_bytes])
    same = progress.head_bytes and progress.head == head and size >= progress.position
    if progress.rows and not same:
        progress = msgspec.structs.replace(progress, rows=0, position=0, refused=0)
    return msgspec.structs.replace(progress, head=head_of(start), head_bytes=len(start))


def _last_line(place: Place, at: str) -> str:
    """The last whole line of a short file, "" where there is none."""
    try:
        file = place.open(at)
    except Missing:
        return ""
    try:
        whole = file.read(LONGEST_LINE).rpartition(b"\n")[0]
    finally:
        file.close()
    return whole.rpartition(b"\n")[2].decode("utf-8", "replace")
