"""The scheduler over a real store: which windows are judged, when, and what follows."""

import dataclasses
import threading
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest

from audit.events import micros
from audit.ledger import Ledger
from audit.store import Store
from drift import steps
from drift.alerts import Alert
from drift.apply import apply_text
from drift.errors import BadPolicy, IllegalStep, NotJudged, SamePerson
from drift.schedule import Scheduler
from drift.settings import DriftSettings
from drift.verdicts import Verdict, read
from tests.drift.governance import (
    MODEL,
    POLICY,
    RETRAIN,
    HandClock,
    QuickJudge,
    access_to,
    ledger_of,
    opened,
    predict,
)

NOWHERE = RETRAIN % "http://127.0.0.1:9/"


def scheduler(store: Store, clock: HandClock, judge: Any = None, holder: str = "a") -> Scheduler:
    return Scheduler(
        store,
        access_to(store, clock),
        DriftSettings(),
        judge or QuickJudge(),
        holder,
        clock=clock,
        environment={},
    )


def verdicts(store: Store) -> list[Verdict]:
    return [read(body) for _, body in store.documents.list("drift", f"{MODEL}/")]


def told(store: Store) -> list[tuple[str, str]]:
    return [(each.window.start[:10], each.verdict) for each in verdicts(store)]


def alerts(store: Store) -> list[Alert]:
    return [msgspec.json.decode(body, type=Alert) for _, body in store.documents.list("alert")]


def test_closed_windows_are_judged_in_order_and_only_once(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2, 3, 4):
        predict(store, day, 1.0)
    judge = QuickJudge()
    first = scheduler(store, clock, judge)
    assert first.judge_due() == 3
    # Day 0 is the reference itself; day 4 is not closed: nothing newer has come.
    assert judge.judged == [f"2013-01-0{day}T00:00:00Z" for day in (2, 3, 4)]
    assert first.judge_due() == 0
    assert len(ledger_of(store, "DriftMeasured")) == 3


def test_a_window_waits_for_its_lateness(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY.replace("lateness: 1h", "lateness: 2d"), "ann")
    for day in (0, 1, 2, 3):
        predict(store, day, 1.0)
    assert scheduler(store, clock).judge_due() == 0
    predict(store, 4, 1.0)
    assert scheduler(store, clock).judge_due() == 1


