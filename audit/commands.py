"""Commands over a store: migrate, verify, fsck, anchor, export, rebuild, tokens, keys.

Decides names, options and what is printed; what is done is decided in the modules that each
command calls. `opened` and the options come from the composition root.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from audit.clock import system_clock
from audit.documents import Projection
from audit.options import DATA, Data, Database, Open
from audit.roles import ROLES
from audit.settings import AuditSettings

Earlier = Annotated[
    list[Path] | None,
    typer.Option("--earlier", help="File with a checkpoint seen before; repeatable."),
]


def add_to(app: typer.Typer, opened: Open, projections: Callable[[], Sequence[Projection]]) -> None:
    """Add the commands of the ledger to `app`; `projections` gives those of every package."""
    _add_checks(app, projections)
    _add_copies(app, opened)
    app.add_typer(_tokens(opened), name="tokens")
    app.add_typer(_keys(opened), name="keys")


def _add_checks(app: typer.Typer, projections: Callable[[], Sequence[Projection]]) -> None:
    @app.command(
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
        add_help_option=False,
    )
    def verify(context: typer.Context) -> None:
        """Verify a log from its tiles alone: DIR|URL --vkey V [--earlier CHECKPOINT ...]."""
        from audit import verify as verifier

        raise typer.Exit(verifier.main(context.args))

    @app.command()
    def fsck(
        data: Data = DATA,
        database: Database = "",
        deep: Annotated[
            bool, typer.Option("--deep", help="Also payloads and projections.")
        ] = False,
        earlier: Earlier = None,
    ) -> None:
        """Re-derive the ledger from stored bytes; exit 0 ok, 1 tampered, 2 cannot tell."""
        from audit import fsck as check

        settings = AuditSettings.of(data, database)
        found = check.run(
            settings,
            deep=deep,
            earlier=earlier or [],
            report=typer.echo,
            projections=projections(),
        )
        raise typer.Exit(found)


def _add_copies(app: typer.Typer, opened: Open) -> None:
    @app.command()
    def migrate(
        data: Data = DATA,
        database: Database = "",
        app_role: Annotated[
            str | None, typer.Option(help="PostgreSQL role that serve and schedule use.")
        ] = None,
    ) -> None:
        """Bring the database to this program's schema, as its owner."""
        with opened(data, database, may_migrate=True, app_role=app_role) as parts:
            typer.echo(f"{parts.store.ledger.origin}: the schema is current")

    @app.command()
    def anchor(
        to: Annotated[Path, typer.Option(help="Directory on another disk or host.")],
        data: Data = DATA,
        database: Database = "",
        every: Annotated[
            float, typer.Option(help="Seconds between checkpoints; 0: once.", min=0)
        ] = 0,
    ) -> None:
        """Keep signed checkpoints elsewhere: a database rolled back behind them is found."""
        from audit import anchor as anchoring

        with opened(data, database) as parts:
            if every:
                anchoring.keep(parts.store, to, every, report=typer.echo)
            else:
                typer.echo(anchoring.write(parts.store, to))

    @app.command()
    def export(
        to: Annotated[Path, typer.Option(help="Directory to write the log's tiles to.")],
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Write checkpoint, tiles and entry bundles as static files that anyone can verify."""
        from audit import export as exporting

        with opened(data, database) as parts:
            exporting.write(parts.store, to)
            typer.echo(f"modelwitness verify {to} --vkey {parts.store.ledger.vkey}")

    @app.command()
    def rebuild(data: Data = DATA, database: Database = "") -> None:
        """Recreate every projection from the ledger."""
        from audit import rebuild as rebuilding

        with opened(data, database, repairing=True) as parts:
            rebuilding.run(parts.store)
            typer.echo("the projections are those of the ledger")


def _tokens(opened: Open) -> typer.Typer:
    app = typer.Typer(help="Credentials of integrations and persons.", no_args_is_help=True)

    @app.command()
    def create(
        role: Annotated[
            list[str] | None,
            typer.Option(help=f"Repeatable for a person: {', '.join(ROLES)}."),
        ] = None,
        integration: Annotated[str | None, typer.Option(help="Name of the integration.")] = None,
        actor: Annotated[str | None, typer.Option(help="Name of the person.")] = None,
        days: Annotated[int | None, typer.Option(help="Days until it expires.", min=1)] = None,
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Make a token and print it, this once."""
        with opened(data, database) as parts:
            seconds = None if days is None else days * 86_400
            roles = role or []  # none is refused with the names of all
            name = actor or integration or "-".join(roles) or "nobody"
            typer.echo(parts.tokens.issue(name, roles, integration=integration, seconds=seconds))

    @app.command("list")
    def listed(data: Data = DATA, database: Database = "") -> None:
        """List tokens by the hash that names them."""
        with opened(data, database) as parts:
            after = ""
            while page := parts.tokens.listed(after):
                for each in page:
                    state = "revoked" if each.revoked else _until(each.expires)
                    typer.echo(f"{each.hash}  {each.actor}  {','.join(each.roles)}  {state}")
                after = page[-1].hash

    @app.command()
    def revoke(
        hash: Annotated[str, typer.Argument(help="Hash of the token, as `list` shows it.")],
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Revoke a token; running servers refuse it within a second."""
        with opened(data, database) as parts:
            parts.tokens.revoke(hash, by="operator")
            typer.echo("revoked")

    return app


def _keys(opened: Open) -> typer.Typer:
    app = typer.Typer(help="Keys of the store.", no_args_is_help=True)

    @app.command()
    def show(data: Data = DATA, database: Database = "") -> None:
        """Print the log's name and the verifier key that proves its checkpoints."""
        with opened(data, database) as parts:
            typer.echo(f"origin  {parts.store.ledger.origin}")
            typer.echo(f"vkey    {parts.store.ledger.vkey}")
            typer.echo(f"root    {parts.store.root.id}")

    @app.command()
    def rotate(
        kind: Annotated[str, typer.Argument(help="root, store or subjects")],
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Replace a key by re-wrapping what it wraps, while servers run."""
        from audit import rotation

        rotations = {
            "root": rotation.rotate_root,
            "store": rotation.rotate_store_key,
            "subjects": rotation.rotate_subject_keys,
        }
        if kind not in rotations:
            raise typer.BadParameter(f"one of {', '.join(rotations)}")
        with opened(data, database) as parts:
            rotations[kind](parts.store, clock=system_clock)
            typer.echo(f"{kind}: rotated")

    return app


def _until(expires: str | None) -> str:
    return "valid" if expires is None else f"valid until {expires}"
