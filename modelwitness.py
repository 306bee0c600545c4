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
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer
from rich.console import Console

import audit.commands
import collector.commands
import drift.commands
from audit.access import Access
from audit.catalog import Catalog
from audit.children import await_ready, end_with_parent, together, wait
from audit.clock import system_clock
from audit.documents import Projection
from audit.errors import AuditError, Busy, NotFound, Rejected
from audit.options import DATA, Data, Database, Host, Parts, Port
from audit.settings import AuditSettings
from audit.store import open_store
from audit.tokens import Tokens
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
DashboardPort = Annotated[
    int, typer.Option("--dashboard-port", min=1, max=65_535, help="Port of the pages.")
]
API_PORT, PAGES_PORT = 8600, 8601
SWITCH_SECONDS = 0.001
"""How long a thread that gave Python's lock up waits to get it back from a busy one: the ledger's
do so at each statement, and at the default of 5 ms ingest was measured at half its speed."""
LOCAL = "127.0.0.1"


def projections() -> tuple[Projection, ...]:
    """Return every projection: whoever appends or checks must know them all."""
    return Catalog(), Governance()


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
    from collector.limits import Limits
    from drift.api import router as governing

    store = parts.store
    return application_of(
        collecting(store.ledger, parts.tokens, parts.access, store.work, system_clock, Limits()),
        reading(parts.store, parts.tokens, parts.access, system_clock),
        governing(parts.store, parts.tokens, parts.access, system_clock),
    )


@app.command()
def serve(
    data: Data = DATA, database: Database = "", host: Host = LOCAL, port: Port = API_PORT
) -> None:
    """Take predictions and answer questions over HTTP."""
    import uvicorn

    from audit.api.protocol import BoundedProtocol

    sys.setswitchinterval(SWITCH_SECONDS)
    with opened(data, database, apart=ledger_apart(data, database)) as parts:
        uvicorn.run(
            application(parts),
            host=host,
            port=port,
            loop="uvloop",
            http=BoundedProtocol,
            limit_concurrency=1_024,
            access_log=False,
            log_level="warning",
            server_header=False,
            timeout_graceful_shutdown=5,
        )


def ledger_apart(data: Path, database: str) -> "Callable[[Checkpoints], Ledger]":
    """Return what puts the ledger into a process of its own, which ends with this one."""
    from audit.apart import Apart

    def start(descriptor: int) -> subprocess.Popen[bytes]:
        command = ["hold", str(descriptor), "--data", str(data)]
        return subprocess.Popen(
            [sys.executable, "-m", "modelwitness", *command, "--database", database],
            pass_fds=[descriptor],
            stdin=subprocess.DEVNULL,
        )

    # Without its ledger a server can do nothing: whoever supervises it starts both anew.
    return lambda checkpoints: Apart(
        checkpoints, start, lambda: os.kill(os.getpid(), signal.SIGTERM)
    )


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
) -> None:
    """Judge windows, deliver approved cases, anchor checkpoints: until stopped."""
    from audit import anchor
    from drift.schedule import run_schedule
    from drift.settings import DriftSettings

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with opened(data, database) as parts, ExitStack() as stack:
        if anchor_to is not None:
            keeper = threading.Thread(
                target=anchor.keep,
                args=(parts.store, anchor_to, anchor_every, typer.echo, stop),
                name="anchor",
            )
            keeper.start()
            stack.callback(keeper.join)
            stack.callback(stop.set)
        run_schedule(parts.store, parts.access, DriftSettings.of(), stop)


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
    console = Console()
    with (
        suppress(KeyboardInterrupt),  # to be stopped is how it ends, at whatever moment
        running(data, database, host, port, dashboard_port, {}) as processes,
    ):
        with opened(data, database) as parts:
            address = signin_address(parts, host, dashboard_port)
        console.print(f"API        http://{host}:{port}")
        console.print(f"Dashboard  {address}", soft_wrap=True)
        console.print("Stop with Ctrl-C.")
        raise typer.Exit(wait(processes))


@app.command()
def demo(
    data: Data = DATA,
    database: Database = "",
    host: Host = LOCAL,
    port: Port = API_PORT,
    dashboard_port: DashboardPort = PAGES_PORT,
    every: Annotated[bool, typer.Option("--all", help="Log all 336,776 flights.")] = False,
    leave: Annotated[bool, typer.Option("--exit", help="Stop when the story is told.")] = False,
    sample: Annotated[int | None, typer.Option(help="How many flights to log.")] = None,
) -> None:
    """Run the main job on real input: the flights that left New York in 2013."""
    from collector.demo.retrainer import Retrainer
    from collector.demo.settings import DEFAULT_SAMPLE, DemoSettings
    from collector.demo.story import run
    from collector.demo.traffic import INTEGRATIONS
    from drift.apply import apply_file

    console = Console()
    with ExitStack() as stack:
        retrainer = stack.enter_context(Retrainer())
        with opened(data, database) as parts:
            integrations = {
                name: parts.tokens.issue(name, ["integration"], integration=name, seconds=86_400)
                for name in INTEGRATIONS
            }
            person = parts.tokens.issue("demo", PERSON, seconds=86_400)
            service = parts.tokens.issue("retrainer", ["retrainer"], seconds=86_400)
            vkey = parts.store.ledger.vkey
            address = signin_address(parts, host, dashboard_port)

        def apply(path: Path) -> None:
            with opened(data, database) as parts:
                apply_file(parts.store, path, "demo")

        environment = {**retrainer.environment, "MODELWITNESS_DRIFT_TICK": "0.5"}
        processes = stack.enter_context(
            running(data, database, host, port, dashboard_port, environment)
        )
        settings = DemoSettings(
            api=f"http://{host}:{port}",
            dashboard=address,
            tokens=integrations,
            person_token=person,
            retrainer_token=service,
            data=data,
            vkey=vkey,
            apply=apply,
            stage=retrainer,
            sample=None if every else sample or DEFAULT_SAMPLE,
        )
        status = run(settings, console)
        if not leave and status == 0:
            console.print("The pages stay up until you stop them with Ctrl-C.")
            status = wait(processes)
        raise typer.Exit(status)


PERSON = ["ops", "data_scientist", "compliance"]
"""Roles of whoever starts the embedded system on their own machine."""


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
    commands = (
        ["serve", *store, "--host", host, "--port", str(port)],
        ["schedule", *store],
        [
            "dashboard",
            "--api",
            f"http://{host}:{port}",
            "--host",
            host,
            "--port",
            str(dashboard_port),
        ],
    )
    with together(commands, {**environment, "DO_NOT_TRACK": "1"}) as processes:
        await_ready(f"http://{host}:{port}/readyz", processes)
        await_ready(f"http://{host}:{dashboard_port}/_stcore/health", processes)
        yield processes


audit.commands.add_to(app, opened, projections)
collector.commands.add_to(app, opened)
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
