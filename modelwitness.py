"""modelwitness: command line and composition root.

Decides which objects a process consists of and how they are wired; every decision about events,
drift or pages is made in the packages. Commands import what they need when they run, so that
`serve` never loads Evidently and `verify` needs no database.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

import audit.commands
import audit.declaring
import collector.commands
import collector.demonstration
import collector.mapping.commands
import collector.pulls.commands
import collector.streams.commands
import drift.commands
from audit.access import Access
from audit.catalog import Catalog
from audit.children import await_ready, end_with_parent, together, wait
from audit.clock import system_clock
from audit.documents import Projection
from audit.errors import AuditError, Busy, NotFound, Rejected
from audit.options import (
    API_PORT,
    DATA,
    LOCAL,
    PAGES_PORT,
    PERSON,
    DashboardPort,
    Data,
    Database,
    Host,
    Parts,
    Port,
    Quiet,
    store_told,
)
from audit.ports import refuse_taken
from audit.settings import AuditSettings
from audit.store import open_store
from audit.tokens import Tokens
from collector.checks.troubles import Troubles
from collector.completeness.projection import Completeness
from collector.sources import Sources
from drift.errors import DriftError
from drift.projection import Governance

if TYPE_CHECKING:
    from collections.abc import Callable

    from litestar import Litestar

    from audit.ledger import Ledger
    from audit.signing import Checkpoints

app = typer.Typer(
    help="Witness of model predictions: an encrypted, provable ledger, drift, retraining.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
SWITCH_SECONDS = 0.001
"""How long a thread that gave Python's lock up waits to get it back from a busy one: the ledger's
do so at each statement, and at the default of 5 ms ingest was measured at half its speed."""


def projections() -> tuple[Projection, ...]:
    """Return every projection: whoever appends or checks must know them all."""
    return Catalog(), Governance(), Sources(), Completeness(), Troubles()


@contextmanager
def opened(data: Path, database: str = "", **how: Any) -> Iterator[Parts]:
    """Open the store with every projection, so that whoever appends keeps all of them current."""
    _make_private(data)
    store = open_store(
        AuditSettings.of(data, database),
        projections(),
        clock=system_clock,
        random=os.urandom,
        **how,
    )
    try:
        tokens = Tokens(store.ledger, store.documents, clock=system_clock, random=os.urandom)
        access = Access(store.ledger, store.documents, clock=system_clock, random=os.urandom)
        yield Parts(store, tokens, access)
    finally:
        store.close()


def _make_private(data: Path) -> None:
    """Make the directory for this account alone; one that is there keeps its mode."""
    try:
        data.mkdir(0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise Rejected(
            f"{data} cannot be the data directory: {error.strerror}",
            remedy="Give --data a directory that this account may write, or a new one.",
        ) from error


def application(parts: Parts) -> "Litestar":
    """Return the HTTP application over an open store."""
    from audit.api import router as reading
    from audit.api.application import application as application_of
    from collector.api import router as collecting
    from collector.completeness.api import router as completing
    from collector.integrations.running import around_of
    from collector.limits import Limits
    from drift.api import router as governing

    store = parts.store
    return application_of(
        collecting(
            store.ledger,
            parts.tokens,
            parts.access,
            store.work,
            system_clock,
            Limits(),
            around_of(parts),
        ),
        completing(parts.store, parts.tokens, parts.access, system_clock),
        reading(parts.store, parts.tokens, parts.access, system_clock),
        governing(parts.store, parts.tokens, parts.access, system_clock),
    )


@app.command()
def serve(
    data: Data = DATA,
    database: Database = "",
    host: Host = LOCAL,
    port: Port = API_PORT,
    quiet: Quiet = False,
) -> None:
    """Take predictions and answer questions over HTTP."""
    from audit.api.serving import listen

    refuse_taken(host, [("--port", port)])
    sys.setswitchinterval(SWITCH_SECONDS)
    lost = threading.Event()
    tell = _teller("serve", quiet)
    apart = ledger_apart(data, database, lost)
    with opened(data, database, apart=apart, bounded_reads=True) as parts:
        listen(
            application(parts),
            host,
            port,
            lambda: tell(f"http://{host}:{port}, {store_told(AuditSettings.of(data, database))}"),
        )
    if lost.is_set():
        raise AuditError("the process that holds the ledger ended, and serve with it; start anew")
    tell("stopped")


def _teller(name: str, quiet: bool) -> "Callable[[str], None]":
    """Return what says how a process is, on a line that names it; or says nothing."""
    return (lambda _: None) if quiet else (lambda text: typer.echo(f"modelwitness {name}: {text}"))


def ledger_apart(
    data: Path, database: str, lost: threading.Event
) -> "Callable[[Checkpoints], Ledger]":
    """Return what puts the ledger into a process of its own, which ends with this one.

    Where that process ends first, `lost` is set and this one is told to stop.
    """
    from audit.apart import Apart

    def start(descriptor: int) -> subprocess.Popen[bytes]:
        command = ["hold", str(descriptor), "--data", str(data)]
        return subprocess.Popen(
            [sys.executable, "-m", "modelwitness", *command, "--database", database],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
        )

    def stop() -> None:
        # Without its ledger a server can do nothing: whoever supervises it starts both anew.
        lost.set()
        os.kill(os.getpid(), signal.SIGTERM)

    return lambda checkpoints: Apart(checkpoints, start, stop)


@app.command(hidden=True)
def hold(descriptor: int, data: Data = DATA, database: Database = "") -> None:
    """Hold the ledger for the server at the other end of a socket."""
    from audit import apart

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)  # the server's end is ours: nothing is cut short
    sys.setswitchinterval(SWITCH_SECONDS)
    with opened(data, database) as parts:
        apart.hold(parts.store.ledger, socket.socket(fileno=descriptor))


@app.command()
def schedule(
    data: Data = DATA,
    database: Database = "",
    anchor_to: Annotated[
        Path | None, typer.Option(help="Directory elsewhere that keeps signed checkpoints.")
    ] = None,
    anchor_every: Annotated[float, typer.Option(help="Seconds between them.", min=1)] = 300,
    quiet: Quiet = False,
) -> None:
    """Judge windows, deliver approved cases, expire what waits too long, anchor checkpoints."""
    from audit import anchor
    from audit.aside import aside
    from collector.checks.rounds import Rounds
    from collector.disposal import expire
    from collector.integrations.running import expire_halves
    from collector.limits import Limits
    from drift.schedule import run_schedule
    from drift.settings import DriftSettings

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    limits = Limits()
    with opened(data, database) as parts, ExitStack() as stack:
        if anchor_to is not None:
            keep = partial(anchor.keep, parts.store, anchor_to, anchor_every, typer.echo, stop)
            stack.enter_context(aside("anchor", stop, keep))
        stack.enter_context(aside("halves", stop, partial(expire_halves, parts, limits, stop)))
        settings = DriftSettings.of()
        tell = _teller("schedule", quiet)
        tell(f"every {settings.tick:g} s, {store_told(AuditSettings.of(data, database))}")
        expiring = partial(
            expire,
            parts.store.work,
            parts.store.ledger,
            limits,
            holder=f"expiry {os.getpid()}",
            clock=system_clock,
        )
        watching = Rounds(parts.store, system_clock, parts.store.random(8).hex())
        run_schedule(
            parts.store, parts.access, settings, stop, chores=[expiring], rounds=[watching]
        )
    tell("stopped")


@app.command()
def dashboard(
    api: Annotated[str, typer.Option(help="Address of `modelwitness serve`.")] = (
        f"http://{LOCAL}:{API_PORT}"
    ),
    host: Host = LOCAL,
    port: Port = PAGES_PORT,
) -> None:
    """Serve the pages; they speak to the HTTP API as the person who is signed in."""
    from dashboard.__main__ import main as pages

    refuse_taken(host, [("--port", port)])
    pages(["--api", api, "--host", host, "--port", str(port)])


@app.command()
def up(
    data: Data = DATA,
    database: Database = "",
    host: Host = LOCAL,
    port: Port = API_PORT,
    dashboard_port: DashboardPort = PAGES_PORT,
) -> None:
    """Run serve, schedule and dashboard on this machine, and stop them together."""
    refuse_taken(host, [("--port", port), ("--dashboard-port", dashboard_port)])
    console = Console(highlight=False, soft_wrap=True)
    with (
        suppress(KeyboardInterrupt),  # to be stopped is how it ends, at whatever moment
        running(data, database, host, port, dashboard_port, {}) as processes,
    ):
        with opened(data, database) as parts:
            address = signin_address(parts, host, dashboard_port)
        console.print(f"API        http://{host}:{port}")
        console.print(f"Dashboard  {address}")
        console.print(
            "           (the code works once, within ten minutes: `signin` gives another)"
        )
        console.print(f"Store      {store_told(AuditSettings.of(data, database))}")
        console.print("Stop with Ctrl-C.")
        wait(processes)
    typer.echo("Stopped.")


@app.command()
def signin(
    actor: Annotated[str, typer.Argument(help="Who signs in.")],
    role: Annotated[list[str] | None, typer.Option(help="Role; repeatable.")] = None,
    data: Data = DATA,
    database: Database = "",
    host: Host = LOCAL,
    dashboard_port: DashboardPort = PAGES_PORT,
) -> None:
    """Print an address with a one-time code that signs a person in to the pages."""
    with opened(data, database) as parts:
        typer.echo(signin_address(parts, host, dashboard_port, actor, role or PERSON))


def signin_address(
    parts: Parts, host: str, port: int, actor: str = "operator", roles: list[str] = PERSON
) -> str:
    """Return the address of the pages with a code that is good once."""
    from audit.signin import offer

    code = offer(parts.store.work, actor, roles, clock=system_clock, random=os.urandom)
    return f"http://{host}:{port}/signin?code={code}"


@contextmanager
def running(
    data: Path,
    database: str,
    host: str,
    port: int,
    dashboard_port: int,
    environment: Mapping[str, str],
) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Run serve, schedule and dashboard as child processes until the block ends."""
    store = ["--data", str(data), *(["--database", database] if database else [])]
    pages = ["--host", host, "--port", str(dashboard_port)]
    commands = (
        ["serve", *store, "--host", host, "--port", str(port), "--quiet"],
        ["schedule", *store, "--quiet"],
        ["dashboard", "--api", f"http://{host}:{port}", *pages],
    )
    with together(commands, {**environment, "DO_NOT_TRACK": "1"}) as processes:
        await_ready(f"http://{host}:{port}/readyz", processes)
        await_ready(f"http://{host}:{dashboard_port}/_stcore/health", processes)
        yield processes


