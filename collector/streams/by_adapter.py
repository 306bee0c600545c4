"""Streams whose messages an integration's adapter reads: one broker message is one wire message.

Decides how a message of a broker looks to an adapter (attributes of a CloudEvent as HTTP has them)
and that messages which are read without fault are logged many at a time; one of which anything is
refused goes the way in by itself, which keeps it whole in quarantine. Within a lane all of it
happens in order.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from audit.clock import Clock
from collector.adapters.wire import Adapted, Adapter, Message, Reply
from collector.integrations.declaration import Declared
from collector.integrations.intake import Settled
from collector.integrations.unpacking import unpacked
from collector.limits import Limits
from collector.streams.carried import Carried, delivery
from collector.streams.declaration import BY_INTEGRATION, Stream
from collector.streams.source import Away
from collector.streams.taking import MOST_EVENTS, Patience, Taken, all_of


class WayIn(Protocol):
    """The way in for integrations; see `collector.integrations.intake`."""

    async def take(self, message: Message, declared: Declared, adapter: Adapter) -> Reply: ...
    async def log(
        self, about: Message, adapted: Adapted, declared: Declared, adapter: Adapter
    ) -> Settled: ...


class _Read(NamedTuple):
    """Messages and what is in them; None where one has to go the way in by itself."""

    messages: list[Message]
    adapted: Adapted | None


class Batch(NamedTuple):
    """What messages hold, by lane, and how they were read."""

    declared: Declared
    adapter: Adapter
    lanes: list[list[_Read]]
    tombstones: int


class ByAdapter:
    """Takes batches of streams that an adapter reads. Belongs to one event loop."""

    def __init__(
        self,
        way_in: WayIn,
        declared: Callable[[str], Declared | None],
        adapters: Mapping[str, Adapter],
        limits: Limits,
        clock: Clock,
        patience: Patience,
    ) -> None:
        self._way_in = way_in
        self._declared = declared
        self._adapters = adapters
        self._limits = limits
        self._clock = clock
        self._until_done = patience.until_done

    def reader(self, stream: Stream) -> tuple[Declared, Adapter]:
        """Return how a stream is read now; raises `Away` where its integration is not declared."""
        declared = self._declared(stream.integration)
        if declared is None:
            raise Away(f"integration {stream.integration} is not declared: apply its file")
        adapter = self._adapters.get(declared.adapter)
        if adapter is None or stream.format not in {BY_INTEGRATION, adapter.name}:
            raise Away(f"integration {stream.integration} is declared with {declared.adapter}")
        return declared, adapter

    async def read(self, stream: Stream, messages: Sequence[Carried]) -> Batch:
        """Return what messages hold; nothing is logged yet.

        Raises `Away` where the integration is declared no more.
        """
        declared, adapter = await self._until_done(asyncio.to_thread, self.reader, stream)
        full = [each for each in messages if each.body is not None]
        lanes = await asyncio.to_thread(self._read, stream, full, declared, adapter)
        return Batch(declared, adapter, lanes, len(messages) - len(full))

    async def log(self, batch: Batch) -> Taken:
        """Log a batch, each lane in its order, and return once all of it is durable.

        Waits as long as the ledger is busy; raises what `Patience.until_done` raises.
        """
        lanes = [self._log(each, batch.declared, batch.adapter) for each in batch.lanes]
        taken = await all_of(lanes)
        together = Taken(*(sum(each) for each in zip(Taken(), *taken, strict=True)))
        return together._replace(tombstones=batch.tombstones)

    async def _log(self, lane: Sequence[_Read], declared: Declared, adapter: Adapter) -> Taken:
        logged = known = refused = waiting = 0
        for messages, adapted in _together(lane):
            alone = adapted is None
            if adapted is not None:
                about = messages[0]
                settled = await self._until_done(
                    self._way_in.log, about, adapted, declared, adapter
                )
                logged += settled.accepted
                known += settled.duplicates
                refused += settled.rejected + settled.conflicts
                waiting += settled.waiting
                alone = bool(settled.rejected or settled.conflicts)
            else:
                refused += len(messages)
            for message in messages if alone else ():
                # It keeps what is refused; the rest of it is known by now.
                await self._until_done(self._way_in.take, message, declared, adapter)
        return Taken(logged, known, refused, waiting)

    def _read(
        self, stream: Stream, messages: Sequence[Carried], declared: Declared, adapter: Adapter
    ) -> list[list[_Read]]:
        lanes: dict[str, list[_Read]] = {}
        for each in messages:
            message = _message(stream, each, self._clock())
            try:
                whole = msgspec.structs.replace(message, unpacked=unpacked(message, self._limits))
                adapted = adapter.read(whole, declared)
            except Exception:  # noqa: BLE001 - the way in reads it again and words what is wrong
                adapted = None
            plain = adapted is not None and not adapted.refused and not adapted.fetch
            lanes.setdefault(each.lane, []).append(_Read([message], adapted if plain else None))
        return list(lanes.values())


def _together(lane: Sequence[_Read]) -> list[_Read]:
    """Neighbours that are read without fault as one, up to the size of an append."""
    found: list[_Read] = []
    for messages, adapted in lane:
        last = found[-1].adapted if found else None
        if adapted is None or last is None or len(last.events) >= MOST_EVENTS:
            found.append(_Read(list(messages), adapted))
        else:
            found[-1].messages.extend(messages)
            last.events.extend(adapted.events)
            last.halves.extend(adapted.halves)
    return found


def _message(stream: Stream, carried: Carried, now_us: int) -> Message:
    sent = delivery(stream, carried)
    headers = [(name.lower(), value) for name, value in carried.headers]
    attributes = [each for each in sent.attributes if each not in headers]
    described = [(b"content-type", sent.content_type), (b"content-encoding", sent.encoding)]
    named = {name for name, _ in headers}
    more = [
        (name, value.encode("latin-1", "replace"))
        for name, value in described
        if value is not None and name not in named
    ]
    return Message(
        url=sent.place,
        headers=(*headers, *attributes, *more),
        body=sent.body,
        received_us=now_us,
    )
