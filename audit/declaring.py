"""The command `apply`: a file that declares something is put in force by who owns its kind.

Decides how a declaration comes in and what is told of it; what it means, each package decides.
"""

import getpass
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from audit.declared import kind_of, read
from audit.options import DATA, Data, Database, Open, Parts, store_told
from audit.revision import Change
from audit.settings import AuditSettings

Put = Callable[[Parts, str, str], Change]
"""Puts a text in force, as applied by an author; raises `BadDeclaration`."""


def add_to(app: typer.Typer, opened: Open, kinds: Mapping[str, Put]) -> None:
    """Add the command to `app`; `kinds` are the values of `kind:` and who owns them."""
    listed = " or ".join(kinds)

    @app.command(help="Put a declaration in force; the same file twice changes nothing.")
    def apply(
        file: Annotated[Path, typer.Argument(help=f"Declaration (kind: {listed}).")],
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        text = read(file)
        put = kinds[kind_of(text, kinds)]
        with opened(data, database) as parts:
            found = put(parts, text, getpass.getuser())
        state = "in force now" if found.changed else "already in force"
        where = store_told(AuditSettings.of(data, database)).rpartition(",")[0]
        typer.echo(f"{found.name} {found.revision[:12]}: {state} in {where}")
