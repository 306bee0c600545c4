"""What counts as trouble, and what does not."""

from random import Random
from typing import Any

import pytest

from collector.checks import rules
from collector.checks.history import HOUR_US, MINUTE_US, History, Minute
from collector.checks.rules import Facts, Finding, changed, findings, length

NOW_US = 500_000 * HOUR_US
HOUR = 490_000 * 24


def found(history: History | None = None, **facts: Any) -> dict[str, Finding]:
    told = Facts(now_us=NOW_US, history=history or History(), **facts)
    return {each.kind: each for each in findings(told)}


def of_minutes(**fields: Any) -> History:
    at = NOW_US // MINUTE_US
    return History(minutes=[Minute(at - back, **fields) for back in range(9, -1, -1)])


def test_of_whom_nothing_is_known_nothing_is_wrong() -> None:
    assert found() == {}


def test_silence_is_longer_than_the_cadence() -> None:
    history = History(logged_us=NOW_US - HOUR_US)
    assert found(history, cadence_us=HOUR_US) == {}
    assert found(history) == {}
    told = found(history, cadence_us=HOUR_US - MINUTE_US)["silence"]
    assert told.severity == "bad"
    assert told.reason == "nothing logged for 1 h; declared cadence: 59 min"


def test_silence_begins_with_the_declaration_where_nothing_ever_came() -> None:
    assert found(cadence_us=HOUR_US, declared_us=NOW_US - HOUR_US // 2) == {}
    told = found(cadence_us=HOUR_US, declared_us=NOW_US - 2 * HOUR_US)["silence"]
    assert "nothing since it was declared" in told.reason


def weeks(*, day: int = 1_000, night: int = 10, sunday: int = 40) -> dict[int, int]:
    """Four weeks and a day of hours, with quiet nights and Sundays, and some chance."""
    chance = Random(3)
    hours = {}
    for hour in range(HOUR - 29 * 24, HOUR + 5 * 24):
        usual = night if hour % 24 < 6 else sunday if hour // 24 % 7 == 0 else day
        hours[hour] = max(0, round(chance.gauss(usual, usual**0.5)))
    return hours


def test_no_hour_of_usual_weeks_is_an_alarm() -> None:
    hours = weeks()
    since = min(hours)
    assert [hour for hour in hours if changed(hours, since, hour)] == []


@pytest.mark.parametrize("times", [0, 0.2, 4])
def test_an_hour_that_differs_is_an_alarm(times: float) -> None:
    hours = weeks()
    noon = HOUR + 3 * 24 + 12
    hours[noon] = round(hours[noon] * times)
    told = changed(hours, min(hours), noon)
    assert told.startswith(f"{hours[noon]:,} events in an hour that usually has 9")


def test_a_quiet_night_is_never_an_alarm() -> None:
    hours = weeks()
    for night in (HOUR + 2, HOUR + 3):
        hours[night] = 0
        assert changed(hours, min(hours), night) == ""


def test_without_a_week_of_history_nothing_is_unusual() -> None:
    hours = {HOUR + each: 1_000 for each in range(7 * 24)}
    late = HOUR + 7 * 24
    assert changed({**hours, late: 0}, HOUR, late) == ""
    assert changed({**hours, late + 1: 0}, HOUR, late + 1) != ""
    assert changed({}, -1, HOUR) == ""


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"predictions": 10, "errors": 1}, "errors"),
        ({"accepted": 90, "refused": 10}, "rejects"),
        ({"accepted": 90, "alone": 10}, "unpaired"),
        ({"ahead_us": 11_000_000}, "skew"),
        ({"behind_us": 61_000_000}, "skew"),
        ({"behind_us": -11_000_000}, "skew"),
    ],
)
def test_a_share_or_a_clock_beyond_its_bound_is_trouble(fields: dict[str, int], kind: str) -> None:
    assert found(of_minutes(**fields)).keys() == {kind}


@pytest.mark.parametrize(
    "fields",
    [
        {"predictions": 100, "errors": 5},
        {"predictions": 1, "errors": 1},
        {"accepted": 99, "refused": 5},
        {"refused": 1},
        {"ahead_us": 9_000_000},
        {"behind_us": 30_000_000},
        {"behind_us": -9_000_000},
    ],
)
def test_little_is_no_trouble(fields: dict[str, int]) -> None:
    assert found(of_minutes(**fields)) == {}


@pytest.mark.parametrize(
    ("fields", "kind"),
    [
        ({"predictions": 100, "errors": 4}, "errors"),
        ({"accepted": 96, "refused": 4}, "rejects"),
        ({"ahead_us": 6_000_000}, "skew"),
    ],
)
def test_what_stands_is_over_at_half_of_what_raised_it(fields: dict[str, int], kind: str) -> None:
    history = of_minutes(**fields)
    assert found(history) == {}
    assert found(history, standing=frozenset({kind})).keys() == {kind}


def test_a_lag_is_compared_with_the_usual_one() -> None:
    history = of_minutes(lags={600: 20})  # 600: some 4.6 hours
    assert found(history) == {}
    history.lags = dict.fromkeys(range(rules.LAG_HOURS), 5_000.0)
    assert found(history).keys() == {"lag"}
    history.lags = dict.fromkeys(range(rules.LAG_HOURS), 3_600_000.0 * 4)
    assert found(history) == {}


def test_what_is_lost_is_trouble_beyond_what_a_person_has_seen() -> None:
    history = History(accepted_missing=3, accepted_difference=5)
    assert found(history, missing=3, difference=3, dropped=2) == {}
    told = found(history, missing=4, difference=4, dropped=2)
    assert (told["gaps"].measured, told["counts"].measured) == (4, 6)
    assert "differ from ours by 4" in told["counts"].reason
    assert "lost 2 events" in told["counts"].reason


def test_late_files_and_streams_that_nobody_reads_are_named() -> None:
    told = found(late=("a", "b", "c", "d"), streams=("nobody reads x any more",))
    assert told["late"].reason == "files are late: a, b, c and 1 more"
    assert told["still"].reason == "nobody reads x any more"


@pytest.mark.parametrize(
    ("us", "told"),
    [(3_000, "3 ms"), (42e6, "42 s"), (60e6, "1 min"), (90e6, "90 s"), (3 * HOUR_US, "3 h"),
     (30 * HOUR_US, "30 h"), (72 * HOUR_US, "3 d")],
)  # fmt: skip
def test_lengths_are_told_in_words(us: float, told: str) -> None:
    assert length(us) == told
