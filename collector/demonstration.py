"""The command `demo`: a store, its processes and the story that is told over them.

Decides what the story is given: credentials that live a day and are used again by the next run,
the processes that it needs, and a sign-in code that is made once there is something to see. The
story itself, in `collector.demo`, is a stranger that speaks HTTP.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from shlex import quote
from subprocess import Popen
from typing import Annotated, Final

import msgspec
import typer
from rich.console import Console

from audit.children import refuse_ended, wait
from audit.clock import system_clock
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
    Open,
    Parts,
    Port,
)
from audit.ports import refuse_taken
from audit.roles import Unauthenticated

Running = Callable[..., AbstractContextManager[list["Popen[bytes]"]]]
_DAY: Final = 86_400
_LEAST_US: Final = 4 * 3600 * 1_000_000
"""How long credentials must still live to be used again: longer than any run takes."""
_PERSON, _RETRAINER = "demo", "retrainer"


def add_to(
    app: typer.Typer,
    opened: Open,
    running: Running,
    apply: Callable[[Parts, Path], None],
    signin: Callable[[Parts, str, int], str],
) -> None:
    """Add the command; `running` starts the processes, `apply` puts a policy file in force,
    `signin` gives an address with a new one-time code."""

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

        refuse_taken(host, [("--port", port), ("--dashboard-port", dashboard_port)])
        console = Console()
        store = f"--data {quote(str(data))}" + (" --database …" if database else "")
        ports = _changed("--port", port, API_PORT)
        pages = _changed("--dashboard-port", dashboard_port, PAGES_PORT)

        def signed_in() -> str:
            with opened(data, database) as parts:
                return signin(parts, host, dashboard_port)

        def applied(path: Path) -> None:
            with opened(data, database) as parts:
                apply(parts, path)

        with ExitStack() as stack:
            retrainer = stack.enter_context(Retrainer())
            with opened(data, database) as parts:
                tokens = credentials(parts, data / "demo" / "tokens.json", INTEGRATIONS)
                vkey = parts.store.ledger.vkey
            environment = {**retrainer.environment, "MODELWITNESS_DRIFT_TICK": "0.5"}
            processes = stack.enter_context(
                running(data, database, host, port, dashboard_port, environment)
            )
            settings = DemoSettings(
                api=f"http://{host}:{port}",
                signin=None if leave else signed_in,
                again=f"up {store}{ports}{pages}" if leave else f"signin NAME {store}{pages}",
                store=store,
                tokens={name: tokens[name] for name in INTEGRATIONS},
                person_token=tokens[_PERSON],
                retrainer_token=tokens[_RETRAINER],
                data=data,
                vkey=vkey,
                apply=applied,
                stage=retrainer,
                sample=None if every else sample or DEFAULT_SAMPLE,
                watch=lambda: refuse_ended(processes),
            )
            status = run(settings, console)
            if not leave and status == 0:
                console.print("The pages stay up until you stop them with Ctrl-C.")
                wait(processes)
            raise typer.Exit(status)


def _changed(option: str, port: int, default: int) -> str:
    return "" if port == default else f" {option} {port}"


class Kept(msgspec.Struct, frozen=True):
    """Credentials of a demonstration, good for one ledger until `until_us` (µs)."""

    vkey: str
    until_us: int
    tokens: dict[str, str]


def credentials(parts: Parts, path: Path, systems: Sequence[str]) -> Mapping[str, str]:
    """A token for each of the systems, the person and the retrainer of the demonstration.

    Those of an earlier run, while they are good for hours; else new ones, which live a day. They
    are kept in `path`, for this account alone.
    """
    kept = _kept(path)
    if kept is not None and _good(parts, kept, systems):
        return kept.tokens
    issue = parts.tokens.issue
    tokens = {
        name: issue(name, ["integration"], integration=name, seconds=_DAY) for name in systems
    }
    tokens[_PERSON] = issue(_PERSON, PERSON, seconds=_DAY)
    tokens[_RETRAINER] = issue(_RETRAINER, ["retrainer"], seconds=_DAY)
    kept = Kept(parts.store.ledger.vkey, system_clock() + _DAY * 1_000_000, tokens)
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    path.touch(0o600)
    path.write_bytes(msgspec.json.encode(kept))
    return tokens


_decode_kept = msgspec.json.Decoder(Kept).decode


def _kept(path: Path) -> Kept | None:
    try:
        return _decode_kept(path.read_bytes())
    except (OSError, msgspec.MsgspecError):
        return None


def _good(parts: Parts, kept: Kept, systems: Sequence[str]) -> bool:
    """Whether these are of this ledger, all there, not revoked, and good for hours to come."""
    if kept.vkey != parts.store.ledger.vkey or system_clock() + _LEAST_US > kept.until_us:
        return False
    try:
        for text in kept.tokens.values():
            parts.tokens.authenticate(text)
    except Unauthenticated:
        return False
    return kept.tokens.keys() == {*systems, _PERSON, _RETRAINER}
