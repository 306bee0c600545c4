"""The overview: the worst fact decides, and lack of data is never fine."""

from dataclasses import dataclass

import pytest

from audit.governed import Alert, Case, Named, Span, Verdict
from audit.overview import Facts, Overview, Verified, summarise


@dataclass(frozen=True, slots=True)
class Rolled:
    keys: tuple[str, ...]
    count: int
    buckets: dict[int, int]
    start_us: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    type: str
    integration: str
    model: str
    version: str
    count: int = 10
    first_us: int = 0
    last_us: int = 60_000_000


def overview(
    ok: int = 100,
    errors: int = 0,
    verdict: str | None = "ok",
    alerts: tuple[str, ...] = (),
    outcomes: int = 0,
) -> Overview:
    judged = Verdict(Named("m", "1"), Span("a", "b"), verdict or "", drifted=("x",))
    rows = [
        Rolled(("web", "m", "1", status), count, {200: count})
        for status, count in (("ok", ok), ("error", errors))
        if count
    ]
    return summarise(
        Facts(
            predictions=rows,
            outcomes=[Rolled(("web", "m", "1", "ok"), outcomes, {})] if outcomes else [],
            series=[Row("PredictionLogged", "web", "m", "1")],
            verdicts={("m", "1"): judged} if verdict else {},
            alerts=[Alert(f"a{n}", "m", "1", state, 1) for n, state in enumerate(alerts)],
            cases=[Case("c1", "m", "1", "proposed"), Case("c2", "m", "1", "closed")],
        ),
        Verified(5, "now"),
        0,
    )


@pytest.mark.parametrize(
    ("ok", "errors", "verdict", "alerts", "status"),
    [
        (100, 0, "ok", (), "ok"),
        (100, 0, "ok", ("resolved",), "ok"),
        (100, 0, "ok", ("raised",), "bad"),
        (100, 0, "ok", ("acknowledged",), "bad"),
        (100, 0, "shift", (), "bad"),
        (100, 0, "fault", (), "bad"),
        (100, 10, "ok", (), "bad"),
        (100, 3, "ok", (), "warn"),
        (100, 1, "ok", (), "ok"),
        (100, 0, "insufficient", (), "warn"),
        (100, 0, None, (), "unknown"),
        (0, 0, "ok", (), "unknown"),
        (0, 0, None, (), "unknown"),
    ],
)
def test_the_worst_fact_is_the_status(
    ok: int, errors: int, verdict: str | None, alerts: tuple[str, ...], status: str
) -> None:
    assert overview(ok, errors, verdict, alerts).models[0].status == status


def test_totals_are_of_the_range() -> None:
    found = overview(90, 10)
    assert (found.predictions, found.errors) == (100, 10)
    assert found.integrations[0].events == 100
    assert (found.alerts_open, found.cases_open) == (0, 1)


def test_the_unlabelled_share_is_unknown_without_outcomes_that_name_the_model() -> None:
    assert overview().models[0].unlabelled_share is None
    assert overview(outcomes=25).models[0].unlabelled_share == pytest.approx(0.75)
    assert overview(outcomes=999).models[0].unlabelled_share == 0.0
