"""A candidate is judged on what really happened, and the ledger shows what was read for that."""

import pytest

from audit.store import Store
from drift import steps
from drift.apply import apply_text
from tests.drift.governance import (
    NOWHERE,
    POLICY,
    HandClock,
    access_to,
    ledger_of,
    observe,
    predict,
    scheduler,
)


def candidate_case(store: Store, clock: HandClock) -> str:
    """A case of version 1, wrong in half of its outputs on every day, with candidate 2."""
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        ids = predict(store, day, level)
        observe(store, ids, "late", at="2013-02-01T00:00:00Z")
    scheduler(store, clock).judge_due()
    [case] = steps.list_cases(store)
    steps.decide(store, case.id, "approve", "ann", "yes", clock=clock)
    steps.take(store, case.id, "RetrainingDispatched", "scheduler", "", clock=clock)
    steps.register_candidate(store, case.id, "trainer", "2", {}, clock=clock)
    return case.id


def alternate(
    store: Store, day: int, version: str, *, right: bool = True, level: float = 1.0
) -> None:
    """A day of predictions that are all right or all wrong; the labels are the same ones."""
    ids = predict(store, day, level, version=version, turned=not right)
    observe(store, ids[1::2], "late", at="2013-02-02T00:00:00Z")
    observe(store, ids[::2], "on time", at="2013-02-02T00:00:00Z")


def closing(store: Store) -> str:
    [closed] = ledger_of(store, "RetrainingClosed")
    reason: str = closed["reason"]
    return reason


def test_errors_in_different_windows_are_not_compared_and_every_label_read_is_on_record(
    store: Store, clock: HandClock
) -> None:
    id = candidate_case(store, clock)
    for day in (4, 5):
        alternate(store, day, "2")
    scheduler(store, clock).judge_due()
    case = steps.case_of(store, id)
    assert (case.state, case.outcome) == ("closed", "unproven")
    assert case.verdict["conclusion"] == "not comparable: different windows"
    assert "helped" not in case.verdict
    champion, challenger = case.verdict["champion"], case.verdict["challenger"]
    assert (champion["error"], champion["rows"]) == (0.5, 80)
    assert (challenger["error"], challenger["rows"]) == (0, 40)
    assert champion["windows"] != challenger["windows"]
    assert closing(store) == (
        "not comparable: different windows; share of wrong outputs:"
        " 0.5 of version 1 on 80 rows, 0 of version 2 on 40 rows"
    )
    access = access_to(store, clock)
    seen = {
        body["time"]
        for body in ledger_of(store, "OutcomeObserved")
        for look in access.looked(store.reader.leaf(body["at"]))
        if (look.actor, look.action) == ("scheduler", "judge_candidate")
    }
    assert seen == {"2013-02-01T00:00:00Z", "2013-02-02T00:00:00Z"}


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (False, True, "retraining helped"),
        (True, False, "retraining did not help"),
        (True, True, "retraining did not help"),
    ],
)
def test_both_versions_on_the_same_rows_are_compared(
    store: Store, clock: HandClock, before: bool, after: bool, outcome: str
) -> None:
    id = candidate_case(store, clock)
    for day in (4, 5):
        alternate(store, day, "1", right=before)
        alternate(store, day, "2", right=after)
    scheduler(store, clock).judge_due()
    case = steps.case_of(store, id)
    assert (case.state, case.outcome) == ("closed", outcome)
    assert case.verdict["champion"]["windows"] == case.verdict["challenger"]["windows"]
    assert case.verdict["champion"]["rows"] == case.verdict["challenger"]["rows"] == 40
    assert closing(store).endswith("on 40 rows, the same ones")


def test_a_candidate_may_predict_the_rows_that_opened_the_case_again(
    store: Store, clock: HandClock
) -> None:
    id = candidate_case(store, clock)
    for day in (1, 2):
        ids = predict(store, day, 5.0, version="2", rows=40)
        observe(store, ids, "late", at="2013-02-02T00:00:00Z")
    for day in (4, 5):
        alternate(store, day, "2")
    scheduler(store, clock).judge_due()
    case = steps.case_of(store, id)
    assert (case.verdict["conclusion"], case.outcome) == ("did not help", "retraining did not help")
    assert case.verdict["champion"]["rows"] == case.verdict["challenger"]["rows"] == 40


def test_other_rows_of_the_same_window_are_not_compared(store: Store, clock: HandClock) -> None:
    id = candidate_case(store, clock)
    for day in (4, 5):
        alternate(store, day, "1", right=False, level=1.5)
        alternate(store, day, "2")
    scheduler(store, clock).judge_due()
    case = steps.case_of(store, id)
    assert case.outcome == "unproven"
    assert case.verdict["conclusion"] == "not comparable: different rows"
    assert closing(store).startswith("not comparable: different rows; ")
