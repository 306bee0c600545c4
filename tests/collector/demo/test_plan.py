"""The steps of the year, and what makes a second run harmless."""

from itertools import pairwise
from pathlib import Path

import pytest

from collector.demo import flights
from collector.demo.errors import OtherRun
from collector.demo.flights import Flight
from collector.demo.plan import LATENESS_US, Diary, Spool, month_start, steps
from collector.demo.settings import POLICY
from collector.demo.traffic import Kind
from drift.policy import parse


@pytest.fixture(scope="module")
def year() -> list[Flight]:
    return flights.load(6_000)


def test_the_steps_hold_every_moment_once(year: list[Flight]) -> None:
    found = list(steps([flight.asked_us for flight in year]))
    assert found[0].start_us == 0
    assert all(a.end_us == b.start_us for a, b in pairwise(found))
    assert found[-1].end_us > max(flight.known_us for flight in year)
    assert len({step.name for step in found}) == 24


def test_after_a_closing_step_the_watermark_has_passed_the_end_of_its_month(
    year: list[Flight],
) -> None:
    asked = [flight.asked_us for flight in year]
    for number, step in enumerate([s for s in steps(asked) if s.closes], start=2):
        logged = max(us for us in asked if us < step.end_us)
        assert logged - LATENESS_US >= month_start(number)
        # Only then: what is logged before leaves the month open.
        assert max(us for us in asked if us < step.start_us) < month_start(number)


def test_the_policy_and_the_steps_agree_on_lateness() -> None:
    policy = parse(POLICY.read_text())
    assert policy.lateness_us == LATENESS_US
    assert policy.model == "late-arrival"


def test_a_step_sends_the_bytes_of_its_first_time(tmp_path: Path, year: list[Flight]) -> None:
    step = next(iter(steps([flight.asked_us for flight in year])))
    lines = {("ops-desk", Kind.PREDICTIONS): [b'{"a":1}', b'{"b":"\\n"}']}
    spool = Spool(tmp_path)
    assert spool.take(step, lambda: lines) == lines

    def never() -> dict[tuple[str, Kind], list[bytes]]:
        raise AssertionError("made again")

    assert Spool(tmp_path).take(step, never) == lines


def test_progress_is_there_after_a_restart(tmp_path: Path, year: list[Flight]) -> None:
    diary = Diary(tmp_path, "vkey", year)
    diary.progress.version = "2"
    diary.note("2013-02-log")
    again = Diary(tmp_path, "vkey", year)
    assert again.done("2013-02-log")
    assert not again.done("2013-03-log")
    assert again.progress.version == "2"


@pytest.mark.parametrize("vkey", ["vkey", "other"])
def test_another_ledger_or_other_flights_are_refused(
    tmp_path: Path, year: list[Flight], vkey: str
) -> None:
    Diary(tmp_path, "vkey", year).note("begin")
    with pytest.raises(OtherRun, match="--data"):
        Diary(tmp_path, vkey, year[:10] if vkey == "vkey" else year)
