"""Options that every command shares, and what an opened store gives a command."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from audit.access import Access
from audit.store import Store
from audit.tokens import Tokens

Data = Annotated[Path, typer.Option("--data", help="Directory of all that this store owns.")]
Database = Annotated[
    str, typer.Option("--database", help="SQLAlchemy URL; default: SQLite in the data directory.")
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65_535, help="Port to listen on.")]
DATA = Path("var/data")


class Parts(NamedTuple):
    """What the commands of one process share."""

    store: Store
    tokens: Tokens
    access: Access


Open = Callable[..., AbstractContextManager[Parts]]
"""`opened(data, database, **how)` of the composition root."""
