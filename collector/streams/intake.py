"""From a batch of messages to the ledger: read, append, seal what was refused, then return.

Decides that a batch is done when every event in it is signed for and everything else is sealed in
quarantine: only then may its messages be acknowledged. A ledger that is busy or away is waited
for, with the batch held and nothing acknowledged, so that order is kept; one that contradicts its
own evidence, or is broken, ends the process. One append carries the whole batch of a lane.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import NamedTuple, ParamSpec, TypeVar

from audit.errors import AuditError, Broken, Busy, Rejected
from audit.events import Event
from audit.group import Appended
from collector import answers
from collector.delivery import Delivery, read
from collector.errors import CollectorError, Invalid
from collector.ingest import Appends
from collector.limits import Limits
from collector.quarantine import Quarantine
from collector.streams.carried import Carried, delivery
from collector.streams.declaration import Stream

MOST_EVENTS = 1_024
"""Events of one append: more would keep other writers out for long."""
_SHORTEST, _LONGEST = 0.1, 15.0
"""Seconds between attempts while the ledger is away."""

P = ParamSpec("P")
T = TypeVar("T")
Reason = tuple[str, str, str]


class Stopped(Exception):
    """The process ends before a batch could be logged: it is not acknowledged."""


class Taken(NamedTuple):
    """What became of a batch, in events; `tombstones` in messages."""

    logged: int = 0
    duplicates: int = 0
    quarantined: int = 0
    tombstones: int = 0


class _Item(NamedTuple):
    """An event, and what goes to quarantine if the ledger refuses it."""

    event: Event
    kept: Delivery


class _Refused(NamedTuple):
    error: Rejected
    kept: Delivery


class _Batch(NamedTuple):
    lanes: dict[str, list[_Item]]
    refused: list[_Refused]
    tombstones: int


class _Unforeseen(Exception):
    """The ledger could not append, and nobody knows why."""


class _Unappended(Invalid):
    """One event that the ledger could not append."""


class Intake:
    """Takes batches of any stream. Belongs to one event loop.

    `tell` hears when the ledger is away and when it is back.
    """

    def __init__(
        self,
        ledger: Appends,
        quarantine: Quarantine,
        limits: Limits,
        stopping: asyncio.Event,
        tell: Callable[[str], None],
    ) -> None:
        self._ledger = ledger
        self._quarantine = quarantine
        self._limits = limits
        self._stopping = stopping
        self._tell = tell

    async def take(self, stream: Stream, messages: Sequence[Carried]) -> Taken:
        """Log a batch, each lane in its order, and return once all of it is durable.

        Waits as long as the ledger is busy. Raises `Stopped` where the process is to end before
        that, `Broken` or `Tampered` where only a new process, or nobody, can go on.
        """
        batch = await asyncio.to_thread(_read, stream, messages, self._limits)
        lanes = [self._append_lane(items, batch.refused) for items in batch.lanes.values()]
        counts = await _all_of(lanes)
        if batch.refused:
            await self._until_done(self._seal, batch.refused)
        return Taken(
            sum(logged for logged, _ in counts),
            sum(duplicates for _, duplicates in counts),
            len(batch.refused),
            batch.tombstones,
        )

    async def _append_lane(self, items: list[_Item], refused: list[_Refused]) -> tuple[int, int]:
        """Append in order; returns how many were new and how many known."""
        logged = known = 0
        for at in range(0, len(items), MOST_EVENTS):
            part = items[at : at + MOST_EVENTS]
            for item, answer in zip(part, await self._append(part), strict=True):
                if isinstance(answer, Rejected):
                    refused.append(_Refused(answer, item.kept))
                elif answer.conflict:
                    refused.append(_Refused(answers.conflict(), item.kept))
                elif answer.duplicate:
                    known += 1
                else:
                    logged += 1
        return logged, known

    async def _append(self, items: list[_Item]) -> Sequence[Appended | Rejected]:
        try:
            return await self._until_done(self._submit, [item.event for item in items])
        except (Rejected, _Unforeseen):
            # Whatever one event did must not hold its neighbours up for ever.
            found = [await self._append_alone(item) for item in items]
            if all(isinstance(each, _Unappended) for each in found):
                raise  # it is the ledger and not the events
            return found

    async def _append_alone(self, item: _Item) -> Appended | Rejected:
        try:
            [answer] = await self._until_done(self._submit, [item.event])
        except Rejected as error:
            return error
        except _Unforeseen:
            return _Unappended("the ledger cannot append it", remedy="Report it, then replay it.")
        return answer

    async def _submit(self, events: list[Event]) -> Sequence[Appended]:
        try:
            # What is submitted is logged, even if whoever waits for it is told to stop.
            return await asyncio.shield(asyncio.wrap_future(self._ledger.submit(events)))
        except AuditError:
            raise
        except Exception as error:
            raise _Unforeseen from error

    async def _seal(self, refused: list[_Refused]) -> None:
        """Keep refused messages, one parcel for each reason, as ingest over HTTP does."""
        parcels: dict[Reason, list[Delivery]] = {}
        for error, kept in refused:
            parcels.setdefault((str(error), error.field, error.remedy), []).append(kept)
        for reason, parcel in parcels.items():
            await asyncio.to_thread(self._quarantine.keep, *reason, parcel)

    async def _until_done(
        self, act: Callable[P, Awaitable[T]], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """What `act` gives, once the ledger is not busy; raises `Stopped` when told to stop."""
        pause = _SHORTEST
        while True:
            try:
                found = await act(*args, **kwargs)
            except Broken:
                raise
            except Busy as busy:
                if pause == _SHORTEST:
                    self._tell(f"waits for the ledger: {busy}")
                await self._rest(pause)
                pause = min(2 * pause, _LONGEST)
            else:
                if pause > _SHORTEST:
                    self._tell("the ledger is back")
                return found

    async def _rest(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped


async def _all_of(lanes: Sequence[Awaitable[T]]) -> list[T]:
    """All results, after every lane has ended; else raises what the first that failed raised."""
    found = await asyncio.gather(*lanes, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException):
            raise each
    return [each for each in found if not isinstance(each, BaseException)]


def _read(stream: Stream, messages: Sequence[Carried], limits: Limits) -> _Batch:
    batch, tombstones = _Batch({}, [], 0), 0
    for message in messages:
        if message.body is None:
            tombstones += 1
            continue
        sent = delivery(stream, message)
        try:
            reading = read(sent, limits)
        except CollectorError as error:
            batch.refused.append(_Refused(error, sent))
            continue
        except Exception:  # noqa: BLE001 - a message that nobody can read must not block the rest
            unread = Invalid("it could not be read", remedy="Report it, then replay it.")
            batch.refused.append(_Refused(unread, sent))
            continue
        lane = batch.lanes.setdefault(message.lane, [])
        for event, at in zip(reading.events, reading.positions(), strict=True):
            lane.append(_Item(event, sent if not reading.many else sent.item(reading.items[at])))
        for refusal in reading.refusals:
            kept = sent if not reading.many else sent.item(reading.items[refusal.position])
            batch.refused.append(_Refused(refusal.error, kept))
    return batch._replace(tombstones=tombstones)
