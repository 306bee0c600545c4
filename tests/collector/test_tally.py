"""What a program says that it logged, by the hour, and what the collector has of it."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.client import Client
from collector.completeness import told
from collector.completeness.api import counting
from collector.completeness.followed import HOUR_US
from collector.completeness.projection import Completeness
from collector.spool import Spool
from collector.tally import Tally
from tests.collector.conftest import House, Open, listening

QUIET = "http://127.0.0.1:1"
TEN = datetime(2026, 1, 31, 10, tzinfo=UTC)


def hours(reports: list[dict[str, Any]]) -> list[tuple[int, dict[str, int], int]]:
    return [(each["from"].hour, each["counts"], each["dropped"]) for each in reports]


def test_hours_that_are_over_are_reported_and_the_running_one_only_at_the_end() -> None:
    tally = Tally("gate")
    for minutes, type in ((5, "PredictionLogged"), (70, "PredictionLogged"), (71, "x")):
        tally.add(type, TEN + timedelta(minutes=minutes), 1, kept=True)
    now = TEN + timedelta(minutes=80)
    assert hours(tally.reports(now, everything=False)) == [(10, {"PredictionLogged": 1}, 0)]
    assert tally.reports(now, everything=False) == []
    assert hours(tally.reports(now, everything=True)) == [(11, {"PredictionLogged": 1, "x": 1}, 0)]


def test_an_hour_to_which_something_comes_is_reported_anew_and_whole() -> None:
    tally = Tally("gate")
    tally.add("x", "2026-01-31T10:30:00Z", 1, kept=True)
    [first] = tally.reports(TEN + timedelta(hours=2), everything=False)
    tally.add("x", TEN, 2, kept=False)
    [second] = tally.reports(TEN + timedelta(hours=2), everything=False)
    assert hours([first, second]) == [(10, {"x": 1}, 0), (10, {"x": 1}, 1)]
    assert first["id"] != second["id"]
    assert second["numbers"] == {"first": 1, "last": 2}


@pytest.mark.parametrize("at", ["yesterday", None, datetime(1, 1, 1, tzinfo=UTC), "0001-01-01"])
def test_what_has_no_time_that_can_be_logged_is_counted_now(at: object) -> None:
    tally = Tally("gate")
    tally.add("x", at, 1, kept=True)
    [report] = tally.reports(datetime.now(UTC), everything=True)
    assert report["from"] > TEN


def test_dropped_events_are_reported_even_by_a_full_spool(tmp_path: Path) -> None:
    client = Client(QUIET, "mw_x", tmp_path / "spool.db", most_bytes=2_000, flush_seconds=0)
    for _ in range(20):
        client.log_prediction("credit", "3", {"x": "y" * 100})
    dropped = client.state().dropped
    client.close()
    spool = Spool(tmp_path / "spool.db", 1 << 30)
    kept = spool.first(100, 1 << 30)
    spool.done(kept)
    [report] = [msgspec.json.decode(each.body) for each in spool.first(100, 1 << 30)]
    spool.close()
    assert 0 < report["dropped"] == dropped
    assert report["counts"] == {"PredictionLogged": len(kept)}
    assert report["numbers"] == {"first": 1, "last": 20}


def token(house: House) -> str:
    return house.token()["Authorization"].removeprefix("Bearer ")


def test_a_client_that_closes_has_told_what_it_logged_and_it_is_all_there(
    opened: Open, free_port: Callable[[], int], tmp_path: Path
) -> None:
    house = opened(Completeness())
    with listening(house.app, free_port()) as address:
        client = Client(address, token(house), tmp_path / "spool.db", flush_seconds=30)
        first = client.log_prediction("credit", "3", {}, time=TEN)
        client.log_prediction("credit", "3", {})
        client.log_outcome(first, "repaid")
        client.close()
    documents, count = house.store.documents, counting(house.store, "web")
    later_us = time.time_ns() // 1_000 + 2 * HOUR_US
    found = told.counts(documents, "web", count, later_us)
    assert [each.state for each in found.items] == ["equal"] * len(found.items)
    assert len(found.items) in {2, 3}  # the hour may change while this runs
    assert sum(sum(each.counts.values()) for each in found.items) == 3
    assert told.gaps(documents, "web").missing == 0


def test_a_client_that_runs_on_reports_the_hours_that_are_over(
    opened: Open,
    free_port: Callable[[], int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("collector.client.HOUR", 1)  # it looks every second whether one is
    house = opened(Completeness())
    with listening(house.app, free_port()) as address:
        client = Client(address, token(house), tmp_path / "spool.db")
        client.log_prediction("credit", "3", {}, time=TEN)
        client.log_prediction("credit", "3", {})  # of the hour that is not over
        deadline = time.monotonic() + 20
        while not house.bodies("CountsReported"):
            assert time.monotonic() < deadline, "nothing was reported"
            time.sleep(0.05)
        [report] = house.bodies("CountsReported")
        client.close()
    assert (report["from"], report["counts"]) == ("2026-01-31T10:00:00Z", {"PredictionLogged": 1})
    assert len(house.bodies("CountsReported")) == 2
