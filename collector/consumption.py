"""What one process consumes: streams and files together, until it is stopped.

Decides that a change of what is in force closes all of it and begins anew, and that whatever ends
one of them for good ends the process, so that it is seen. Hides which rooms that takes: client
libraries are loaded where a declaration needs them.
"""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from audit.clock import system_clock
from audit.errors import BadDeclaration, Busy
from audit.options import Parts
from collector.checks.waiting import keep_telling
from collector.files.counts import FileCounts
from collector.files.declaration import Files
from collector.sources import Documented
from collector.streams.counts import Counts
from collector.streams.declaration import Stream

if TYPE_CHECKING:
    from collector.integrations.wiring import Wired
    from collector.streams.taking import Taker

KINDS = ("stream", "files")
Tell = Callable[[str], None]
S = TypeVar("S", Stream, Files)
_TOLD_SECONDS = 60
_LOOK_SECONDS = 2.0


class Wanted(NamedTuple):
    """What is to be consumed."""

    streams: list[Stream]
    files: list[Files]


@dataclass(frozen=True, slots=True)
class Counted:
    """What was done of each stream and each declaration of files, by name."""

    streams: dict[str, Counts] = field(default_factory=dict)
    files: dict[str, FileCounts] = field(default_factory=dict)

    def each(self) -> list[Counts | FileCounts]:
        """All of them."""
        return [*self.streams.values(), *self.files.values()]


def declared_in(texts: Sequence[str]) -> Wanted:
    """What declarations of either kind say that is not paused; raises `BadDeclaration`."""
    from audit.declared import kind_of
    from collector.files.declaration import parse
    from collector.streams.applied import parsed

    stream_texts = [text for text in texts if kind_of(text, KINDS) == "stream"]
    others = [text for text in texts if text not in stream_texts]
    return Wanted(_named(map(parsed, stream_texts)), _named(map(parse, others)))


def in_force(documents: Documented) -> tuple[Wanted, list[str]]:
    """What was applied and is not paused, and the names of what this version does not know."""
    from collector.files import applied as files
    from collector.streams import applied as streams

    found, strange = streams.in_force(documents)
    others, stranger = files.in_force(documents)
    return Wanted(found, others), [*strange, *stranger]


async def consume(parts: Parts, given: Wanted | None, counted: Counted, tell: Tell) -> None:
    """Consume what is given, else what is in force, until SIGTERM or SIGINT."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    while not stopping.is_set():
        wanted, strange = given or Wanted([], []), list[str]()
        if given is None:
            wanted, strange = await asyncio.to_thread(in_force, parts.store.documents)
        for each in strange:
            tell(f"{each}: declared in a way that this version does not know; left out")
        ending = asyncio.Event()
        beside = [asyncio.create_task(_passed_on(stopping, ending))]
        beside.append(asyncio.create_task(_tell_counts(counted, tell)))
        places = [
            *((f"stream {each.name}", each.integration) for each in wanted.streams),
            *((f"files {each.name}", each.integration) for each in wanted.files),
        ]
        telling = keep_telling(parts.store.work, name, places, system_clock)
        beside.append(asyncio.create_task(telling))
        if given is None:
            beside.append(asyncio.create_task(_changed(parts, wanted, ending)))
        try:
            await _all_of(_parts_of(parts, wanted, counted, name, ending, tell), ending)
        finally:
            for task in beside:
                task.cancel()
            await asyncio.gather(*beside, return_exceptions=True)


def _parts_of(
    parts: Parts, wanted: Wanted, counted: Counted, name: str, ending: asyncio.Event, tell: Tell
) -> list[Coroutine[Any, Any, None]]:
    """What runs until `ending` is set."""
    from collector.integrations.running import ways_in

    ways, work = ways_in(parts), parts.store.work
    running: list[Coroutine[Any, Any, None]] = [_ended(ending)]
    if wanted.streams:
        from collector.streams.consuming import Consumer

        consumer = Consumer(_taker(ways, ending, tell), work, name, os.environ, ending, tell)
        streams = [
            (each, counted.streams.setdefault(each.name, Counts(each.name)))
            for each in wanted.streams
        ]
        running.append(consumer.run(streams))
    if wanted.files:
        from collector.files.consuming import watch

        files = [
            (each, counted.files.setdefault(each.name, FileCounts(each.name)))
            for each in wanted.files
        ]
        running.append(watch(files, ways, work, name, ending, tell))
    return running


async def _all_of(running: Sequence[Coroutine[Any, Any, None]], ending: asyncio.Event) -> None:
    """Run all until the first ends; raises what ended it, after all ended."""
    tasks = [asyncio.create_task(each) for each in running]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        ending.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each


async def _ended(ending: asyncio.Event) -> None:
    await ending.wait()


async def _passed_on(stopping: asyncio.Event, ending: asyncio.Event) -> None:
    await stopping.wait()
    ending.set()


async def _changed(parts: Parts, wanted: Wanted, ending: asyncio.Event) -> None:
    """End the round when something else is in force."""
    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        with suppress(Busy):
            found, _ = await asyncio.to_thread(in_force, parts.store.documents)
            if found != wanted:
                ending.set()


async def _tell_counts(counted: Counted, tell: Tell) -> None:
    """Say once a minute what was done since."""
    before: dict[int, int] = {}
    while True:
        await asyncio.sleep(_TOLD_SECONDS)
        for each in counted.each():
            done = each.messages if isinstance(each, Counts) else each.done
            if done != before.get(id(each), 0):
                before[id(each)] = done
                tell(each.told())


def _taker(ways: "Wired", ending: asyncio.Event, tell: Tell) -> "Callable[[Stream], Taker]":
    """Return what tells who takes the batches of a stream."""
    from collector.delivery import CLOUDEVENTS, NATIVE
    from collector.streams.by_adapter import ByAdapter
    from collector.streams.native import Native
    from collector.streams.taking import Patience

    patience = Patience(ending, tell)
    native = Native(ways.varied, ways.quarantine, ways.limits, patience)
    by_adapter = ByAdapter(
        ways.intake, ways.registered.get, ways.adapters, ways.limits, system_clock, patience
    )
    own = {*NATIVE, CLOUDEVENTS}
    return lambda stream: native if stream.format in own else by_adapter


def _named(declared: Iterable[S]) -> list[S]:
    """Those that are not paused; raises `BadDeclaration` where two have one name."""
    found: dict[str, S] = {}
    for each in declared:
        if each.name in found:
            raise BadDeclaration("name", f"{each.name} is given twice", "name each differently")
        found[each.name] = each
    return [each for each in found.values() if not each.paused]
