"""`modelwitness consume`: the command, and what a consuming process is made of.

Decides options, what is printed and the wiring; what happens is decided in `consuming`.
"""

import asyncio
import logging
import os
import secrets
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.clock import system_clock
from audit.errors import AuditError, BadDeclaration, Busy, Rejected
from audit.options import DATA, LOCAL, Data, Database, Open, Parts, Quiet, store_told
from audit.settings import AuditSettings

if TYPE_CHECKING:
    from collector.streams.counts import Counts
    from collector.streams.declaration import Stream
    from collector.streams.taking import Taker

Apart = Callable[[Path, str, threading.Event], Callable[..., Any]]
"""`ledger_apart` of the composition root."""
Tell = Callable[[str], None]
_TOLD_SECONDS = 60
_LOOK_SECONDS = 2.0
_SWITCH_SECONDS = 0.001


def add_to(app: typer.Typer, opened: Open, apart: Apart) -> None:
    """Add the command to `app`."""

    @app.command()
    def consume(
        files: Annotated[list[Path] | None, typer.Argument(help="Files of kind: stream.")] = None,
        declared: Annotated[
            bool, typer.Option("--declared", help="Those that were applied, as they change.")
        ] = False,
        metrics_port: Annotated[
            int, typer.Option(min=0, max=65_535, help="Port for Prometheus; 0 for none.")
        ] = 0,
        data: Data = DATA,
        database: Database = "",
        quiet: Quiet = False,
    ) -> None:
        """Log what brokers carry: Kafka, RabbitMQ, NATS JetStream, Redis Streams. Until stopped."""
        tell: Tell = _silent if quiet else _told
        if bool(files) == declared:
            raise Rejected("what is to be consumed?", remedy="give files, or --declared")
        streams = _streams(files or [])
        _log_to(tell)
        sys.setswitchinterval(_SWITCH_SECONDS)
        lost = threading.Event()
        counts: dict[str, Counts] = {}
        with opened(data, database, apart=apart(data, database, lost)) as parts:
            tell(store_told(AuditSettings.of(data, database)))
            with _scraped(metrics_port, counts):
                asyncio.run(_run(parts, None if declared else streams, counts, tell))
        for each in counts.values():
            tell(each.told())
        if lost.is_set():
            raise AuditError("the process that holds the ledger ended, and consume with it")
        tell("stopped")


def _streams(files: Sequence[Path]) -> "list[Stream]":
    from audit.declared import read
    from collector.streams.applied import parsed

    found: dict[str, Stream] = {}
    for file in files:
        stream = parsed(read(file))
        if stream.name in found:
            raise BadDeclaration("name", f"{stream.name} is given twice", "name each differently")
        found[stream.name] = stream
    return [each for each in found.values() if not each.paused]


@contextmanager
def _scraped(port: int, counts: "dict[str, Counts]") -> Iterator[None]:
    """Show counts to Prometheus during the block, where a port is given."""
    if not port:
        yield
        return
    from prometheus_client import CollectorRegistry, start_http_server

    from collector.streams.counts import StreamMetrics

    registry = CollectorRegistry()
    registry.register(StreamMetrics(counts))
    server, thread = start_http_server(port, LOCAL, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


async def _run(
    parts: Parts, given: "list[Stream] | None", counts: "dict[str, Counts]", tell: Tell
) -> None:
    """Consume what is given, else what is in force: a change of that closes all and begins anew."""
    from collector.streams.applied import in_force
    from collector.streams.consuming import Consumer
    from collector.streams.counts import Counts

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    while not stopping.is_set():
        streams, strange = given or [], list[str]()
        if given is None:
            streams, strange = await asyncio.to_thread(in_force, parts.store.documents)
        for each in strange:
            tell(f"{each}: declared in a way that this version does not know; left out")
        told = [(each, counts.setdefault(each.name, Counts(each.name))) for each in streams]
        ending = asyncio.Event()
        consumer = Consumer(
            _taker(parts, ending, tell), parts.store.work, name, os.environ, ending, tell
        )
        watching = [asyncio.create_task(_passed_on(stopping, ending))]
        watching.append(asyncio.create_task(_tell_counts(counts, tell)))
        if given is None:
            watching.append(asyncio.create_task(_changed(parts, streams, ending)))
        try:
            await consumer.run(told)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)


async def _passed_on(stopping: asyncio.Event, ending: asyncio.Event) -> None:
    await stopping.wait()
    ending.set()


async def _changed(parts: Parts, streams: "list[Stream]", ending: asyncio.Event) -> None:
    """End the round when other streams are in force."""
    from collector.streams.applied import in_force

    while True:
        await asyncio.sleep(_LOOK_SECONDS)
        with suppress(Busy):
            found, _ = await asyncio.to_thread(in_force, parts.store.documents)
            if found != streams:
                ending.set()


async def _tell_counts(counts: "dict[str, Counts]", tell: Tell) -> None:
    """Say once a minute what was done since."""
    before: dict[str, int] = {}
    while True:
        await asyncio.sleep(_TOLD_SECONDS)
        for each in list(counts.values()):
            if each.messages != before.get(each.stream, 0):
                before[each.stream] = each.messages
                tell(each.told())


def _taker(parts: Parts, stopping: asyncio.Event, tell: Tell) -> "Callable[[Stream], Taker]":
    """Return what tells who takes the batches of a stream."""
    from collector.delivery import CLOUDEVENTS, NATIVE
    from collector.integrations.running import ways_in
    from collector.limits import Limits
    from collector.streams.by_adapter import ByAdapter
    from collector.streams.native import Native
    from collector.streams.taking import Patience

    ways, limits, patience = ways_in(parts), Limits(), Patience(stopping, tell)
    native = Native(ways.varied, ways.quarantine, limits, patience)
    by_adapter = ByAdapter(
        ways.intake, ways.registered.get, ways.adapters, limits, system_clock, patience
    )
    own = {*NATIVE, CLOUDEVENTS}
    return lambda stream: native if stream.format in own else by_adapter


def _told(text: str) -> None:
    typer.echo(f"modelwitness consume: {text}")
    sys.stdout.flush()


def _silent(_: str) -> None:
    return


def _log_to(tell: Tell) -> None:
    logging.basicConfig(level=logging.WARNING, handlers=[_Brief(tell)], force=True)


class _Brief(logging.Handler):
    """What client libraries have to say: on one line, without traces, each once a minute."""

    def __init__(self, tell: Tell) -> None:
        super().__init__(logging.WARNING)
        self._tell = tell
        self._last: dict[tuple[str, int], float] = {}

    def emit(self, record: logging.LogRecord) -> None:
        """Tell the kind of error and where, not its text: that may quote a message."""
        place, now = (record.name, record.lineno), time.monotonic()
        if now - self._last.get(place, -_TOLD_SECONDS) < _TOLD_SECONDS:
            return
        self._last[place] = now
        error = record.exc_info[0] if record.exc_info else None
        what = f"{error.__name__} in {record.module}" if error else record.getMessage()[:200]
        self._tell(f"{record.name}: {what}")
