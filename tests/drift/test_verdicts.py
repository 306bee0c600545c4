"""What a judgement reads back of earlier verdicts: as much as its rule looks at."""

from audit.store import Store
from drift.apply import apply_text
from drift.verdicts import SPARE_WINDOWS, history, read
from tests.drift.governance import MODEL, POLICY, HandClock, predict, scheduler, verdicts

BEFORE = "2013-02-01T00:00:00Z"


def test_history_goes_back_as_far_as_the_rule_looks_and_no_further(
    store: Store, clock: HandClock
) -> None:
    revision = apply_text(store, POLICY, "ann").revision
    for day in range(14):
        predict(store, day, 1.0)
    assert scheduler(store, clock).judge_due() == 12
    known = history(store.documents, MODEL, "1", revision, BEFORE, 3)
    days = [read(each).window.start[:10] for each in known["all"]]
    assert days == [f"2013-01-{day:02d}" for day in (9, 10, 11, 12, 13)]
    assert len(days) == 3 + SPARE_WINDOWS
    assert history(store.documents, MODEL, "2", revision, BEFORE, 3) == {}


def test_windows_that_could_not_be_judged_do_not_shorten_the_history(
    store: Store, clock: HandClock
) -> None:
    revision = apply_text(store, POLICY, "ann").revision
    for day in range(14):
        predict(store, day, 1.0, rows=2 if day in {9, 11, 12} else 40)
    assert scheduler(store, clock).judge_due() == 12
    told = [each.verdict for each in verdicts(store)]
    assert told.count("insufficient") == 3
    known = history(store.documents, MODEL, "1", revision, BEFORE, 3)
    found = [read(each).verdict for each in known["all"]]
    assert found.count("ok") == 3 + SPARE_WINDOWS
    assert found == told[-len(found) :]
