"""The life of `modelwitness consume`: streams are kept open, until stopped.

Decides what happens when something ends: a broker that is away is tried again with growing
pauses; a batch that could not be logged is given up with its source, unacknowledged; an error
that nobody foresaw, and a ledger that is broken or tampered with, end the process, so that it is
seen and nothing is passed over. Being stopped means: finish the batch, acknowledge it, leave.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from importlib import import_module

from collector.streams.carried import Carried
from collector.streams.counts import Counts
from collector.streams.declaration import Stream
from collector.streams.source import Away, Source, Where
from collector.streams.standing import Claims, Standing
from collector.streams.taking import Stopped, Taker

SOURCES: Mapping[str, tuple[str, str]] = {
    "kafka": ("collector.streams.kafka_topics", "KafkaSource"),
    "rabbitmq": ("collector.streams.rabbitmq_queues", "RabbitSource"),
    "nats": ("collector.streams.jetstream", "JetStreamSource"),
    "redis": ("collector.streams.redis_streams", "RedisSource"),
}
"""Loaded when a stream needs them: each brings a client library."""
_SHORTEST, _LONGEST = 0.5, 30.0
"""Seconds between attempts to reach a broker."""
_BEAT = 0.25
"""Seconds between looks at whether a source still works."""

Tell = Callable[[str], None]


class Consumer:
    """All streams of one process; `name` tells it from the others of its groups."""

    def __init__(
        self,
        taker: Callable[[Stream], Taker],
        work: Claims,
        name: str,
        environment: Mapping[str, str],
        stopping: asyncio.Event,
        tell: Tell,
    ) -> None:
        self._taker = taker
        self._work = work
        self._name = name
        self._environment = environment
        self._stopping = stopping
        self._tell = tell

    async def run(self, streams: Sequence[tuple[Stream, Counts]]) -> None:
        """Consume until `stopping` is set; raises what ended a stream for good, after all ended."""
        tasks = [asyncio.create_task(self._keep(*each)) for each in streams]
        told = asyncio.create_task(self._stopping.wait())
        try:
            await asyncio.wait([told, *tasks], return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._stopping.set()
            await told
            found = await asyncio.gather(*tasks, return_exceptions=True)
        for each in found:
            if isinstance(each, BaseException):
                raise each

    async def _keep(self, stream: Stream, counts: Counts) -> None:
        standing: Standing | None = None
        if stream.broker != "kafka" and stream.ordered:
            lease = f"stream {stream.name} {stream.group}"
            standing = Standing(self._work, lease, self._name, stream.session_seconds)
        pause, stands_by = _SHORTEST, False
        while not self._stopping.is_set():
            if standing is not None and not await standing.renew():
                if not stands_by:
                    self._tell(f"{stream.name}: stands by while another consumer reads")
                stands_by = True
                await self._rest(standing.pause)
                continue
            stands_by = False
            run = _Run(self._taker(stream), stream, counts, standing)
            try:
                await self._consume(run)
                pause = _SHORTEST
            except Away as away:
                self._tell(f"{stream.name}: {away}; again in {pause:g} s")
                await self._rest(pause)
                pause = min(2 * pause, _LONGEST)
            except Stopped:
                continue
        if standing is not None:
            await standing.resign()

    async def _consume(self, run: "_Run") -> None:
        """Open a source and stay with it until it, the lease or the process ends."""
        stream = run.stream
        module, name = SOURCES[stream.broker]
        make: Callable[[Where, logging.Logger], Source] = getattr(import_module(module), name)
        where = Where(stream, self._environment, self._name, run.deliver)
        source = make(where, logging.getLogger("modelwitness.consume"))
        keeping = asyncio.create_task(run.keep_standing())
        try:
            await source.open()
            self._tell(f"{stream.name}: reads {', '.join(stream.topics)} of {stream.broker}")
            try:
                while not self._stopping.is_set() and run.may_go_on and source.working():
                    await self._rest(_BEAT)
            finally:
                await source.close()
                self._tell(f"{stream.name}: ends reading")
        finally:
            keeping.cancel()
            with suppress(asyncio.CancelledError):
                await keeping
        run.require_well()

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(self._stopping.wait(), seconds)


class _Run:
    """One source's time: what it delivers, and whether it may go on."""

    def __init__(
        self, taker: Taker, stream: Stream, counts: Counts, standing: Standing | None
    ) -> None:
        self.stream = stream
        self._taker = taker
        self._counts = counts
        self._standing = standing
        self._failure: BaseException | None = None
        self._last: asyncio.Event | None = None

    @property
    def may_go_on(self) -> bool:
        """Whether nothing has failed and the lease, where there is one, is held."""
        return self._failure is None and (self._standing is None or self._standing.held)

    async def deliver(self, messages: Sequence[Carried]) -> None:
        """Log a batch after those before it, which may still be at it while this one is read.

        Raises where it is not durable, and ever after: order would be lost.
        """
        before, self._last = self._last, asyncio.Event()
        done = self._last
        try:
            batch = await self._taker.read(self.stream, messages)
            if before is not None:
                await before.wait()
            if not self.may_go_on:
                raise Stopped
            taken = await self._taker.log(batch)
        except BaseException as error:
            self._failure = self._failure or error
            raise
        finally:
            done.set()
        self._counts.add(len(messages), taken)

    async def keep_standing(self) -> None:
        """Renew the lease for as long as it is ours."""
        while self._standing is not None:
            await asyncio.sleep(self._standing.pause)
            if not await self._standing.renew():
                return

    def require_well(self) -> None:
        """Raise what made the run end, if anything did."""
        if self._failure is not None:
            raise self._failure
