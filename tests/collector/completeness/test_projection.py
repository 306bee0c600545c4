"""Documents of completeness follow from the events alone, one by one."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audit import fsck, rebuild
from audit.clock import system_clock
from audit.documents import Applied
from audit.events import Event, event_of, micros
from audit.settings import AuditSettings
from audit.store import open_store
from collector.completeness import followed, told
from collector.completeness.followed import (
    PRODUCER,
    PRODUCERS,
    Producer,
    Producers,
    decode_producer,
    decode_producers,
)
from collector.completeness.projection import Completeness
from tests.collector.completeness.views import Shelf
from tests.collector.conftest import prediction

TEN = "2026-01-31T10:00:00Z"
ELEVEN = "2026-01-31T11:00:00Z"


def logged(number: int | None, producer: str | None = "gate", at: str = TEN) -> Event:
    fields: dict[str, Any] = {"time": at}
    if number is not None:
        fields["sequence"] = number
    if producer is not None:
        fields["producer"] = producer
    return event_of("PredictionLogged", "web", prediction(f"{producer}-{number}", **fields))


def reported(counts: dict[str, int], producer: str | None = "gate", **more: Any) -> Event:
    body = {"id": os.urandom(8).hex(), "time": ELEVEN, "from": TEN, "to": ELEVEN, "counts": counts}
    return event_of(
        "CountsReported", "web", {**body, **more, **({"producer": producer} if producer else {})}
    )


def applied(*events: Event, groups: int = 1, shelf: Shelf | None = None) -> Shelf:
    shelf = shelf or Shelf()
    entries = [Applied(place, event) for place, event in enumerate(events)]
    for start in range(0, len(entries), groups):
        Completeness().apply(entries[start : start + groups], shelf)
    return shelf


def producers(shelf: Shelf) -> dict[str, Producer]:
    found = [decode_producer(body) for _, body in shelf.list(PRODUCER, limit=10_000)]
    return {each.name: each for each in found}


def known(shelf: Shelf) -> Producers:
    return decode_producers(shelf.kept[PRODUCERS, "web"])


def test_events_without_producer_and_number_leave_nothing() -> None:
    assert applied(logged(None, None)).kept == {}


def test_a_word_inside_the_inputs_is_no_producer() -> None:
    event = event_of("PredictionLogged", "web", prediction(inputs={"producer": 1, "sequence": 2}))
    assert applied(event).kept == {}


def test_numbers_hours_and_reports_are_kept_by_producer() -> None:
    shelf = applied(
        logged(1), logged(3), logged(7, "other"), reported({"PredictionLogged": 3}, dropped=1)
    )
    gate = producers(shelf)["gate"]
    assert [(gap.first, gap.last) for gap in gate.seen.gaps()] == [(2, 2)]
    hour = micros(TEN) // followed.HOUR_US
    assert gate.hours == {str(hour): {"PredictionLogged": 2}}
    [report] = gate.reports.values()
    assert (report.counts, report.dropped) == ({"PredictionLogged": 3}, 1)
    assert gate.counted(report.start_us, report.end_us) == {"PredictionLogged": 2}
    assert producers(shelf)["other"].seen.missing() == 0


def test_a_later_report_of_the_same_time_takes_the_place_of_the_former() -> None:
    shelf = applied(reported({"PredictionLogged": 3}), reported({"PredictionLogged": 4}))
    [report] = producers(shelf)["gate"].reports.values()
    assert report.counts == {"PredictionLogged": 4}


def test_a_report_that_tells_its_numbers_shows_what_is_missing_at_the_ends() -> None:
    shelf = applied(logged(2), reported({}, numbers={"first": 1, "last": 4}))
    assert producers(shelf)["gate"].seen.missing() == 3


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 40), st.sampled_from(["a", "b", None]), st.sampled_from([TEN, ELEVEN])
        ),
        max_size=40,
    ),
    st.integers(1, 40),
)
def test_how_events_were_grouped_changes_no_document(
    told: list[tuple[int, str | None, str]], groups: int
) -> None:
    events = [logged(*each) for each in told]
    assert applied(*events, groups=groups).kept == applied(*events, groups=1).kept


def test_a_name_that_changes_with_every_event_is_soon_no_longer_followed() -> None:
    shelf = applied(*(logged(1, f"p{number}") for number in range(2_000)), groups=500)
    assert len(producers(shelf)) < 150
    assert known(shelf).strange == 2_000 - len(producers(shelf))


def test_a_new_producer_takes_the_place_of_the_one_longest_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(followed, "MOST_PRODUCERS", 3)
    shelf = applied(
        logged(1, "idle"), logged(4, "idle"), logged(1, "b"), logged(1, "c"), logged(2, "b"),
        logged(1, "new"), groups=2,
    )  # fmt: skip
    assert producers(shelf).keys() == {"b", "c", "new"}
    assert (known(shelf).forgotten, known(shelf).forgotten_missing) == (1, 2)


def test_only_the_newest_hours_are_kept_and_older_ones_are_not_called_complete(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(followed, "MOST_HOURS", 2)
    times = [f"2026-01-31T{hour:02}:00:00Z" for hour in (5, 6, 7)]
    [gate] = producers(applied(*(logged(n, at=at) for n, at in enumerate(times)))).values()
    assert gate.counted(micros(times[0]), micros(times[1])) is None
    assert gate.counted(micros(times[1]), micros(times[2])) == {"PredictionLogged": 1}


def test_a_rebuild_gives_the_same_documents_and_fsck_finds_them_right(tmp_path: Path) -> None:
    audit = AuditSettings(data=tmp_path)
    store = open_store(audit, [Completeness()], clock=system_clock, random=os.urandom)
    for start in range(0, 60, 7):
        events = [logged(n * 2 % 61, f"p{n % 3}") for n in range(start, start + 7)]
        store.ledger.append([*events, reported({"PredictionLogged": start})])
    before = {kind: list(store.documents.each(kind)) for kind in Completeness.kinds}
    assert len(before[PRODUCER]) == 4
    rebuild.run(store)
    assert before == {kind: list(store.documents.each(kind)) for kind in Completeness.kinds}
    store.close()
    said: list[str] = []
    found = fsck.run(audit, deep=True, earlier=(), report=said.append, projections=[Completeness()])
    assert found == fsck.OK, said


def test_the_largest_numbers_of_many_producers_break_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(followed, "MOST_PRODUCERS", 2)
    names = ["a", "b", "c", "d", "e"]
    shelf = applied(*(logged(n, name) for name in names for n in (0, 2**63 - 1)))
    assert known(shelf).forgotten == 3
    assert told.gaps(shelf, "web").missing == 2**63 - 1
