"""`modelwitness consume`: the command.

Decides options and what is printed; what happens is decided in `collector.consumption`.
"""

import asyncio
import logging
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audit.errors import AuditError, Rejected
from audit.options import DATA, LOCAL, Data, Database, Open, Quiet, store_told
from audit.settings import AuditSettings

if TYPE_CHECKING:
    from collector.consumption import Counted

Apart = Callable[[Path, str, threading.Event], Callable[..., Any]]
"""`ledger_apart` of the composition root."""
Tell = Callable[[str], None]
_TOLD_SECONDS = 60
_SWITCH_SECONDS = 0.001
_OURS = "modelwitness"
"""Loggers whose text is told: what others say may quote a message or name a path."""


def add_to(app: typer.Typer, opened: Open, apart: Apart) -> None:
    """Add the command to `app`."""

    @app.command()
    def consume(
        files: Annotated[
            list[Path] | None, typer.Argument(help="Files of kind: stream or files.")
        ] = None,
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
        """Log what brokers carry and what lies in folders and object stores. Until stopped."""
        from audit.declared import read
        from collector.consumption import Counted, declared_in
        from collector.consumption import consume as run

        tell: Tell = _silent if quiet else _told
        if bool(files) == declared:
            raise Rejected("what is to be consumed?", remedy="give files, or --declared")
        given = None if declared else declared_in([read(each) for each in files or []])
        _log_to(tell)
        sys.setswitchinterval(_SWITCH_SECONDS)
        lost = threading.Event()
        counted = Counted()
        with opened(data, database, apart=apart(data, database, lost)) as parts:
            tell(store_told(AuditSettings.of(data, database)))
            with _scraped(metrics_port, counted):
                asyncio.run(run(parts, given, counted, tell))
        for each in counted.each():
            tell(each.told())
        if lost.is_set():
            raise AuditError("the process that holds the ledger ended, and consume with it")
        tell("stopped")


@contextmanager
def _scraped(port: int, counted: "Counted") -> Iterator[None]:
    """Show counts to Prometheus during the block, where a port is given."""
    if not port:
        yield
        return
    from prometheus_client import CollectorRegistry, start_http_server

    from collector.files.counts import FileMetrics
    from collector.streams.counts import StreamMetrics

    registry = CollectorRegistry()
    registry.register(StreamMetrics(counted.streams))
    registry.register(FileMetrics(counted.files))
    server, thread = start_http_server(port, LOCAL, registry)
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


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
        if error is not None:
            what = f"{error.__name__} in {record.module}"
        elif record.name.partition(".")[0] == _OURS:
            what = record.getMessage()[:200]
        else:
            what = f"{record.levelname.lower()} in {record.module}, line {record.lineno}"
        self._tell(f"{record.name}: {what}")
