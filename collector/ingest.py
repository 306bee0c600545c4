"""From a delivery to its answer: read, append, seal what was refused, answer.

Decides the order (nothing is answered before its events are signed for and its refusals are
sealed) and each item's fate. Hides threads: what takes long is done beside the event loop.
"""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple, ParamSpec, Protocol, TypeVar

from audit.events import Event
from audit.group import Appended
from collector import answers
from collector.answers import Batch, RejectedItem
from collector.delivery import Delivery, Reading, Refusal, producer_id, read, read_each
from collector.errors import CollectorError, Full
from collector.limits import Limits
from collector.metrics import Metrics
from collector.quarantine import Kept, Quarantine
from collector.share import Share
from collector.turn import Turn
from collector.variety import Variety

_INLINE_BYTES = 48 * 1024
"""Bodies up to this length are read on the event loop: some fifty ordinary events."""
_INLINE_PACKED = 4 * 1024
"""The same for compressed bodies, which may grow a thousandfold."""
_REASONS = 32
"""Reasons of one batch that are kept apart in quarantine."""

P = ParamSpec("P")
T = TypeVar("T")
Reason = tuple[str, str, str]


class Appends(Protocol):
    """The part of the ledger that ingest needs."""

    def submit(self, events: Sequence[Event]) -> Future[list[Appended]]: ...
    def checkpoint(self) -> bytes: ...


class Answer(NamedTuple):
    """Status and JSON body."""

    status: int
    body: bytes


