"""The state machine of a retraining case, step by step and out of step."""

from collections.abc import Sequence
from typing import Any

import pytest

from audit.events import micros, rfc3339
from drift.cases import (
    SETTLED,
    STEPS,
    Case,
    CaseEvent,
    Named,
    State,
    advance,
    blocked,
    case_id,
    ignore,
    overdue,
)
from drift.errors import IllegalStep, SamePerson

DAY_US = 86_400_000_000
TYPES = sorted({type for _, type in STEPS} | {"VersionReleased"})
PATH = (
    "RetrainingProposed",
    "RetrainingApproved",
    "RetrainingDispatched",
    "RetrainingAcknowledged",
    "CandidateRegistered",
    "ChallengerJudged",
    "RetrainingClosed",
)
STATES: dict[State, Sequence[str]] = {
    "proposed": PATH[:1],
    "approved": PATH[:2],
    "rejected": (PATH[0], "RetrainingRejected"),
    "dispatched": PATH[:3],
    "acknowledged": PATH[:4],
    "candidate": PATH[:5],
    "judged": PATH[:6],
    "closed": PATH,
}
LEGAL = {
    ("proposed", "RetrainingApproved"),
    ("proposed", "RetrainingRejected"),
    ("approved", "RetrainingDispatched"),
    ("approved", "RetrainingAcknowledged"),
    ("approved", "CandidateRegistered"),
    ("approved", "VersionReleased"),
    ("dispatched", "RetrainingAcknowledged"),
    ("dispatched", "CandidateRegistered"),
    ("dispatched", "VersionReleased"),
    ("acknowledged", "CandidateRegistered"),
    ("acknowledged", "VersionReleased"),
    ("candidate", "ChallengerJudged"),
    ("judged", "RetrainingClosed"),
}


def event(type: str, **facts: Any) -> CaseEvent:
    filled: dict[str, Any] = {
        "id": f"c/{type}",
        "time": "2013-02-01T00:00:00Z",
        "model": Named("m", "2" if type == "VersionReleased" else "1"),
        "case": "c",
        "actor": "scheduler" if type == "RetrainingProposed" else "ann",
        "reason": "because",
        "candidate": "2" if type == "CandidateRegistered" else "",
    }
    return CaseEvent(**{**filled, **facts})


def at(state: State) -> Case:
    case: Case | None = None
    for index, type in enumerate(STATES[state]):
        case = advance(case, type, event(type), index)
    assert case is not None
    assert case.state == state
    return case


@pytest.mark.parametrize("type", TYPES)
@pytest.mark.parametrize("state", STATES)
def test_each_state_takes_its_own_steps_and_refuses_every_other(state: State, type: str) -> None:
    case = at(state)
    if (state, type) in LEGAL:
        after = advance(case, type, event(type), 9)
        assert after.state != state
        assert after.steps[-1].index == 9
    else:
        with pytest.raises(IllegalStep):
            advance(case, type, event(type), 9)


@pytest.mark.parametrize("type", [t for t in TYPES if t != "RetrainingProposed"])
def test_nothing_but_a_proposal_opens_a_case(type: str) -> None:
    with pytest.raises(IllegalStep):
        advance(None, type, event(type), 0)


@pytest.mark.parametrize("state", [s for s in STATES if s not in SETTLED])
def test_an_open_case_may_expire_and_a_settled_one_may_not(state: State) -> None:
    closing = event("RetrainingClosed", outcome="expired")
    assert advance(at(state), "RetrainingClosed", closing, 9).state == "closed"
    for settled in SETTLED:
        with pytest.raises(IllegalStep):
            advance(at(settled), "RetrainingClosed", closing, 9)


def test_who_proposed_may_not_approve() -> None:
    with pytest.raises(SamePerson):
        advance(at("proposed"), "RetrainingApproved", event("x", actor="scheduler"), 1)


@pytest.mark.parametrize("type", ["RetrainingApproved", "RetrainingRejected"])
@pytest.mark.parametrize("lack", [{"reason": " "}, {"actor": ""}])
def test_a_decision_needs_a_named_person_and_a_reason(type: str, lack: dict[str, str]) -> None:
    with pytest.raises(IllegalStep):
        advance(at("proposed"), type, event(type, **lack), 1)


@pytest.mark.parametrize("version", ["", "1"])
def test_a_candidate_needs_a_version_other_than_the_one_that_drifted(version: str) -> None:
    with pytest.raises(IllegalStep):
        advance(at("dispatched"), "CandidateRegistered", event("x", candidate=version), 5)


def test_a_release_of_another_model_registers_no_candidate() -> None:
    with pytest.raises(IllegalStep):
        advance(at("dispatched"), "VersionReleased", event("x", model=Named("other", "2")), 5)


@pytest.mark.parametrize("state", ["acknowledged", "candidate"])
def test_a_dispatch_that_is_recorded_late_sets_its_time_and_no_state(state: State) -> None:
    types = [type for type in STATES[state] if type != "RetrainingDispatched"]
    case: Case | None = None
    for index, type in enumerate(types):
        case = advance(case, type, event(type), index)
    assert case is not None
    after = advance(case, "RetrainingDispatched", event("x", time="2013-02-02T00:00:00Z"), 9)
    assert (after.state, after.dispatched) == (state, "2013-02-02T00:00:00Z")
    with pytest.raises(IllegalStep):
        advance(after, "RetrainingDispatched", event("x"), 10)


def test_a_step_that_came_too_late_is_noted_and_changes_nothing() -> None:
    case = at("approved")
    after = ignore(case, "RetrainingRejected", event("RetrainingRejected", actor="bob"), 7)
    assert after.state == "approved"
    assert [(step.type, step.actor) for step in after.ignored] == [("RetrainingRejected", "bob")]


def test_an_open_case_blocks_another_and_so_does_the_cooldown_after_a_dispatch() -> None:
    assert "is open" in (blocked([at("candidate")], 0, 0) or "")
    closed = at("closed")
    dispatched = micros(closed.dispatched)
    assert "cooldown" in (blocked([closed], dispatched + DAY_US - 1, DAY_US) or "")
    assert blocked([closed], dispatched + DAY_US, DAY_US) is None


def test_a_rejected_case_starts_no_cooldown() -> None:
    assert blocked([at("rejected")], micros("2013-02-01T00:00:00Z"), 30 * DAY_US) is None


def test_a_case_is_overdue_when_its_state_lasts_longer_than_its_limit() -> None:
    case = at("dispatched")
    changed = micros(case.changed)
    limits = {"dispatched": DAY_US}
    assert not overdue(case, changed, changed + DAY_US - 1, limits)
    assert overdue(case, changed, changed + DAY_US, limits)
    assert not overdue(at("closed"), changed, changed + 99 * DAY_US, limits)


def test_case_ids_differ_by_incident_and_come_in_order_of_time() -> None:
    days = [rfc3339(micros("2013-02-01T00:00:00Z") + day * DAY_US) for day in range(40)]
    ids = [case_id("m", "1", "r", "all", day) for day in days]
    assert ids == sorted(set(ids))
    assert case_id("m", "1", "r", "all", days[0]) != case_id("m", "2", "r", "all", days[0])
