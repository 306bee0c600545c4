"""The way in for every sender that an adapter reads, over HTTP, from a broker or out of a file.

Decides the order: unpack, read, append, seal what was refused, keep halves, then answer; all of it
is durable before the sender hears of it. What an adapter cannot read is kept whole and answered as
this sender needs it. Hides threads: what takes long is done beside the event loop.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from audit.errors import Busy, Rejected
from audit.events import Event
from audit.group import Appended
from collector import answers
from collector.adapters.rows import by_row
from collector.adapters.wire import FILE, OK, Adapted, Adapter, Half, Message, Reply
from collector.errors import CollectorError, Conflicting, Full, Invalid, NeverFits, TooMany
from collector.ingest import Appends, Reason, reason_of
from collector.integrations.declaration import Declared
from collector.integrations.inferred import Inferred, is_inferred
from collector.integrations.pairing import Offer, Pairing
from collector.integrations.refusals import failed, refusal
from collector.integrations.unpacking import unpacked
from collector.limits import Limits
from collector.metrics import Metrics
from collector.quarantine import Kept, Quarantine
from collector.share import Share

_INLINE_BYTES: Final = 16 * 1024
"""Bodies up to this length are read on the event loop."""
_OFFERS: Final = 500
"""Halves that are settled at a time, at most."""
_KEPT_STATUS: Final = frozenset({413, 415})
"""Refusals that a sender must hear of as such, because it can send otherwise."""
_encode = msgspec.json.Encoder().encode


class Settled(msgspec.Struct, frozen=True):
    """The fates of what one message held, by name; `waiting` are halves.

    `unrelated` are items that are none of the integration's business: all of them is a mistake.
    """

    accepted: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    waiting: int = 0
    unrelated: int = 0


class Intake:
    """Takes messages. Belongs to one event loop.

    `fetch` calls an address that a sender named, under the rule for such, and raises `Busy` where
    it does not answer. `inferred` finds the predictions that business records' changes mean;
    without it they keep the name of the record's field.
    """

    def __init__(
        self,
        ledger: Appends,
        quarantine: Quarantine,
        pairing: Pairing,
        fetch: Callable[[str], None],
        limits: Limits,
        metrics: Metrics,
        share: Share,
        inferred: Inferred | None = None,
    ) -> None:
        self._ledger = ledger
        self._quarantine = quarantine
        self._fetch = fetch
        self._limits = limits
        self._metrics = metrics
        self._share = share
        self._inferred = inferred
        self._halves = _Halves(pairing)

    async def take(self, message: Message, declared: Declared, adapter: Adapter) -> Reply:
        """Log what a message holds and return the sender's answer; `unpacked` need not be set.

        Raises `Busy` (or another `AuditError` that is no refusal) where it is not decided whether
        all of it is kept: the same message, sent again, does no harm. Whatever is wrong with the
        message itself is in quarantine and worded in the answer.
        """
        try:
            adapted = await self._read(message, declared, adapter)
        except CollectorError as error:
            await self.keep(message, declared, adapter, [error])
            self._count(declared, adapter, {"unreadable": 1})
            status = error.status if error.status in _KEPT_STATUS else adapter.unreadable
            return refusal(message, adapter, error, status)
        settled = await self._settle(message, declared, adapter, adapted, keep=True)
        if adapted.fetch:
            await asyncio.to_thread(self._fetch, adapted.fetch)
        if adapted.reply is not OK:
            return adapted.reply
        # A sender without words of its own hears what became of what it sent.
        return Reply(200, _encode(settled), (("content-type", "application/json"),))

    async def log(
        self, about: Message, adapted: Adapted, declared: Declared, adapter: Adapter
    ) -> Settled:
        """Log what was read already, of a source of which `about` tells.

        Of what was refused only those parts are kept, one to a line. Raises as `take` does.
        """
        kept = b"\n".join(each.raw for each in adapted.refused)
        message = msgspec.structs.replace(about, body=kept)
        return await self._settle(message, declared, adapter, adapted, keep=bool(kept))

    async def log_each(
        self, adapted: Adapted, declared: Declared, adapter: Adapter
    ) -> tuple[Settled, list[CollectorError | None]]:
        """Log what was read already; tell of each event why it was refused, None where it was not.

        What is refused is the caller's to keep. Raises as `take` does.
        """
        answered = await self._append(declared.name, adapted.events)
        settled = await self._finish(adapted, answered, declared, adapter)
        return settled, [each if isinstance(each, CollectorError) else None for each in answered]

    async def replay(self, message: Message, declared: Declared, adapter: Adapter) -> Settled:
        """Take a message from quarantine once more.

        What is refused again is not kept a second time. Raises `CollectorError` where the message
        as a whole still cannot be read.
        """
        adapted = await self._read(message, declared, adapter)
        return await self._settle(message, declared, adapter, adapted, keep=False)

    async def _read(self, message: Message, declared: Declared, adapter: Adapter) -> Adapted:
        if len(message.body) <= _INLINE_BYTES and message.header("content-encoding") is None:
            return _read(message, declared, adapter, self._limits)
        return await asyncio.to_thread(_read, message, declared, adapter, self._limits)

    async def _settle(
        self,
        message: Message,
        declared: Declared,
        adapter: Adapter,
        adapted: Adapted,
        *,
        keep: bool,
    ) -> Settled:
        answered = await self._append(declared.name, adapted.events)
        errors = [each.error for each in adapted.refused]
        errors += [each for each in answered if isinstance(each, CollectorError)]
        if errors and keep:
            await self.keep(message, declared, adapter, errors)
        return await self._finish(adapted, answered, declared, adapter)

    async def _finish(
        self,
        adapted: Adapted,
        answered: Sequence[Appended | CollectorError],
        declared: Declared,
        adapter: Adapter,
    ) -> Settled:
        """Settle the halves, and count everything."""
        fates = Counter(map(_fate, answered))
        fates["rejected"] += len(adapted.refused)
        if adapted.halves:
            for fate in await self._halves.settle(adapted.halves, declared, adapter):
                fates["rejected" if fate == "late" else fate] += 1
        self._count(declared, adapter, {**fates, "unrelated": adapted.unrelated})
        return Settled(
            fates["accepted"],
            fates["duplicate"],
            fates["conflict"],
            fates["rejected"],
            fates["waiting"],
            adapted.unrelated,
        )

    async def _joined(self, events: Sequence[Event]) -> Sequence[Event]:
        if self._inferred is None or not any(map(is_inferred, events)):
            return events
        return await asyncio.to_thread(self._inferred.joined, events)

    async def _append(
        self, integration: str, events: Sequence[Event]
    ) -> list[Appended | CollectorError]:
        """One answer for each event: conflicts, and what the ledger cannot take, are refusals."""
        if not events:
            return []
        events = await self._joined(events)
        try:
            self._share.enter(integration, len(events))
        except TooMany as error:
            raise Busy(str(error)) from None
        try:
            return await self._submit(events)
        finally:
            self._share.leave(integration, len(events))

    async def _submit(self, events: Sequence[Event]) -> list[Appended | CollectorError]:
        try:
            # What is submitted is logged, even if whoever waits for it is told to stop.
            to_come = asyncio.wrap_future(self._ledger.submit(events))
            appended = await asyncio.shield(to_come)
        except Rejected as error:
            if len(events) > 1:  # whatever one event did must not sink its neighbours
                half = len(events) // 2
                return [*await self._submit(events[:half]), *await self._submit(events[half:])]
            return [Invalid(str(error), field=error.field, remedy=error.remedy)]
        return [answers.conflict() if each.conflict else each for each in appended]

    async def keep(
        self,
        message: Message,
        declared: Declared,
        adapter: Adapter,
        errors: Sequence[CollectorError],
    ) -> bool:
        """Seal the whole message, as far as it may be kept; it is read anew when it is replayed.

        False, and counted as not kept, where it is larger than the share of its integration.
        Raises `Full` where there is no room for it yet.
        """
        reasons: dict[Reason, int] = {}
        for error in errors:
            reasons[reason_of(error)] = reasons.get(reason_of(error), 0) + 1
        (reason, field, remedy), *others = reasons
        told = f"{reason} (and {len(others)} other reasons)" if others else reason
        bare = msgspec.structs.replace(adapter.bare(message), unpacked=b"")
        kept = Kept(declared.name, 0, told, field, remedy, message=bare, items=len(errors))
        same = bare.url.encode() + b"\n" + bare.body
        try:
            await asyncio.to_thread(self._quarantine.keep_parcel, kept, same)
        except NeverFits:
            self.not_kept(declared, len(errors))
            return False
        except Full:
            self.not_kept(declared, len(errors))
            raise  # and not acknowledged: a sender that comes again loses nothing meanwhile
        return True

    def not_kept(self, declared: Declared, count: int) -> None:
        """Count what was refused and is not in quarantine."""
        self._metrics.not_kept(declared.name, count)

    def _count(self, declared: Declared, adapter: Adapter, fates: dict[str, int]) -> None:
        for fate, count in fates.items():
            if count:
                self._metrics.fate(f"in:{adapter.name}", declared.name, fate, count)


def _fate(answer: Appended | CollectorError) -> str:
    if isinstance(answer, CollectorError):
        return "conflict" if isinstance(answer, Conflicting) else "rejected"
    return "duplicate" if answer.duplicate else "accepted"


class _Halves:
    """Settles halves of many requests in one commit: while one runs, the next gather."""

    def __init__(self, pairing: Pairing) -> None:
        self._pairing = pairing
        self._waiting: list[tuple[list[Offer], asyncio.Future[list[str]]]] = []
        self._running: asyncio.Task[None] | None = None

    async def settle(
        self, halves: Sequence[Half], declared: Declared, adapter: Adapter
    ) -> list[str]:
        future: asyncio.Future[list[str]] = asyncio.get_running_loop().create_future()
        self._waiting.append(([Offer(half, declared, adapter) for half in halves], future))
        if self._running is None or self._running.done():
            self._running = asyncio.create_task(self._run())
        return await asyncio.shield(future)

    async def _run(self) -> None:
        while self._waiting:
            count = 0
            taken = []
            while self._waiting and count < _OFFERS:
                taken.append(self._waiting.pop(0))
                count += len(taken[-1][0])
            offers = [offer for each, _ in taken for offer in each]
            try:
                fates = iter(await asyncio.to_thread(self._pairing.settle, offers))
            except Exception as error:  # noqa: BLE001  (it belongs to those who wait, whatever it is)
                for _, future in taken:
                    if not future.done():
                        future.set_exception(error)
                continue
            for each, future in taken:
                found = [next(fates) for _ in each]
                busy = next((fate for fate in found if isinstance(fate, Busy)), None)
                if future.done():  # its request is gone
                    continue
                if busy is not None:  # the message comes again, and what was kept does no harm
                    future.set_exception(busy)
                else:
                    future.set_result([fate for fate in found if isinstance(fate, str)])


def _read(message: Message, declared: Declared, adapter: Adapter, limits: Limits) -> Adapted:
    """What an adapter makes of a message; a fault of the adapter is told as one of the message."""
    message = msgspec.structs.replace(message, unpacked=unpacked(message, limits))
    read = by_row(adapter) if message.method == FILE else adapter.read
    try:
        return read(message, declared)
    except CollectorError:
        raise
    except Rejected as error:
        raise Invalid(str(error), field=error.field, remedy=error.remedy) from None
    except Exception as error:  # noqa: BLE001  (whatever it is: the bytes are kept, no 5xx for ever)
        raise failed(adapter, error) from None
