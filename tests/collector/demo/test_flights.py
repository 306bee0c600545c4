"""The flights: real, chosen evenly, placed in time, and without people."""

import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from collector.demo import flights
from collector.demo.flights import MINUTE_US, Flight


@pytest.fixture(scope="module")
def year() -> list[Flight]:
    return flights.load()


@pytest.fixture(scope="module")
def sample() -> list[Flight]:
    return flights.load(6_000)


def month_of(flight: Flight) -> str:
    return datetime.fromtimestamp(flight.asked_us / 1e6, UTC).strftime("%Y-%m")


def test_every_flight_of_the_year_is_there_once(year: list[Flight]) -> None:
    assert len(year) == 336_776
    assert len({flight.id for flight in year}) == len(year)


def test_the_first_flight_leaves_when_the_table_says(year: list[Flight]) -> None:
    first = next(flight for flight in year if flight.id == "20130101-EWR-UA1545")
    # Scheduled 05:15 in New York, two minutes late; 3 h 4 min to Houston by both clocks and
    # an hour more by the sun; 11 minutes late on arrival.
    assert flights.rfc3339(first.asked_us) == "2013-01-01T10:17:00Z"
    assert first.planned == 244
    assert first.known_us - first.asked_us == (244 - 2 + 11 + 20) * MINUTE_US
    assert first.inputs == {
        "dep_delay": 2,
        "sched_minute": 315,
        "planned_minutes": 244,
        "carrier": "UA",
        "origin": "EWR",
        "dest": "IAH",
    }


def test_summer_time_does_not_lengthen_a_flight_to_phoenix(year: list[Flight]) -> None:
    """Arizona keeps standard time; read as clocks, its flights would drift by an hour in March."""
    lengths = {
        month: [f.planned for f in year if f.dest == "PHX" and month_of(f) == month]
        for month in ("2013-02", "2013-07")
    }
    means = [sum(each) / len(each) for each in lengths.values()]
    assert abs(means[0] - means[1]) < 30


def test_flights_come_in_the_order_in_which_they_are_asked_about(year: list[Flight]) -> None:
    asked = [flight.asked_us for flight in year]
    assert asked == sorted(asked)
    assert all(flight.known_us > flight.asked_us for flight in year)


def test_a_cancelled_flight_has_no_delay_and_no_label(year: list[Flight]) -> None:
    cancelled = [flight for flight in year if flight.outcome == "cancelled"]
    assert len(cancelled) == 8_255
    assert all(flight.dep_delay is None and flight.label is None for flight in cancelled)
    assert {flight.outcome for flight in year} == {"late", "on-time", "cancelled", "diverted"}


def test_a_sample_is_the_same_each_time_and_keeps_the_share_of_every_month(
    year: list[Flight], sample: list[Flight]
) -> None:
    assert sample == flights.load(6_000)
    assert len(sample) == 6_000
    whole, part = Counter(map(month_of, year)), Counter(map(month_of, sample))
    for month in set(whole) - {"2014-01"}:
        assert part[month] / len(sample) == pytest.approx(whole[month] / len(year), rel=0.02)


def test_the_last_flight_of_the_year_is_in_every_sample(
    year: list[Flight], sample: list[Flight]
) -> None:
    """It closes December: nothing after it could move the watermark."""
    assert sample[-1] == year[-1]
    assert flights.rfc3339(year[-1].asked_us) > "2014-01-01T02:00:00Z"


def test_no_field_of_a_flight_can_hold_a_person(sample: list[Flight]) -> None:
    shapes = {
        "id": r"\d{8}-[A-Z]{3}-[A-Z0-9]{2}\d{1,4}",
        "carrier": r"[A-Z0-9]{2}",
        "number": r"[A-Z0-9]{2}\d{1,4}",
        "tail": r"([ND][A-Z0-9]{4,5})?",
        "origin": r"EWR|JFK|LGA",
        "dest": r"[A-Z]{3}",
        "outcome": r"late|on-time|cancelled|diverted",
    }
    texts = {name for name in Flight.__struct_fields__ if isinstance(getattr(sample[0], name), str)}
    assert texts == set(shapes)
    for name, shape in shapes.items():
        assert all(re.fullmatch(shape, getattr(flight, name)) for flight in sample), name
