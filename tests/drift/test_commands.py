"""`modelwitness cases dead` and `retry`: what was not delivered is seen and tried again."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
import typer
from typer.testing import CliRunner

from audit.clock import system_clock
from audit.options import Parts
from audit.store import Store
from audit.tokens import Tokens
from drift import outbox
from drift.commands import add_to
from drift.errors import IllegalStep
from tests.drift.governance import access_to


@pytest.fixture
def app(store: Store) -> typer.Typer:
    """The commands over this test's store."""

    @contextmanager
    def opened(data: Path, database: str = "") -> Iterator[Parts]:
        tokens = Tokens(store.ledger, store.documents, clock=system_clock, random=bytes)
        yield Parts(store, tokens, access_to(store, system_clock))

    commands = typer.Typer()
    add_to(commands, opened)
    return commands


def test_a_dead_message_is_listed_until_it_is_tried_again(store: Store, app: typer.Typer) -> None:
    for number in range(250):  # more than one page
        dead = outbox.Dead(f"case-{number:03}", "the receiver answered 500", 8, "2013-03-01")
        store.work.put(outbox.DEAD, dead.case, msgspec.json.encode(dead))
    listed = CliRunner().invoke(app, ["cases", "dead"])
    assert listed.exit_code == 0, listed.output
    assert len(listed.output.splitlines()) == 250
    assert "case-007  8 attempts until 2013-03-01  the receiver answered 500" in listed.output
    retried = CliRunner().invoke(app, ["cases", "retry", "case-007"])
    assert retried.exit_code == 0, retried.output
    assert store.work.get(outbox.KIND, "case-007") is not None
    assert "case-007" not in CliRunner().invoke(app, ["cases", "dead"]).output
    again = CliRunner().invoke(app, ["cases", "retry", "case-007"])
    assert isinstance(again.exception, IllegalStep)
