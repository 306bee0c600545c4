"""What a process notes at its doors and hands on: refusals and senders' clocks, by integration.

Decides that notes lie in memory for `_SECONDS` at most and then in the work table, where whoever
makes the next round takes them all; a process that is killed loses the last ones. The refused items
themselves are in quarantine by then: a note is for the ratio only. Nothing is written where there
is nothing to say.
"""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, Protocol

import msgspec

from audit.clock import Clock
from audit.errors import AuditError

KIND = "noted"
_SECONDS: Final = 10.0
_FAR_US: Final = 400 * 86_400_000_000
"""A clock that is further off is noted as that far."""


class Item(Protocol):
    """What the work table gives back."""

    @property
    def key(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class KeepsWork(Protocol):
    """The part of the work table that is written."""

    def put(self, kind: str, key: str, body: bytes, due_us: int = 0) -> bool: ...


class ListsWork(Protocol):
    """The part of the work table that is read."""

    def list(self, kind: str, after: str = "", limit: int = 200) -> Sequence[Item]: ...


class Note(msgspec.Struct, array_like=True):
    """Items refused, and of the senders' clocks the least µs that ours is ahead (the time on the
    way included), by integration."""

    refused: dict[str, int] = {}
    behind_us: dict[str, int] = {}

    def add(self, other: "Note") -> None:
        """Take in another note."""
        for name, count in other.refused.items():
            self.refused[name] = self.refused.get(name, 0) + count
        for name, behind_us in other.behind_us.items():
            self.behind_us[name] = min(behind_us, self.behind_us.get(name, behind_us))


_decode = msgspec.msgpack.Decoder(Note).decode


class Notes:
    """The notes of one process. Belongs to one event loop."""

    def __init__(self, work: KeepsWork, clock: Clock, holder: str) -> None:
        self._work = work
        self._clock = clock
        self._holder = holder
        self._note = Note()
        self._due: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None

    def refused(self, integration: str, count: int) -> None:
        """Note that items were refused."""
        self._note.add(Note({integration: count}, {}))
        self._soon()

    def sent(self, integration: str, header: bytes) -> None:
        """Note when a sender says that it sent what arrives now, in seconds since the epoch."""
        try:
            sent_us = float(header[:32]) * 1e6
            behind_us = max(-_FAR_US, min(_FAR_US, int(self._clock() - sent_us)))
        except (ValueError, OverflowError):  # no number, or none that a clock shows
            return
        self._note.add(Note({}, {integration: behind_us}))
        self._soon()

    def flush(self) -> None:
        """Write what is noted; it blocks. Raises `Busy`, and then has it still."""
        note, self._note = self._note, Note()
        if not note.refused and not note.behind_us:
            return
        try:
            self._work.put(
                KIND, f"{self._clock():016x} {self._holder}", msgspec.msgpack.encode(note)
            )
        except AuditError:
            self._note.add(note)
            raise

    def _soon(self) -> None:
        if self._due is None:
            with suppress(RuntimeError):  # outside of an event loop the caller flushes
                self._due = asyncio.get_running_loop().call_later(_SECONDS, self._begin)

    def _begin(self) -> None:
        self._due = None
        self._writing = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        try:
            await asyncio.to_thread(self.flush)
        except AuditError:  # the database is away: it is tried again
            self._soon()


def taken(work: ListsWork) -> tuple[Note, list[tuple[str, str]]]:
    """Return everything that is noted together, and the items to be removed with it."""
    found, keys = Note(), list[tuple[str, str]]()
    after = ""
    while page := work.list(KIND, after):
        for item in page:
            after = item.key
            keys.append((KIND, item.key))
            with suppress(msgspec.DecodeError):  # of another version
                found.add(_decode(item.body))
    return found, keys
