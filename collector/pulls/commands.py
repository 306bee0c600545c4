"""`modelwitness pull`: ask senders that do not send, until stopped.

Decides options, what is printed and the wiring; what a look does is decided beside.
"""

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from audit.clock import system_clock
from audit.errors import Busy, NotFound, Rejected
from audit.options import DATA, Data, Database, Open, Parts

if TYPE_CHECKING:
    from collector.integrations.declaration import Declared
    from collector.pulls.netsuite import Pull

_CALL_SECONDS = 30.0


def add_to(app: typer.Typer, opened: Open) -> None:
    """Add the command to `app`."""

    @app.command()
    def pull(
        integration: Annotated[str, typer.Argument(help="A declared integration to be asked.")],
        every: Annotated[int, typer.Option(min=5, help="Seconds between looks.")] = 300,
        once: Annotated[bool, typer.Option("--once", help="Look once and end.")] = False,
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Ask a sender that does not send for what is new: NetSuite's system notes."""
        with opened(data, database) as parts:
            asyncio.run(_pull(parts, integration, None if once else every))


async def _pull(parts: Parts, name: str, every: int | None) -> None:
    from audit.outgoing import Outgoing
    from collector.integrations.running import ways_in
    from collector.integrations.secrets import Secrets
    from collector.pulls.netsuite import ADAPTER, Pull

    ways = ways_in(parts)
    outgoing = Outgoing.of(parts.store.settings.outgoing_allowed)
    reading = Pull(
        ways.intake.take,
        ways.adapters[ADAPTER],
        parts.store.work,
        Secrets(os.environ, system_clock),
        lambda: outgoing.client(_CALL_SECONDS, written_by_operator=True),
        system_clock,
        parts.store.random(8).hex(),
    )
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    while not stopping.is_set():
        declared = ways.registered.get(name)
        if declared is None or declared.adapter != ADAPTER:
            raise NotFound(f"no integration with adapter {ADAPTER} is declared under this name")
        if every is None:
            typer.echo(f"{name}: {await reading.look(declared)} rows")
            return
        wait = await _look(reading, declared, every)
        try:
            await asyncio.wait_for(stopping.wait(), wait)
        except TimeoutError:
            continue


async def _look(reading: "Pull", declared: "Declared", every: int) -> float:
    """Look once; what fails is said and tried again. Returns the seconds to wait."""
    try:
        rows = await reading.look(declared)
    except Busy as error:
        typer.echo(f"{declared.name}: {error}; again in {error.retry_after} s", err=True)
        return float(error.retry_after)
    except Rejected as error:
        typer.echo(f"{declared.name}: {error} ({error.field}). {error.remedy}", err=True)
        return float(every)
    typer.echo(f"{declared.name}: {rows} rows")
    return float(every)
