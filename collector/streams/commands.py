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
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.clock import system_clock
from audit.errors import AuditError, BadDeclaration
from audit.options import DATA, Data, Database, Open, Parts, Quiet, store_told
from audit.settings import AuditSettings

if TYPE_CHECKING:
    from collector.streams.consuming import Take
    from collector.streams.counts import Counts
    from collector.streams.declaration import Stream

Apart = Callable[[Path, str, threading.Event], Callable[..., Any]]
"""`ledger_apart` of the composition root."""
Tell = Callable[[str], None]
_TOLD_SECONDS = 60
_SWITCH_SECONDS = 0.001


def add_to(app: typer.Typer, opened: Open, apart: Apart) -> None:
    """Add the command to `app`."""

    @app.command()
    def consume(
        files: Annotated[list[Path], typer.Argument(help="Files of kind: stream.")],
        metrics_port: Annotated[
            int, typer.Option(min=0, max=65_535, help="Port for Prometheus; 0 for none.")
        ] = 0,
        data: Data = DATA,
        database: Database = "",
        quiet: Quiet = False,
    ) -> None:
        """Log what brokers carry: Kafka, RabbitMQ, NATS JetStream, Redis Streams. Until stopped."""
        tell: Tell = _silent if quiet else _told
        _log_to(tell)
        streams = _streams(files)
        sys.setswitchinterval(_SWITCH_SECONDS)
        lost = threading.Event()
        with opened(data, database, apart=apart(data, database, lost)) as parts:
            tell(store_told(AuditSettings.of(data, database)))
            counts = _consume(parts, streams, metrics_port, tell)
        if lost.is_set():
            raise AuditError("the process that holds the ledger ended, and consume with it")
        for each in counts:
            tell(each.told())
        tell("stopped")


def _streams(files: Sequence[Path]) -> "list[Stream]":
    from collector.adapters.registry import ADAPTERS
    from collector.delivery import CLOUDEVENTS, NATIVE
    from collector.streams.declaration import BY_INTEGRATION, parse

    formats = [*NATIVE, CLOUDEVENTS, BY_INTEGRATION, *ADAPTERS]
    found: dict[str, Stream] = {}
    for file in files:
        try:
            text = file.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise BadDeclaration("", f"{file} cannot be read", "give a UTF-8 file") from error
        stream = parse(text, formats)
        if stream.name in found:
            raise BadDeclaration("name", f"{stream.name} is given twice", "name each differently")
        found[stream.name] = stream
    return list(found.values())


def _consume(parts: Parts, streams: "list[Stream]", port: int, tell: Tell) -> "list[Counts]":
    from prometheus_client import CollectorRegistry, start_http_server

    from collector.streams.counts import Counts, StreamMetrics

    counts = [Counts(each.name) for each in streams]
    server = None
    if port:
        registry = CollectorRegistry()
        registry.register(StreamMetrics(counts))
        server, _ = start_http_server(port, "127.0.0.1", registry)
    try:
        asyncio.run(_run(parts, list(zip(streams, counts, strict=True)), tell))
    finally:
        if server is not None:
            server.shutdown()
            server.server_close()
    return counts


async def _run(parts: Parts, streams: "list[tuple[Stream, Counts]]", tell: Tell) -> None:
    from collector.streams.consuming import Consumer

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    take = _taker(parts, stopping, tell)
    name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"
    consumer = Consumer(take, parts.store.work, name, os.environ, stopping, tell)
    async with _telling([counts for _, counts in streams], tell):
        await consumer.run(streams)


def _taker(parts: Parts, stopping: asyncio.Event, tell: Tell) -> "Take":
    """Return what takes a batch of any stream."""
    from collector.delivery import CLOUDEVENTS, NATIVE
    from collector.integrations.running import ways_in
    from collector.limits import Limits
    from collector.streams.by_adapter import ByAdapter
    from collector.streams.native import Native
    from collector.streams.taking import Patience

    ways, limits, patience = ways_in(parts), Limits(), Patience(stopping, tell)
    native = Native(parts.store.ledger, ways.quarantine, limits, patience)
    by_adapter = ByAdapter(
        ways.intake, ways.registered.get, ways.adapters, limits, system_clock, patience
    )
    own = {*NATIVE, CLOUDEVENTS}
    return lambda stream, messages: (native if stream.format in own else by_adapter).take(
        stream, messages
    )


@asynccontextmanager
async def _telling(counts: "list[Counts]", tell: Tell) -> AsyncIterator[None]:
    """Say once a minute what was done since, until the block ends."""

    async def on() -> None:
        before = [0] * len(counts)
        while True:
            await asyncio.sleep(_TOLD_SECONDS)
            for at, each in enumerate(counts):
                if each.messages != before[at]:
                    before[at] = each.messages
                    tell(each.told())

    task = asyncio.create_task(on())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


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
