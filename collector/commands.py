"""Commands of the collector: see, replay and give up what was refused; read registries."""

import asyncio
import getpass
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from audit.clock import system_clock
from audit.declaring import Put
from audit.options import DATA, Data, Database, Open, Parts
from audit.revision import Change
from collector import disposal
from collector.lineage import commands as lineage
from collector.quarantine import Quarantine


def add_to(app: typer.Typer, opened: Open) -> None:
    """Add the commands of the collector to `app`."""
    app.add_typer(_quarantine(opened), name="quarantine")
    app.add_typer(lineage.commands(opened), name="lineage")


def put_integration(parts: Parts, text: str, author: str) -> Change:
    """Put the declaration of an integration in force."""
    from collector.integrations.apply import apply_text

    store = parts.store
    return apply_text(store.ledger, store.documents, text, author, clock=system_clock)


def put_stream(parts: Parts, text: str, author: str) -> Change:
    """Put the declaration of a stream in force."""
    from collector.streams.applied import apply_text

    return apply_text(parts.store, text, author, clock=system_clock)


def put_files(parts: Parts, text: str, author: str) -> Change:
    """Put the declaration of files in force."""
    from collector.files.applied import apply_text

    return apply_text(parts.store, text, author, clock=system_clock)


PUTS: Mapping[str, Put] = MappingProxyType(
    {"integration": put_integration, "stream": put_stream, "files": put_files}
)


def _quarantine(opened: Open) -> typer.Typer:
    app = typer.Typer(help="What was refused and kept.", no_args_is_help=True)

    @app.command("list")
    def listed(
        integration: Annotated[str | None, typer.Option(help="Only this integration's.")] = None,
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """List what is kept: why it was refused, never what it says."""
        with opened(data, database) as parts:
            quarantine = Quarantine(parts.store.work, system_clock)
            after: str | None = ""
            while after is not None:
                page, after = quarantine.list(integration, after)
                for each in page:
                    typer.echo(f"{each.id}  {each.integration}  {each.received}  {each.reason}")

    @app.command()
    def replay(
        id: Annotated[str, typer.Argument(help="Id of what is kept.")],
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Take what is kept once more, after its cause is mended."""
        with opened(data, database) as parts:
            from collector.integrations.running import ways_in

            ways = ways_in(parts)
            answer, whole = asyncio.run(ways.replay.replay(ways.quarantine.get(id)))
            if whole:
                ways.quarantine.remove(id)
            typer.echo(answer.body.decode())
            raise typer.Exit(0 if whole else 1)

    @app.command()
    def discard(
        id: Annotated[str, typer.Argument(help="Id of what is kept.")],
        reason: Annotated[str, typer.Option(help="Why; it stands in the ledger.")],
        actor: Annotated[str, typer.Option(help="Who; default: the account running this.")] = "",
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Give up what is kept; who did it, why and how much it was stands in the ledger."""
        with opened(data, database) as parts:
            told = disposal.discard(
                Quarantine(parts.store.work, system_clock),
                parts.store.ledger,
                id,
                actor=actor or getpass.getuser(),
                reason=reason,
                clock=system_clock,
            )
            typer.echo(f"{told.id}: {told.items} items of {told.integration} discarded")

    return app
