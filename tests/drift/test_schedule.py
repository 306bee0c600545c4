"""The scheduler over a real store: which windows are judged, when, and how often."""

import threading

import msgspec
import pytest

from audit.events import micros
from audit.store import Store
from drift.apply import apply_text
from drift.errors import BadPolicy
from tests.drift.governance import (
    MODEL,
    POLICY,
    HandClock,
    QuickJudge,
    ledger_of,
    predict,
    scheduler,
    told,
    verdicts,
)


def test_an_unlisted_sender_shifts_no_window_opens_none_and_moves_no_watermark(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY + "predictions: {from: [tower]}\n", "ann")
    for day in range(3):
        predict(store, day, 1.0)
        predict(store, day, 90.0, rows=80, integration="evil")
    predict(store, 1, 9.0, version="evil-version", integration="evil")
    predict(store, 20, 9.0, integration="evil")  # far ahead: it would close the last day
    scheduler(store, clock).judge_due()
    assert told(store) == [("2013-01-02", "ok")]
    [body] = ledger_of(store, "DriftMeasured")
    assert body["window"]["rows"] == body["reference"]["rows"] == 40
    counted = {"used": {"tower": 40}, "not_used": {"source not listed": {"evil": 80}}}
    assert body["predictions"] == {"window": counted, "reference": counted}


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


def test_only_the_holder_of_the_lease_judges(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2):
        predict(store, day, 1.0)
    assert store.work.claim("scheduler", "other", 60)
    assert scheduler(store, clock).judge_due() == 0
    clock.now_us += 61_000_000
    assert scheduler(store, clock).judge_due() == 1


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
