"""What follows from verdicts, decisions and the passing of time, over a real store."""

import dataclasses
from base64 import b64decode
from pathlib import Path
from typing import Any, cast

import pytest

from audit.events import event_of
from audit.ledger import Ledger
from audit.store import Store
from drift import steps
from drift.apply import apply_text
from drift.errors import IllegalStep, NotJudged, SamePerson
from drift.settings import DriftSettings
from tests.drift.governance import (
    MODEL,
    NOWHERE,
    POLICY,
    HandClock,
    QuickJudge,
    alerts,
    ledger_of,
    opened,
    predict,
    retrainer_of,
    scheduler,
    told,
    verdicts,
)


def test_a_confirmed_shift_raises_one_alert_and_one_proposal(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    predict(store, 0, 1.0)
    for day in (1, 2, 3, 4, 5):
        predict(store, day, 5.0)
    scheduler(store, clock).judge_due()
    scheduler(store, clock, holder="a").judge_due()
    assert [verdict for _, verdict in told(store)] == ["shift"] * 4
    [alert] = alerts(store)
    assert (alert.kind, alert.state, alert.incident) == ("shift", "raised", "2013-01-03T00:00:00Z")
    [case] = steps.list_cases(store)
    assert case.state == "proposed"
    assert [span.start[:10] for span in case.windows] == ["2013-01-02", "2013-01-03"]
    measured = {each["at"]: each for each in ledger_of(store, "DriftMeasured", "AlertRaised")}
    proposal = ledger_of(store, "RetrainingProposed")[0]
    for evidence in proposal["evidence"][:-1]:
        assert measured[evidence["index"]]["verdict"] == "shift"
        assert store.reader.leaf(evidence["index"]).hash == b64decode(evidence["leaf_hash"])
    assert proposal["evidence"][-1]["index"] == alert.index


def test_one_shifted_window_is_not_confirmed(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 1.0, 1.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    assert told(store)[0] == ("2013-01-02", "shift")
    assert alerts(store) == []
    assert steps.list_cases(store) == []


def test_a_fault_raises_an_alert_and_no_proposal(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    predict(store, 0, 1.0)
    predict(store, 1, 5.0)
    predict(store, 2, 5.0, missing=20)
    predict(store, 3, 1.0)
    scheduler(store, clock).judge_due()
    [alert] = alerts(store)
    assert (alert.kind, alert.columns, alert.state) == ("fault", ("delay",), "raised")
    assert steps.list_cases(store) == []
    predict(store, 4, 1.0)
    scheduler(store, clock).judge_due()
    [alert] = alerts(store)
    assert (alert.state, alert.resolved_by) == ("resolved", "scheduler")


def test_an_alert_ends_when_the_series_is_calm_again_and_may_be_raised_anew(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    levels = [1.0, 5.0, 5.0, 1.0, 1.0, 1.0, 5.0, 5.0, 5.0]
    for day, level in enumerate(levels):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    assert [(alert.incident[:10], alert.state) for alert in alerts(store)] == [
        ("2013-01-03", "resolved"),
        ("2013-01-08", "raised"),
    ]


def test_acknowledging_needs_a_reason_and_happens_once(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    [alert] = alerts(store)
    with pytest.raises(IllegalStep):
        steps.acknowledge_alert(store, alert.id, "ann", " ", clock=clock)
    after = steps.acknowledge_alert(store, alert.id, "ann", "known storm", clock=clock)
    assert (after.state, after.acknowledged_by) == ("acknowledged", "ann")
    assert steps.acknowledge_alert(store, alert.id, "ann", "again", clock=clock) == after
    with pytest.raises(IllegalStep):
        steps.acknowledge_alert(store, alert.id, "bob", "me too", clock=clock)


def test_what_a_policy_without_approval_starts_is_not_put_down_to_a_person(
    store: Store, clock: HandClock
) -> None:
    text = POLICY + NOWHERE.replace("cooldown", "approval: none, cooldown")
    applied = apply_text(store, text, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    [case] = steps.list_cases(store)
    assert (case.state, case.approver, case.proposer) == ("approved", "scheduler", "scheduler")
    [approval] = ledger_of(store, "RetrainingApproved")
    assert approval["actor"] == "scheduler"
    assert approval["by_policy"] is True
    assert "asks for no approval" in approval["reason"]
    assert applied.index in {each["index"] for each in approval["evidence"]}


def test_a_second_case_waits_for_the_first_and_for_the_cooldown(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 1.0, 1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    [first] = steps.list_cases(store)  # the second incident found the first case open
    steps.decide(store, first.id, "approve", "ann", "yes", clock=clock)
    steps.take(store, first.id, "RetrainingDispatched", "scheduler", "", clock=clock)
    steps.take(
        store,
        first.id,
        "RetrainingClosed",
        "scheduler",
        "too long",
        facts={"outcome": "expired"},
        clock=clock,
    )
    clock.pass_days(29)
    scheduler(store, clock).judge_due()
    assert len(steps.list_cases(store)) == 1
    clock.pass_days(1)
    scheduler(store, clock).judge_due()
    second, _ = steps.list_cases(store)
    assert (second.state, second.incident) == ("proposed", "2013-01-07T00:00:00Z")


def test_a_rejected_incident_is_not_proposed_again(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    [case] = steps.list_cases(store)
    steps.decide(store, case.id, "reject", "ann", "a strike, not the model", clock=clock)
    predict(store, 4, 5.0)
    clock.pass_days(90)
    scheduler(store, clock).judge_due()
    assert [each.state for each in steps.list_cases(store)] == ["rejected"]


def test_a_case_that_stands_still_is_closed_and_tells_so(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    work = scheduler(store, clock)
    work.judge_due()
    clock.pass_days(31)
    work.deliver_due()
    work.deliver_due()
    [case] = steps.list_cases(store)
    assert (case.state, case.outcome) == ("closed", "expired")
    assert [(alert.kind, alert.state) for alert in alerts(store)].count(("timeout", "raised")) == 1


def test_a_candidate_with_an_old_time_gets_its_whole_limit(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    work = scheduler(store, clock)
    work.judge_due()
    [case] = steps.list_cases(store)
    steps.decide(store, case.id, "approve", "ann", "yes", clock=clock)
    steps.take(store, case.id, "RetrainingDispatched", "scheduler", "", clock=clock)
    retrainer_of(store, clock)
    body = {
        "id": "release-2",
        "time": "2001-01-01T00:00:00Z",
        "model": {"name": MODEL, "version": "2"},
        "case": case.id,
    }
    store.ledger.append([event_of("VersionReleased", "trainer", body)])
    limit_us = DriftSettings().limits_us["candidate"]
    for wait_us, state in ((0, "candidate"), (limit_us - 1, "candidate"), (1, "closed")):
        clock.now_us += wait_us
        work.deliver_due()
        assert steps.case_of(store, case.id).state == state


def test_who_comes_second_is_told_that_the_case_was_decided(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    [case] = steps.list_cases(store)
    with pytest.raises(SamePerson):
        steps.decide(store, case.id, "approve", "scheduler", "yes", clock=clock)
    steps.decide(store, case.id, "approve", "ann", "yes", clock=clock)
    with pytest.raises(IllegalStep):
        steps.decide(store, case.id, "approve", "bob", "yes", clock=clock)
    with pytest.raises(IllegalStep):
        steps.decide(store, case.id, "reject", "bob", "no", clock=clock)
    assert steps.decide(store, case.id, "approve", "ann", "yes", clock=clock).approver == "ann"
    assert len(ledger_of(store, "RetrainingApproved", "RetrainingRejected")) == 1


def test_a_failing_judge_raises_one_alert_which_ends_when_it_works_again(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2):
        predict(store, day, 1.0)

    def failing(*_: Any) -> list[dict[str, Any]]:
        raise NotJudged("no answer")

    scheduler(store, clock, failing).judge_due()
    scheduler(store, clock, failing).judge_due()
    [alert] = alerts(store)
    assert (alert.kind, alert.state) == ("unjudged", "raised")
    assert "NotJudged" in alert.reason
    scheduler(store, clock).judge_due()
    [alert] = alerts(store)
    assert alert.state == "resolved"


def test_what_a_crash_left_undone_after_the_verdict_is_done_by_the_next_tick(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)

    class Crash(BaseException):
        """Ends the tick as a kill would."""

    class Dying:
        """A ledger whose process dies before the alert."""

        def append(self, events: Any) -> Any:
            if events[0].type == "AlertRaised":
                raise Crash
            return store.ledger.append(events)

    broken = scheduler(dataclasses.replace(store, ledger=cast(Ledger, Dying())), clock)
    with pytest.raises(Crash):
        broken.judge_due()
    assert alerts(store) == []
    assert len(ledger_of(store, "DriftMeasured")) == 2
    scheduler(store, clock).judge_due()
    assert len(alerts(store)) == 1
    assert len(steps.list_cases(store)) == 1
    assert len(ledger_of(store, "DriftMeasured")) == 2


class Segmented(QuickJudge):
    """Says of each window's segment what it is told, and of the whole that it is calm or not."""

    def __init__(self, whole: str, part: str) -> None:
        super().__init__()
        self.said = {"all": whole, "inputs.origin=JFK": part}

    def __call__(self, *arguments: Any) -> list[dict[str, Any]]:
        [body] = super().__call__(*arguments)
        confirmation = {"needed": 1, "of": 1, "seen": 1, "confirmed": True, "entry": "open"}
        return [
            {
                **body,
                "id": f"{body['id']}/{len(segment)}",
                "segment": segment,
                "verdict": verdict,
                "confirmation": {**confirmation, "confirmed": verdict == "shift"},
            }
            for segment, verdict in self.said.items()
        ]


@pytest.mark.parametrize(
    ("whole", "part", "segments"),
    [("ok", "shift", ["inputs.origin=JFK"]), ("shift", "shift", ["all"]), ("ok", "ok", [])],
)
def test_a_segment_raises_an_alert_only_while_the_whole_is_silent(
    store: Store, clock: HandClock, whole: str, part: str, segments: list[str]
) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day in range(4):
        predict(store, day, 1.0)
    scheduler(store, clock, Segmented(whole, part)).judge_due()
    assert [alert.segment for alert in alerts(store)] == segments
    assert len(steps.list_cases(store)) == len(segments)


@pytest.mark.parametrize("segment", ["inputs.origin=\x00", "inputs.note=" + "long " * 1000])
def test_a_segment_named_by_any_value_is_kept(store: Store, clock: HandClock, segment: str) -> None:
    apply_text(store, POLICY, "ann")
    for day in range(4):
        predict(store, day, 1.0)
    judge = Segmented("ok", "shift")
    judge.said[segment] = "shift"
    scheduler(store, clock, judge).judge_due()
    assert {each.segment for each in verdicts(store)} == {*judge.said}
    assert len({key for key, _ in store.documents.list("drift")}) == 3 * 2
    assert all(len(key) < 300 and key.isprintable() for key, _ in store.documents.list("drift"))


def test_the_story_is_the_same_over_either_database(
    database: str, tmp_path: Path, clock: HandClock
) -> None:
    found = opened(tmp_path / "own", clock, database=database)
    try:
        apply_text(found, POLICY + NOWHERE, "ann")
        for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
            predict(found, day, level)
        scheduler(found, clock).judge_due()
        [case] = steps.list_cases(found)
        steps.decide(found, case.id, "approve", "ann", "yes", clock=clock)
        scheduler(found, clock).deliver_due()
        assert told(found) == [("2013-01-02", "shift"), ("2013-01-03", "shift")]
        assert [alert.kind for alert in alerts(found)] == ["shift"]
        assert steps.case_of(found, case.id).state == "approved"
        assert [item.attempts for item in found.work.list("outbox")] == [1]
    finally:
        found.close()


@pytest.mark.parametrize(("listed", "believed"), [(True, "registry"), (False, "tower")])
def test_the_first_sender_or_those_listed_may_register_a_candidate_and_no_later_sender(
    store: Store, clock: HandClock, listed: bool, believed: str
) -> None:
    more = "releases: {from: [registry]}\n" if listed else ""
    apply_text(store, POLICY + NOWHERE + more, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    predict(store, 1, 1.0, rows=1, version="x", integration="second")
    scheduler(store, clock).judge_due()
    [case] = steps.list_cases(store)
    assert case.senders == (() if listed else ("tower",))
    steps.decide(store, case.id, "approve", "ann", "yes", clock=clock)
    others = ["tower"] if listed else ["registry"]
    for integration in ("rival", "second", *others, believed, "trainer"):
        if integration == "trainer":
            retrainer_of(store, clock)
        body = {
            "id": "release-2",
            "time": "2013-03-01T00:00:00Z",
            "model": {"name": MODEL, "version": f"of-{integration}"},
            "case": case.id,
        }
        store.ledger.append([event_of("VersionReleased", integration, body)])
    found = steps.case_of(store, case.id)
    assert (found.state, found.candidate) == ("candidate", f"of-{believed}")
    told = [(step.actor, step.reason) for step in found.ignored]
    assert told == [
        ("rival", "unverified source"),
        ("second", "unverified source"),
        (others[0], "unverified source"),
        ("trainer", ""),
    ]
