"""`modelwitness quarantine`: the same list and replay as over HTTP."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import typer
from pydantic import ValidationError
from typer.testing import CliRunner

from audit.access import Access
from audit.clock import system_clock
from audit.options import Parts
from collector.commands import add_to
from collector.delivery import Delivery
from collector.errors import CollectorError
from collector.limits import Limits
from collector.quarantine import Quarantine
from tests.collector.conftest import House


@pytest.fixture
def app(house: House) -> typer.Typer:
    """The commands over the house's store."""

    @contextmanager
    def opened(data: Path, database: str = "") -> Iterator[Parts]:
        store = house.store
        access = Access(store.ledger, store.documents, clock=system_clock, random=bytes)
        yield Parts(store, house.tokens, access)

    commands = typer.Typer()
    add_to(commands, opened)
    return commands


def test_what_is_listed_can_be_replayed(house: House, app: typer.Typer) -> None:
    good = (
        b'{"id":"p","time":"2013-01-01T00:00:00Z","model":{"name":"m","version":"1"},"inputs":{}}'
    )
    kept = _keep(house, good)
    listed = CliRunner().invoke(app, ["quarantine", "list"])
    assert listed.exit_code == 0
    assert kept in listed.output
    assert "web" in listed.output
    replayed = CliRunner().invoke(app, ["quarantine", "replay", kept])
    assert replayed.exit_code == 0, replayed.output
    assert [each["id"] for each in house.bodies("PredictionLogged")] == ["p"]
    assert CliRunner().invoke(app, ["quarantine", "list"]).output == ""


def test_a_replay_that_is_refused_again_ends_with_the_reason(
    house: House, app: typer.Typer
) -> None:
    kept = _keep(house, b'{"id":"p"}')
    replayed = CliRunner().invoke(app, ["quarantine", "replay", kept])
    assert replayed.exit_code == 1
    assert isinstance(replayed.exception, CollectorError)
    assert replayed.exception.field == "/time"
    others = CliRunner().invoke(app, ["quarantine", "list", "--integration", "app"])
    assert (others.exit_code, others.output) == (0, "")
    assert kept in CliRunner().invoke(app, ["quarantine", "list", "--integration", "web"]).output


def test_what_is_wanted_no_more_is_discarded_with_a_reason(house: House, app: typer.Typer) -> None:
    kept = _keep(house, b'{"id":"p"}')
    words = ["quarantine", "discard", kept, "--actor", "ann"]
    assert CliRunner().invoke(app, words).exit_code == 2  # no reason
    discarded = CliRunner().invoke(app, [*words, "--reason", "a test of the sender's"])
    assert discarded.output == f"{kept}: 1 items of web discarded\n"
    assert CliRunner().invoke(app, ["quarantine", "list"]).output == ""
    [told] = house.bodies("QuarantineDiscarded")
    assert (told["actor"], told["reason"]) == ("ann", "a test of the sender's")


def test_limits_come_from_the_environment_and_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MODELWITNESS_INGEST_ITEMS", "7")
    limits = Limits()
    assert limits.items == 7
    with pytest.raises(ValidationError):
        limits.items = 8  # type: ignore[misc]  # that it is frozen is what is tested
    monkeypatch.setenv("MODELWITNESS_INGEST_ITEMS", "0")
    with pytest.raises(ValidationError):
        Limits()


def _keep(house: House, body: bytes) -> str:
    delivery = Delivery(
        address="predictions",
        integration="web",
        permitted=frozenset({"PredictionLogged"}),
        body=body,
        content_type="application/json",
    )
    return Quarantine(house.store.work, system_clock).keep("once refused", "", "", [delivery])