def applied(parts: Parts, path: Path) -> None:
    """Put a policy file of the demonstration in force."""
    from drift.apply import apply_file

    apply_file(parts.store, path, "demo")


collector.demonstration.add_to(app, opened, running, applied, signin_address)
audit.commands.add_to(app, opened, projections)
audit.declaring.add_to(app, opened, {**drift.commands.PUTS, **collector.commands.PUTS})
collector.commands.add_to(app, opened)
collector.mapping.commands.add_to(app)
collector.pulls.commands.add_to(app, opened)
collector.streams.commands.add_to(app, opened, ledger_apart)
drift.commands.add_to(app, opened)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line; what the user can mend ends it with one line, not a trace."""
    end_with_parent()
    try:
        app(arguments)
    except (AuditError, DriftError) as error:
        text, remedy = str(error), _remedy(error)
        _end(text if not remedy or remedy in text else f"{text} ({remedy})")
    except OSError as error:
        if error.filename is None:
            raise
        _end(f"{error.filename}: {error.strerror} (Check the name and what this account may do.)")


def _remedy(error: Exception) -> str:
    match error:
        case Busy():
            return "Check --data and --database, and that this account may use what they name."
        case NotFound():
            return "`list` beside this command shows what there is."
        case _:
            return str(getattr(error, "remedy", ""))


def _end(text: str) -> NoReturn:
    typer.echo(f"modelwitness: {text}", err=True)
    raise SystemExit(2) from None


if __name__ == "__main__":
    main()
