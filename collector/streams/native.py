"""Streams of our own events, native or as CloudEvents: from a batch to the ledger.

Decides that one append carries the whole batch of a lane, that lanes go side by side, and that
what is refused, by us or by the ledger, is sealed in quarantine before the batch counts as done.
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from audit.errors import AuditError, Rejected
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
from collector.streams.taking import MOST_EVENTS, Patience, Taken, all_of

Reason = tuple[str, str, str]
PARCEL_BYTES: Final = 1024 * 1024


class _Item(NamedTuple):
    """An event, and what goes to quarantine if the ledger refuses it."""

    event: Event
    kept: Delivery


class _Refused(NamedTuple):
    error: Rejected
    kept: Delivery


class Batch(NamedTuple):
    """What messages hold, by lane, and what is wrong with some of them."""

    lanes: dict[str, list[_Item]]
    refused: list[_Refused]
    tombstones: int


class _Unforeseen(AuditError):
    """The ledger could not append, and nobody knows why."""

    def __init__(self) -> None:
        super().__init__("the ledger can append nothing of a stream, for a reason not foreseen")


class _Unappended(Invalid):
    """One event that the ledger could not append."""


class Native:
    """Takes batches of any stream of our own events. Belongs to one event loop."""

    def __init__(
        self, ledger: Appends, quarantine: Quarantine, limits: Limits, patience: Patience
    ) -> None:
        self._ledger = ledger
        self._quarantine = quarantine
        self._limits = limits
        self._until_done = patience.until_done

    async def read(self, stream: Stream, messages: Sequence[Carried]) -> Batch:
        """Return what messages hold; nothing is logged yet."""
        return await asyncio.to_thread(_read, stream, messages, self._limits)

    async def log(self, batch: Batch) -> Taken:
        """Log a batch, each lane in its order, and return once all of it is durable.

        Waits as long as the ledger is busy; raises what `Patience.until_done` raises.
        """
        lanes = [self._append_lane(items, batch.refused) for items in batch.lanes.values()]
        counts = await all_of(lanes)
        if batch.refused:
            await self._until_done(self._seal, batch.refused)
        return Taken(
            logged=sum(logged for logged, _ in counts),
            duplicates=sum(duplicates for _, duplicates in counts),
            quarantined=len(batch.refused),
            tombstones=batch.tombstones,
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
        """One answer for each; raises `_Unforeseen` where the ledger can append none of them."""
        found = await self._append_parts(items)
        if all(isinstance(each, _Unappended) for each in found):
            raise _Unforeseen  # it is the ledger and not the events
        return found

    async def _append_parts(self, items: list[_Item]) -> Sequence[Appended | Rejected]:
        """Append all, or what of it can be: one event must not hold its neighbours up for ever."""
        try:
            return await self._until_done(self._submit, [item.event for item in items])
        except (Rejected, _Unforeseen) as error:
            if len(items) > 1:
                half = len(items) // 2
                first = await self._append_parts(items[:half])
                return [*first, *await self._append_parts(items[half:])]
            if isinstance(error, Rejected):
                return [error]
            return [_Unappended("the ledger cannot append it", remedy="Report it, then replay it.")]

    async def _submit(self, events: list[Event]) -> Sequence[Appended]:
        try:
            # What is submitted is logged, even if whoever waits for it is told to stop.
            return await asyncio.shield(asyncio.wrap_future(self._ledger.submit(events)))
        except AuditError:
            raise
        except Exception as error:
            raise _Unforeseen from error

    async def _seal(self, refused: list[_Refused]) -> None:
        """Keep refused messages by their reason, in parcels that find room where there is some."""
        parcels: dict[Reason, list[Delivery]] = {}
        for error, kept in refused:
            parcels.setdefault((str(error), error.field, error.remedy), []).append(kept)
        for reason, parcel in parcels.items():
            for part in parts(parcel):
                await asyncio.to_thread(self._quarantine.keep, *reason, part)


def parts(parcel: Sequence[Delivery]) -> Iterator[list[Delivery]]:
    """Yield deliveries in order, `PARCEL_BYTES` of bodies at a time or one that is longer.

    A whole batch of large messages could be more than an integration may keep at all, and would
    then hold its stream up for ever.
    """
    part: list[Delivery] = []
    size = 0
    for each in parcel:
        if part and size + len(each.body) > PARCEL_BYTES:
            yield part
            part, size = [], 0
        part.append(each)
        size += len(each.body)
    if part:
        yield part


def _read(stream: Stream, messages: Sequence[Carried], limits: Limits) -> Batch:
    batch, tombstones = Batch({}, [], 0), 0
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
