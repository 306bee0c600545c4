"""Commands of drift: see and decide retraining cases.

Decides names, options and what is printed; what happens is decided in `steps`.
"""

import getpass
from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated

import typer

from audit.clock import system_clock
from audit.declaring import Put
from audit.options import DATA, Data, Database, Open, Parts
from audit.revision import Change

Actor = Annotated[str, typer.Option(help="Who decides; default: the account that runs this.")]
Reason = Annotated[str, typer.Option(help="Why; it stands in the ledger.")]


def add_to(app: typer.Typer, opened: Open) -> None:
    """Add the commands of drift to `app`."""

    app.add_typer(_cases(opened), name="cases")


def put_policy(parts: Parts, text: str, author: str) -> Change:
    """Put a policy in force."""
    from drift.apply import apply_text

    return apply_text(parts.store, text, author)


PUTS: Mapping[str, Put] = MappingProxyType({"policy": put_policy})


def _cases(opened: Open) -> typer.Typer:
    app = typer.Typer(help="Retraining cases.", no_args_is_help=True)

    @app.command("list")
    def listed(data: Data = DATA, database: Database = "") -> None:
        """List cases, newest first."""
        from drift.steps import list_cases

        with opened(data, database) as parts:
            for case in list_cases(parts.store):
                typer.echo(f"{case.id}  {case.model} {case.version}  {case.state}")

    _add_decision(
        app,
        opened,
        "approve",
        "Approve a proposed retraining: the scheduler then posts it to the policy's address.",
    )
    _add_decision(app, opened, "reject", "Reject a proposed retraining.")
    _add_deliveries(app, opened)
    return app


def _add_decision(app: typer.Typer, opened: Open, name: str, told: str) -> None:
    @app.command(name, help=told)
    def decide(
        case: Annotated[str, typer.Argument(help="Id of the case.")],
        reason: Reason,
        actor: Actor = "",
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        from drift import steps

        with opened(data, database) as parts:
            done = steps.decide(parts.store, case, name, actor or getpass.getuser(), reason)
            typer.echo(f"{done.id}: {done.state}")


def _add_deliveries(app: typer.Typer, opened: Open) -> None:
    @app.command()
    def dead(data: Data = DATA, database: Database = "") -> None:
        """List approved cases whose retrainer was not reached, and why."""
        from drift import outbox

        with opened(data, database) as parts:
            for each in outbox.dead_letters(parts.store):
                tries = f"{each.attempts} attempts until {each.time}"
                typer.echo(f"{each.case}  {tries}  {each.reason}")

    @app.command()
    def retry(
        case: Annotated[str, typer.Argument(help="Id of the case, as `dead` shows it.")],
        data: Data = DATA,
        database: Database = "",
    ) -> None:
        """Tell the retrainer of a case again, after what kept it from being reached is mended."""
        from drift import outbox
        from drift.errors import IllegalStep

        with opened(data, database) as parts:
            if not outbox.revive(parts.store, case, clock=system_clock):
                raise IllegalStep(
                    "no message of this case is dead", remedy="`cases dead` lists those that are."
                )
            typer.echo(f"{case}: the scheduler tries again")
