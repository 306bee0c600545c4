"""An integration begins only so many series; what would begin more is refused, told and kept."""

from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import pytest

from audit.events import Event, event_of
from audit.group import Appended
from audit.leaf import SeriesName
from collector.errors import TooVaried
from collector.limits import Limits
from collector.variety import Varied, Variety
from tests.collector.conftest import Open, prediction


def of_model(number: int, **fields: Any) -> dict[str, Any]:
    return prediction(f"p-{number}", model={"name": f"m-{number}", "version": "1"}, **fields)


def test_a_batch_is_taken_up_to_the_limit_and_the_rest_is_kept(opened: Open) -> None:
    house = opened(series=3)
    token = house.token()
    answer = house.client.post(
        "/v1/predictions", json=[of_model(n) for n in range(5)], headers=token
    )
    found = answer.json()
    assert (answer.status_code, found["accepted"]) == (200, 3)
    assert [each["position"] for each in found["rejected"]] == [3, 4]
    problem = found["rejected"][0]["problem"]
    assert (problem["status"], problem["field"]) == (422, "/model")
    assert "has begun 3 series" in problem["detail"]
    assert "MODELWITNESS_INGEST_SERIES" in problem["remedy"]
    kept = house.client.get("/v1/quarantine", headers=house.token()).json()["items"]
    assert [each["items"] for each in kept] == [2]
    assert len(house.bodies("PredictionLogged")) == 3


def test_a_single_event_of_a_series_too_many_is_refused_and_those_there_are_taken(
    opened: Open,
) -> None:
    house = opened(series=2)
    token = house.token()

    def post(body: dict[str, Any]) -> int:
        return house.client.post("/v1/predictions", json=body, headers=token).status_code

    assert [post(of_model(n)) for n in range(4)] == [201, 201, 422, 422]
    again = prediction("again", model={"name": "m-1", "version": "1"})
    assert [post(again), post(of_model(0))] == [201, 200]
    other = house.token("batch")
    assert house.client.post("/v1/predictions", json=of_model(9), headers=other).status_code == 201


def test_what_the_ledger_holds_counts_for_a_new_process(opened: Open) -> None:
    """And a raised limit lets what was kept be replayed."""
    house = opened(series=2)
    for number in range(3):
        house.client.post("/v1/predictions", json=of_model(number), headers=house.token())
    counts = house.store.counts
    events = [event_of("PredictionLogged", "web", of_model(n)) for n in (0, 1, 2)]
    assert list(Variety(counts, Limits(series=2)).refusal(events)) == [2]
    assert Variety(counts, Limits(series=3)).refusal(events) == {}


class Counts:
    """Series as another process adds to them."""

    def __init__(self) -> None:
        self.asked = 0
        self.found: set[SeriesName] = set()

    def names(self, integration: str) -> set[SeriesName]:
        self.asked += 1
        return set(self.found)


def test_known_series_ask_nobody_and_unknown_ones_once_a_minute() -> None:
    counts, now = Counts(), [0.0]
    variety = Variety(counts, Limits(series=2), lambda: now[0])
    events = [event_of("PredictionLogged", "web", of_model(n)) for n in range(4)]
    assert not variety.is_known(events[:1])
    assert variety.refusal(events[:2]) == {}
    assert variety.is_known(events[:2])
    assert list(variety.refusal(events)) == [2, 3]
    assert counts.asked == 1
    now[0] = 60.0
    assert list(variety.refusal(events[:2])) == []
    assert counts.asked == 1
    variety.refusal(events[2:3])
    assert counts.asked == 2


class Taking:
    """A ledger that takes everything."""

    def __init__(self) -> None:
        self.taken: list[Event] = []

    def submit(self, events: Sequence[Event]) -> Future[list[Appended]]:
        self.taken += events
        done: Future[list[Appended]] = Future()
        done.set_result([])
        return done

    def append(self, events: Sequence[Event]) -> list[Appended]:
        return self.submit(events).result()

    def checkpoint(self) -> bytes:
        return b""


def test_other_ways_in_are_refused_the_submission_whole() -> None:
    ledger = Taking()
    varied = Varied(ledger, Variety(Counts(), Limits(series=2)))
    events = [event_of("PredictionLogged", "web", of_model(n)) for n in range(3)]
    with pytest.raises(TooVaried):
        varied.append(events)
    assert ledger.taken == []
    assert varied.append(events[:2]) == []
    assert ledger.taken == events[:2]