def test_windows_missed_in_a_downtime_are_caught_up_oldest_first(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    predict(store, 0, 1.0)
    predict(store, 1, 1.0)
    predict(store, 2, 1.0)
    assert scheduler(store, clock).judge_due() == 1
    for day in range(3, 9):
        predict(store, day, 1.0)
    judge = QuickJudge()
    assert scheduler(store, clock, judge).judge_due() == 6
    assert judge.judged == sorted(judge.judged)
    assert [day for day, _ in told(store)] == [f"2013-01-0{day}" for day in range(2, 9)]


def test_each_version_is_judged_while_it_predicts(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2):
        predict(store, day, 1.0)
    for day in (2, 3, 4):
        predict(store, day, 1.0, version="2")
    scheduler(store, clock).judge_due()
    found = [(each.window.start[8:10], each.model.version) for each in verdicts(store)]
    assert found == [("02", "1"), ("03", "1"), ("03", "2"), ("04", "2")]


def test_a_long_silence_is_told_and_not_without_end(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 20, 21):
        predict(store, day, 1.0)
    scheduler(store, clock).judge_due()
    assert told(store) == [
        ("2013-01-02", "ok"),
        ("2013-01-03", "insufficient"),
        ("2013-01-04", "insufficient"),
        ("2013-01-05", "insufficient"),
        ("2013-01-21", "ok"),
    ]


def test_a_revised_policy_goes_on_where_the_earlier_one_stopped(
    store: Store, clock: HandClock
) -> None:
    before = apply_text(store, POLICY, "ann")
    for day in (0, 1, 2, 3):
        predict(store, day, 1.0)
    scheduler(store, clock).judge_due()
    after = apply_text(store, POLICY.replace("minimum_rows: 20", "minimum_rows: 21"), "bob")
    predict(store, 4, 1.0)
    scheduler(store, clock).judge_due()
    assert [each.policy.revision for each in verdicts(store)] == [
        before.revision,
        before.revision,
        after.revision,
    ]


def test_applying_the_same_meaning_again_appends_nothing(store: Store) -> None:
    first = apply_text(store, POLICY, "ann")
    again = apply_text(store, POLICY.replace("window: day", "window:   day") + "\n\n", "bob")
    assert first.changed
    assert not again.changed
    assert again.index == first.index
    other = apply_text(store, POLICY.replace("1h", "2h"), "bob")
    back = apply_text(store, POLICY, "ann")
    assert other.changed
    assert back.changed
    [*_, last] = changes = ledger_of(store, "PolicyChanged")
    assert len(changes) == 3
    assert (last["actor"], last["policy"]["revision"]) == ("ann", first.revision)


def test_a_bad_policy_appends_nothing(store: Store) -> None:
    with pytest.raises(BadPolicy):
        apply_text(store, POLICY.replace("window: day", "window: fortnight"), "ann")
    assert ledger_of(store, "PolicyChanged") == []


def test_rows_are_read_only_after_the_access_is_on_the_ledger(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2):
        predict(store, day, 1.0)
    scheduler(store, clock).judge_due()
    found = ledger_of(store, "AccessRecorded", "DriftMeasured")
    assert [each["type"] for each in found] == [*["AccessRecorded"] * 2, "DriftMeasured"]
    assert {each["filter"]["from"] for each in found[:2]} == {
        "2013-01-01T00:00:00Z",
        "2013-01-02T00:00:00Z",
    }
    assert {(each["actor"], each["action"]) for each in found[:2]} == {("scheduler", "judge_drift")}


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
        assert store.reader.leaf(evidence["index"]).hash.hex() == evidence["leaf_hash"]
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


def test_a_policy_that_asks_for_no_approval_is_approved_by_its_author(
    store: Store, clock: HandClock
) -> None:
    text = POLICY + NOWHERE.replace("cooldown", "approval: none, cooldown")
    apply_text(store, text, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    [case] = steps.list_cases(store)
    assert (case.state, case.approver, case.proposer) == ("approved", "ann", "scheduler")


def test_a_second_case_waits_for_the_first_and_for_the_cooldown(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 1.0, 1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    [first] = steps.list_cases(store)  # the second incident found the first case open
    steps.approve(store, first.id, "ann", "yes", clock=clock)
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
    steps.reject(store, case.id, "ann", "a strike, not the model", clock=clock)
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


def test_who_comes_second_is_told_that_the_case_was_decided(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY + NOWHERE, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    scheduler(store, clock).judge_due()
    [case] = steps.list_cases(store)
    with pytest.raises(SamePerson):
        steps.approve(store, case.id, "scheduler", "yes", clock=clock)
    steps.approve(store, case.id, "ann", "yes", clock=clock)
    with pytest.raises(IllegalStep):
        steps.approve(store, case.id, "bob", "yes", clock=clock)
    with pytest.raises(IllegalStep):
        steps.reject(store, case.id, "bob", "no", clock=clock)
    assert steps.approve(store, case.id, "ann", "yes", clock=clock).approver == "ann"
    assert len(ledger_of(store, "RetrainingApproved", "RetrainingRejected")) == 1


def test_only_the_holder_of_the_lease_judges(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2):
        predict(store, day, 1.0)
    assert store.work.claim("scheduler", "other", 60)
    assert scheduler(store, clock).judge_due() == 0
    clock.now_us += 61_000_000
    assert scheduler(store, clock).judge_due() == 1


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


def test_stopping_leaves_the_rest_for_later(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in range(5):
        predict(store, day, 1.0)
    stop = threading.Event()
    stop.set()
    assert scheduler(store, clock).judge_due(stop) == 0
    assert scheduler(store, clock).judge_due() == 3


def test_summaries_hold_no_report_and_name_their_entry(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2):
        predict(store, day, 1.0)
    scheduler(store, clock).judge_due()
    [(key, body)] = store.documents.list("drift")
    summary = msgspec.json.decode(body)
    [event] = ledger_of(store, "DriftMeasured")
    assert key == f"{MODEL}/2013-01-02T00:00:00Z/1/all"
    assert "report" in event
    assert "report" not in summary
    assert summary["index"] == event["at"]
    assert micros(summary["time"]) == micros("2013-01-03T00:00:00Z")


def test_a_live_model_is_looked_at_again_when_its_window_closes(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    for day in range(4):
        predict(store, day, 1.0)
    clock.now_us = micros("2013-01-04T23:30:00Z")
    live = scheduler(store, clock)
    assert live.judge_due() == 2
    predict(store, 4, 1.0)  # some of it lies ahead of the clock, which closes no window
    for minutes in (0, 1, 30, 85):
        clock.now_us = micros("2013-01-04T23:31:00Z") + minutes * 60_000_000
        assert live.judge_due() == 0
    clock.now_us = micros("2013-01-05T01:00:00Z")
    assert live.judge_due() == 1


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
                "id": f"{body['id']}/{segment}",
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


def test_the_story_is_the_same_over_either_database(
    database: str, tmp_path: Path, clock: HandClock
) -> None:
    found = opened(tmp_path / "own", clock, database)
    try:
        apply_text(found, POLICY + NOWHERE, "ann")
        for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
            predict(found, day, level)
        scheduler(found, clock).judge_due()
        [case] = steps.list_cases(found)
        steps.approve(found, case.id, "ann", "yes", clock=clock)
        scheduler(found, clock).deliver_due()
        assert told(found) == [("2013-01-02", "shift"), ("2013-01-03", "shift")]
        assert [alert.kind for alert in alerts(found)] == ["shift"]
        assert steps.case_of(found, case.id).state == "approved"
        assert [item.attempts for item in found.work.list("outbox")] == [1]
    finally:
        found.close()
