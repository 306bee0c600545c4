"""A candidate is judged on what really happened, and the ledger shows what was read for that."""

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


def test_a_candidate_that_errs_less_closes_its_case_and_every_label_read_is_on_record(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        ids = predict(store, day, level)
        observe(store, ids, "late", at="2013-02-01T00:00:00Z")  # half of the outputs are wrong
    work = scheduler(store, clock)
    work.judge_due()
    [case] = steps.list_cases(store)
    steps.approve(store, case.id, "ann", "yes", clock=clock)
    steps.take(store, case.id, "RetrainingDispatched", "scheduler", "", clock=clock)
    steps.register_candidate(store, case.id, "trainer", "2", {}, clock=clock)
    for day in (4, 5):
        ids = predict(store, day, 1.0, version="2")
        observe(store, ids[1::2], "late", at="2013-02-02T00:00:00Z")
        observe(store, ids[::2], "on time", at="2013-02-02T00:00:00Z")
    work.judge_due()
    case = steps.case_of(store, case.id)
    assert (case.state, case.outcome) == ("closed", "retraining helped")
    assert case.verdict["champion"]["error"] == 0.5
    assert case.verdict["challenger"]["error"] == 0
    access = access_to(store, clock)
    seen = {
        body["time"]
        for body in ledger_of(store, "OutcomeObserved")
        for look in access.looked(store.reader.leaf(body["at"]))
        if (look.actor, look.action) == ("scheduler", "judge_candidate")
    }
    assert seen == {"2013-02-01T00:00:00Z", "2013-02-02T00:00:00Z"}
