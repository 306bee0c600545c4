"""How the story ends in the terminal: where to look, and the ledger's own words."""

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from rich.console import Console

from collector.demo import report
from collector.demo.findings import Case, Comparison, Moment
from collector.demo.plan import Logged
from collector.demo.retrainer import Retrainer
from collector.demo.settings import DemoSettings

UNPROVEN = Case(
    "c-1",
    "closed",
    candidate="2",
    outcome="unproven",
    steps=[Moment("RetrainingProposed", "moved"), Moment("RetrainingClosed", "different windows")],
)
BETTER = Comparison(2_000, (0.89, 0.90), (0.0902, 0.0835), 0.0067, 0.0024)


@pytest.fixture
def stage() -> Iterator[Retrainer]:
    with Retrainer() as retrainer:
        yield retrainer


def told(
    stage: Retrainer,
    logged: Logged,
    signin: Callable[[], str] | None = lambda: "http://127.0.0.1:8601/signin?code=new",
) -> str:
    settings = DemoSettings(
        api="http://127.0.0.1:8600",
        signin=signin,
        again="up --data d" if signin is None else "signin NAME --data d",
        store="--data d",
        tokens={},
        person_token="",
        retrainer_token="",
        data=Path("d"),
        vkey="log+key",
        apply=lambda _: None,
        stage=stage,
    )
    out = io.StringIO()
    report.tell(
        Console(file=out, width=200),
        settings,
        months=[],
        cases=[UNPROVEN],
        alerts=[],
        comparison=BETTER,
        logged=logged,
        entries=12,
        seconds={"log over HTTP": 1.0},
    )
    return out.getvalue()


def test_a_case_ends_in_the_words_of_the_ledger_whatever_the_second_look_says(
    stage: Retrainer,
) -> None:
    text = told(stage, Logged(added=3))
    assert "closed: unproven; candidate 2." in text
    assert "The ledger's reason: different windows." in text
    assert "helped" not in text
    assert "outside the ledger, which decides nothing" in text


def test_the_code_is_made_at_the_end_and_another_can_be_had(stage: Retrainer) -> None:
    text = told(stage, Logged(added=3))
    assert "signin?code=new" in text
    assert "works once, within ten minutes" in text
    assert "modelwitness signin NAME --data d" in text
    assert "verify http://127.0.0.1:8600/log/main --vkey 'log+key'" in text


def test_what_has_stopped_is_given_no_address_but_a_way_to_start_it(stage: Retrainer) -> None:
    text = told(stage, Logged(added=3), None)
    assert "http" not in text.replace("log over HTTP", "")
    assert "modelwitness up --data d" in text
    assert "export --to d/tiles --data d" in text
    assert "verify d/tiles --vkey 'log+key'" in text


@pytest.mark.parametrize(
    ("logged", "said"),
    [
        (Logged(0, 1_200), "Nothing was added: all 1,200 events were already in the ledger."),
        (Logged(1_200, 0), "1,200 events were added."),
        (Logged(200, 1_000), "200 events were added; 1,000 were already there."),
    ],
)
def test_what_was_added_and_what_was_there_is_said(
    stage: Retrainer, logged: Logged, said: str
) -> None:
    assert said in told(stage, logged)
