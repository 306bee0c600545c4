"""Every time format of senders gives the moment that was meant, or is refused."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.events import EPOCH, LATEST_US, rfc3339
from collector.adapters import times
from collector.errors import CollectorError, Invalid

MOMENTS = st.integers(0, LATEST_US - 1)
OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59)


def local_text(us: int, minutes: int) -> str:
    """A moment as people write it in a zone that is some minutes ahead of UTC."""
    moment = EPOCH + timedelta(microseconds=us)
    return moment.astimezone(timezone(timedelta(minutes=minutes))).isoformat()


@given(MOMENTS)
def test_our_own_form_is_read_back_and_needs_no_original(us: int) -> None:
    read = times.of_text(rfc3339(us))
    assert read.us == us
    assert read.original is None


@given(st.integers(LATEST_US // 10, LATEST_US // 10 * 9), OFFSETS)
def test_an_offset_is_taken_off_and_the_text_is_kept(us: int, minutes: int) -> None:
    text = local_text(us, minutes)
    read = times.of_text(text)
    assert read.us == us
    assert read.text == text


@given(st.integers(LATEST_US // 10, LATEST_US // 10 * 9), OFFSETS)
def test_a_local_time_is_read_in_the_declared_zone(us: int, minutes: int) -> None:
    sign, ahead = ("-" if minutes < 0 else "+"), abs(minutes)
    zone = f"{sign}{ahead // 60:02d}:{ahead % 60:02d}"
    naive = local_text(us, minutes)[: -len(zone)].replace("T", " ")
    assert times.of_text(naive, zone).us == us


@given(st.integers(0, LATEST_US // 1000 - 1), st.sampled_from(["", "+0000", "-0700", "+0530"]))
def test_milliseconds_of_dotnet_are_utc_whatever_offset_stands_beside(ms: int, offset: str) -> None:
    assert times.of_text(f"/Date({ms}{offset})/").us == ms * 1000


@given(MOMENTS, st.sampled_from(["s", "ms", "us", "ns"]))
def test_whole_numbers_are_exact_in_every_unit(us: int, unit: times.Unit) -> None:
    per = {"s": 1_000_000, "ms": 1000, "us": 1}
    number = us * 1000 + 999 if unit == "ns" else us // per[unit]
    expected = us if unit == "ns" else us // per[unit] * per[unit]
    assert times.of_number(number, unit).us == expected
    assert times.of_value(str(number), unit=unit).us == expected


def test_nanoseconds_are_cut_and_kept_as_text() -> None:
    read = times.of_text("2025-01-14T19:31:42.692223355Z")
    assert read.rfc3339 == "2025-01-14T19:31:42.692223Z"
    assert read.original == "2025-01-14T19:31:42.692223355Z"


def test_a_leap_second_is_the_next_second() -> None:
    assert times.of_text("2016-12-31T23:59:60Z").rfc3339 == "2017-01-01T00:00:00Z"


def test_a_named_zone_knows_summer_from_winter_and_takes_the_first_of_two() -> None:
    berlin = "Europe/Berlin"
    assert times.of_text("2026-07-01 12:00:00", berlin).rfc3339 == "2026-07-01T10:00:00Z"
    assert times.of_text("2026-01-01 12:00:00", berlin).rfc3339 == "2026-01-01T11:00:00Z"
    assert times.of_text("2026-10-25 02:30:00", berlin).rfc3339 == "2026-10-25T00:30:00Z"


def test_a_time_without_a_zone_is_refused_with_the_remedy() -> None:
    with pytest.raises(Invalid, match="says no zone") as caught:
        times.of_text("2021-11-12 14:16:35")
    assert "zone" in caught.value.remedy


@pytest.mark.parametrize("zone", ["Berlin", "../etc/passwd", "+25:00", "x\0y", "UTC+2"])
def test_a_zone_that_is_none_is_refused(zone: str) -> None:
    with pytest.raises(Invalid, match="zone"):
        times.of_text("2021-11-12 14:16:35", zone)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01",
        "20260101T000000Z",
        "2026-W01-1T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+23:59",
        "2026-01-01T00:00:00Zulu",
        "/Date(-1)/",
        "/Date(99999999999999999)/",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00Z" + " " * 100,
    ],
)
def test_what_is_no_time_of_ours_is_refused(text: str) -> None:
    with pytest.raises(Invalid):
        times.of_text(text)


@pytest.mark.parametrize("number", [True, -1, 10**30, float("nan"), float("inf"), 1e300])
def test_numbers_that_are_no_times_are_refused(number: float) -> None:
    with pytest.raises(Invalid):
        times.of_number(number)


@given(st.text(max_size=80) | st.integers() | st.floats() | st.none() | st.booleans(), st.text())
def test_nothing_but_a_refusal_escapes(value: object, zone: str) -> None:
    try:
        read = times.of_value(value, zone)
    except CollectorError:
        return
    assert 0 <= read.us < LATEST_US
    assert datetime.fromisoformat(read.rfc3339).tzinfo == UTC