class Ingest:
    """Takes deliveries. Belongs to one event loop."""

    def __init__(
        self,
        ledger: Appends,
        quarantine: Quarantine,
        limits: Limits,
        metrics: Metrics,
        share: Share,
        variety: Variety,
    ) -> None:
        self._ledger = ledger
        self._quarantine = quarantine
        self._limits = limits
        self._metrics = metrics
        self._turn = Turn(ledger)
        self._share = share
        self._variety = variety

    async def take(self, delivery: Delivery) -> Answer:
        """Append the events of a delivery, seal its refusals, and answer.

        Raises `CollectorError` when the delivery is refused as a whole; its `quarantine` is set
        where it was kept. Raises `Busy` when nothing was decided.
        """
        try:
            reading = await self._admitted(await self._read(delivery))
            if reading.many:
                return await self._take_many(delivery, reading, keep=True)
            return await self._take_one(delivery, reading)
        except CollectorError as error:
            if error.kept:
                error.quarantine = await _beside(self._parcel, reason_of(error), [delivery])
                if error.quarantine is None:
                    error.full = True
                    self._metrics.not_kept(delivery.integration)
            raise

    async def replay(self, kept: Kept) -> tuple[Answer, bool]:
        """Take what was kept once more; True says that nothing of it was refused again.

        What is refused again is not kept a second time. Raises as `take` does.
        """
        first = kept.deliveries[0]
        if len(kept.deliveries) == 1:
            reading = await _beside(read, first, self._limits)
        else:
            reading = await _beside(read_each, kept.deliveries, self._limits)
        reading = await self._admitted(reading)
        if not reading.many:
            return await self._take_one(first, reading), True
        answer = await self._take_many(first, reading, keep=False)
        return answer, not reading.refusals

    async def _read(self, delivery: Delivery) -> Reading:
        try:
            if self._is_soon_read(delivery):
                return read(delivery, self._limits)
            return await _beside(read, delivery, self._limits)
        except CollectorError:
            self._metrics.fate(delivery.address, delivery.integration, "unreadable")
            raise

    async def _admitted(self, reading: Reading) -> Reading:
        """The reading without events of series that their integration may not begin."""
        if self._variety.is_known(reading.events):
            return reading
        refused = await _beside(self._variety.refusal, reading.events)
        if not refused:
            return reading
        places = reading.positions()
        found = [Refusal(places[at], error) for at, error in refused.items()]
        return reading._replace(
            events=[each for at, each in enumerate(reading.events) if at not in refused],
            refusals=sorted([*reading.refusals, *found], key=lambda each: each.position),
        )

    def _is_soon_read(self, delivery: Delivery) -> bool:
        most = _INLINE_BYTES if delivery.encoding is None else _INLINE_PACKED
        return len(delivery.body) <= most

    async def _take_one(self, delivery: Delivery, reading: Reading) -> Answer:
        address, integration = delivery.address, delivery.integration
        if reading.refusals:
            self._metrics.fate(address, integration, "rejected")
            raise reading.refusals[0].error
        event = reading.events[0]
        self._share.enter(integration, 1)
        try:
            appended = await self._turn.append(event)
        finally:
            self._share.leave(integration, 1)
        if appended.conflict:
            self._metrics.fate(address, integration, "conflict")
            raise answers.conflict()
        self._metrics.fate(address, integration, "duplicate" if appended.duplicate else "accepted")
        return Answer(200 if appended.duplicate else 201, answers.receipt(event.id, appended))

    async def _take_many(self, delivery: Delivery, reading: Reading, *, keep: bool) -> Answer:
        """`reading.refusals` gains the conflicts, which only the ledger knows."""
        appended: list[Appended] = []
        if reading.events:
            self._share.enter(delivery.integration, len(reading.events))
            try:
                answers_to_come = asyncio.wrap_future(self._ledger.submit(reading.events))
                # What is submitted is logged, even if whoever waits for it is told to stop.
                appended = await asyncio.shield(answers_to_come)
            finally:
                self._share.leave(delivery.integration, len(reading.events))
        fresh = [each.index for each in appended if not each.duplicate and not each.conflict]
        conflicts = 0
        if len(fresh) < len(appended):
            places = zip(reading.positions(), appended, strict=True)
            found = [Refusal(at, answers.conflict()) for at, each in places if each.conflict]
            conflicts = len(found)
            reading.refusals.extend(found)
            reading.refusals.sort(key=lambda each: each.position)
        ids: dict[Reason, str | None] = {}
        if reading.refusals and keep:
            ids = await _beside(self._keep, delivery, reading)
        rejected = await _beside(_rejected, reading, ids) if reading.refusals else []
        full = sum(each.problem.not_kept == answers.FULL for each in rejected)
        if full:
            self._metrics.not_kept(delivery.integration, full)
        duplicates = len(appended) - len(fresh) - conflicts
        self._count(delivery, len(fresh), duplicates, conflicts, len(rejected) - conflicts)
        size = appended[-1].tree_size if appended else await _beside(self._size)
        whole = Batch(
            accepted=len(fresh),
            duplicates=duplicates,
            rejected=rejected,
            first_index=min(fresh, default=None),
            last_index=max(fresh, default=None),
            tree_size=size,
        )
        return Answer(200, answers.batch(whole))

    def _size(self) -> int:
        return int(self._ledger.checkpoint().split(b"\n", 2)[1])

    def _keep(self, delivery: Delivery, reading: Reading) -> dict[Reason, str | None]:
        """Seal the refused items, one parcel for each reason; returns the id of each.

        None stands for a parcel that found no room.
        """
        parcels: dict[Reason, list[Delivery]] = {}
        for position, error in reading.refusals:
            if not error.kept:
                continue
            reason = reason_of(error)
            if reason not in parcels and len(parcels) >= _REASONS:
                reason = _SEVERAL
            parcels.setdefault(reason, []).append(delivery.item(reading.items[position]))
        return {reason: self._parcel(reason, parcel) for reason, parcel in parcels.items()}

    def _parcel(self, reason: Reason, deliveries: Sequence[Delivery]) -> str | None:
        """The id under which these are kept; None where there is no room: the sender is told."""
        try:
            return self._quarantine.keep(*reason, deliveries)
        except Full:
            return None

    def _count(
        self, delivery: Delivery, accepted: int, duplicates: int, conflicts: int, rejected: int
    ) -> None:
        fates = {
            "accepted": accepted,
            "duplicate": duplicates,
            "conflict": conflicts,
            "rejected": rejected,
        }
        for fate, count in fates.items():
            if count:
                self._metrics.fate(delivery.address, delivery.integration, fate, count)


_SEVERAL: Reason = ("one of many reasons in the same request", "", "See the answer it was given.")


def reason_of(error: CollectorError) -> Reason:
    """What of a refusal is told in quarantine."""
    return str(error), error.field, error.remedy


def _rejected(reading: Reading, ids: dict[Reason, str | None]) -> list[RejectedItem]:
    return [
        RejectedItem(position, producer_id(reading.items[position]), _told(error, ids))
        for position, error in reading.refusals
    ]


def _told(error: CollectorError, ids: dict[Reason, str | None]) -> answers.Refused:
    reason = reason_of(error)
    if reason not in ids:
        reason = _SEVERAL
    full = reason in ids and ids[reason] is None
    return answers.refusal(error, ids.get(reason), answers.FULL if full else None)


async def _beside(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a call in another thread."""
    return await asyncio.to_thread(function, *args, **kwargs)
