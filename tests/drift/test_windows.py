"""Windows: contiguous, none left out, closed by the watermark."""

import calendar
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drift.policy import parse
from drift.windows import Window, due, reference_of, watermark, window_at

CADENCES = ["month", "week", "day", "hour", "7d", "6h", "90m"]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
DAY = 86_400_000_000
instants = st.integers(
    min_value=(datetime(1950, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1),
    max_value=(datetime(2100, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1),
)


def micros(*date: int) -> int:
    return (datetime(*date, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)  # type: ignore[misc, arg-type]  # year, month, day and on


@given(st.sampled_from(CADENCES), instants)
def test_the_window_at_an_instant_holds_it(cadence: str, at_us: int) -> None:
    window = window_at(cadence, at_us)
    assert window.start_us <= at_us < window.end_us
    assert window_at(cadence, window.start_us) == window
    assert window_at(cadence, window.end_us - 1) == window
    assert window_at(cadence, window.end_us).start_us == window.end_us


@given(st.sampled_from(CADENCES), instants, st.integers(0, 40), st.integers(0, 40 * DAY))
def test_due_windows_touch_and_none_is_left_out(
    cadence: str, first_us: int, days: int, late_us: int
) -> None:
    mark = first_us + days * DAY - late_us
    windows = list(due(cadence, first_us, mark))
    if windows:
        assert windows[0].start_us <= first_us < windows[0].end_us
        assert windows[-1].end_us <= mark
    for before, after in pairwise(windows):
        assert before.end_us == after.start_us
    following = window_at(cadence, windows[-1].end_us if windows else first_us)
    assert following.end_us > mark


@given(st.sampled_from(CADENCES), instants, st.integers(0, 60))
def test_going_on_after_any_window_lists_the_same_rest(
    cadence: str, first_us: int, days: int
) -> None:
    windows = list(due(cadence, first_us, first_us + days * DAY // 4))
    for place, window in enumerate(windows[:5]):
        rest = due(cadence, first_us, first_us + days * DAY // 4, after=window)
        assert list(rest) == windows[place + 1 :]


@pytest.mark.parametrize("year", [2012, 2013, 2100])
def test_months_have_their_lengths_leap_years_too(year: int) -> None:
    months = list(due("month", micros(year, 1, 15), micros(year + 1, 1, 1)))
    lengths = [(window.end_us - window.start_us) // DAY for window in months]
    assert lengths == [calendar.monthrange(year, month)[1] for month in range(1, 13)]


@pytest.mark.parametrize("day", [(2013, 3, 10), (2013, 3, 31), (2013, 10, 27), (2013, 11, 3)])
def test_days_have_24_hours_when_clocks_change_elsewhere(day: tuple[int, int, int]) -> None:
    window = window_at("day", micros(*day, 12))
    assert window == Window(micros(*day), micros(*day) + DAY)
    assert len(list(due("hour", window.start_us, window.end_us))) == 24


def test_weeks_start_on_monday() -> None:
    start = window_at("week", micros(2013, 1, 3)).start_us
    assert (EPOCH + timedelta(microseconds=start)).weekday() == 0
    assert start == micros(2012, 12, 31)


def test_a_window_is_closed_when_the_watermark_reaches_its_end() -> None:
    end = micros(2013, 2, 1)
    assert list(due("month", micros(2013, 1, 9), end - 1)) == []
    assert list(due("month", micros(2013, 1, 9), end)) == [Window(micros(2013, 1, 1), end)]


def test_a_clock_that_runs_ahead_closes_no_window_to_come() -> None:
    now, late = micros(2013, 6, 15), 6 * 3_600_000_000
    assert watermark(micros(2099, 1, 1), now, late) == now - late
    assert watermark(micros(2013, 6, 1), now, late) == micros(2013, 6, 1) - late


def test_a_first_event_in_the_far_future_lists_nothing() -> None:
    assert list(due("month", micros(9999, 12, 31), micros(2013, 1, 1))) == []


def test_a_trailing_reference_ends_where_the_window_starts() -> None:
    head = "kind: policy\nmodel: m\nwindow: day\ncolumns: {a: {kind: numeric}}\nreference: "
    window = window_at("day", micros(2013, 5, 1))
    trailing = reference_of(parse(head + "{trailing: 30d}"), window)
    assert trailing == Window(window.start_us - 30 * DAY, window.start_us)
    fixed = parse(head + "{from: 2013-01-01T00:00:00Z, to: 2013-02-01T00:00:00Z}")
    assert reference_of(fixed, window) == Window(micros(2013, 1, 1), micros(2013, 2, 1))
