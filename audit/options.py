"""Options that every command shares, what an opened store gives a command, how it is told of."""

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Annotated, NamedTuple
from urllib.parse import urlsplit

import typer

from audit.access import Access
from audit.settings import AuditSettings
from audit.store import Store
from audit.tokens import Tokens

Data = Annotated[Path, typer.Option("--data", help="Directory of all that this store owns.")]
Database = Annotated[
    str, typer.Option("--database", help="SQLAlchemy URL; default: SQLite in the data directory.")
]
Host = Annotated[str, typer.Option("--host", help="Address to listen on.")]
Port = Annotated[int, typer.Option("--port", min=1, max=65_535, help="Port to listen on.")]
DashboardPort = Annotated[
    int, typer.Option("--dashboard-port", min=1, max=65_535, help="Port of the pages.")
]
Quiet = Annotated[bool, typer.Option("--quiet", help="Say nothing on start and stop.")]
DATA = Path("var/data")
LOCAL = "127.0.0.1"
API_PORT, PAGES_PORT = 8600, 8601
PERSON = ["ops", "data_scientist", "compliance"]
"""Roles of whoever starts the embedded system on their own machine."""


class Parts(NamedTuple):
    """What the commands of one process share."""

    store: Store
    tokens: Tokens
    access: Access


Open = Callable[..., AbstractContextManager[Parts]]
"""`opened(data, database, **how)` of the composition root."""


def store_told(settings: AuditSettings) -> str:
    """Directory and database of a store on one line, without accounts or passwords."""
    if settings.embedded:
        database = settings.url.partition("://")[2].removeprefix("/") or "in memory"
    else:
        found = urlsplit(settings.url)
        database = f"{found.path.lstrip('/')} at {found.hostname or 'this machine'}"
    return f"data {settings.data}, database {database}, process {os.getpid()}"
