"""The command that tries a mapping."""

from pathlib import Path
from typing import Annotated

import typer

from audit.declared import read

NO_HEADERS: list[str] = []


def add_to(app: typer.Typer) -> None:
    """Add `mapping try` to `app`."""
    mapping = typer.Typer(help="How the bodies of a sender become events.", no_args_is_help=True)
    app.add_typer(mapping, name="mapping")

    @mapping.callback()
    def group() -> None:
        """Keep `try` a word of its own, though it is the only one."""

    @mapping.command("try")
    def tried(
        file: Annotated[Path, typer.Argument(help="A mapping or an integration, in YAML.")],
        sample: Annotated[
            Path, typer.Option(exists=True, dir_okay=False, help="A body as the sender sends it.")
        ],
        header: Annotated[list[str], typer.Option(help="A header, as NAME: VALUE.")] = NO_HEADERS,
    ) -> None:
        """Show the events that a body would become; nothing is stored."""
        from collector.mapping import trying

        headers = [
            (name.strip(), value.strip())
            for name, _, value in (each.partition(":") for each in header)
        ]
        found = trying.tried(read(file), sample.read_bytes(), headers)
        for line in found.lines:
            typer.echo(line)
        raise typer.Exit(0 if found.whole else 1)
