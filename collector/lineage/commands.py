"""`modelwitness lineage read NAME`: ask a model registry for what it knows, once.

Decides that a reading is repeated by whoever runs it (cron, a pipeline's last step): it remembers
nothing, and what is known already stays once. The address and the reference of its secret stand in
the integration's declaration.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import islice
from os import environ
from typing import Annotated

import typer

from audit.clock import system_clock
from audit.errors import NotFound, Rejected
from audit.events import Event
from audit.ledger import Ledger
from audit.options import DATA, Data, Database, Open
from collector.adapters import mlflow_webhook
from collector.integrations.declaration import Declared
from collector.integrations.registered import Registered
from collector.integrations.secrets import Secrets

_SECONDS = 10.0
_AT_ONCE = 200


def commands(opened: Open) -> typer.Typer:
    """The commands, as a group."""
    app = typer.Typer(help="Where model versions come from.", no_args_is_help=True)

    @app.callback()
    def group() -> None:
        """Where model versions come from."""

    @app.command()
    def read(
        integration: Annotated[str, typer.Argument(help="A declared model registry.")],
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Log every version that the registry of an integration knows, with its lineage."""
        from audit.outgoing import Outgoing
        from collector.lineage.mlflow import Registry, calling, releases

        with opened(data, database) as parts:
            store = parts.store
            declared = Registered(store.documents, system_clock).get(integration)
            if declared is None:
                raise NotFound("no integration of this name is declared; apply its file first")
            address = _address(declared)
            credential = _credential(declared, Secrets(environ, system_clock))
            outgoing = Outgoing.of(store.settings.outgoing_allowed)
            # The address stands in the operator's declaration, and no part of it in a message.
            with outgoing.client(_SECONDS, written_by_operator=True) as client:
                registry = Registry(address, calling(client, *credential))
                found = _log(store.ledger, releases(registry, declared))
        typer.echo(f"{integration}: {found['new']} new, {found['known']} known")
        if found["refused"]:
            typer.echo(f"{found['refused']} could not be logged; their words are above", err=True)
            raise typer.Exit(1)

    return app


def _address(declared: Declared) -> str:
    address = declared.options.get("registry", "")
    if declared.adapter != mlflow_webhook.NAME or not address:
        raise Rejected(
            f"{declared.name} declares no model registry that can be asked",
            field="/options/registry",
            remedy=f"Declare adapter: {mlflow_webhook.NAME} with options: {{registry: https://…}}.",
        )
    return address


def _credential(declared: Declared, secrets: Secrets) -> tuple[str, str]:
    """User and secret, each "" where none is declared; raises `Busy` where it cannot be read."""
    reference = declared.options.get("registry_secret")
    secret = secrets.all_of([reference])[0].decode() if reference else ""
    return declared.options.get("registry_user", ""), secret


def _log(ledger: Ledger, found: Iterable[Event | str]) -> Counter[str]:
    """Log in portions, and count: new, known, refused (each refusal is told at once)."""
    counts: Counter[str] = Counter()
    for portion in _portions(found):
        for each in portion:
            if isinstance(each, str):
                typer.echo(each, err=True)
                counts["refused"] += 1
        for appended in ledger.append([each for each in portion if isinstance(each, Event)]):
            counts["known" if appended.duplicate else "new"] += 1
    return counts


def _portions(found: Iterable[Event | str]) -> Iterator[list[Event | str]]:
    rest = iter(found)
    while portion := list(islice(rest, _AT_ONCE)):
        yield portion
