"""Gaps and compared counts over HTTP, and who may know of them."""

import os
from collections.abc import Iterator
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient

from audit.access import Access
from audit.clock import system_clock
from audit.problems import handlers
from collector.completeness.api import router
from collector.completeness.projection import Completeness
from tests.collector.conftest import House, Open, prediction

TEN, ELEVEN = "2026-01-31T10:00:00Z", "2026-01-31T11:00:00Z"


@pytest.fixture
def house(opened: Open) -> House:
    """Ingest with the projection of completeness."""
    return opened(Completeness())


@pytest.fixture
def reading(house: House) -> Iterator[TestClient[Litestar]]:
    """The routes of completeness over the same store."""
    store = house.store
    access = Access(store.ledger, store.documents, clock=system_clock, random=os.urandom)
    routes = router(store, house.tokens, access, system_clock)
    app = Litestar([routes], exception_handlers=handlers(), logging_config=None)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def log(house: House, *numbers: int, producer: str | None = "gate", **fields: Any) -> None:
    about = {"producer": producer} if producer else {}
    items = [
        prediction(f"{producer}-{n}", sequence=n, time=f"2026-01-31T10:{n:02}:00Z", **about)
        for n in numbers
    ]
    answer = house.client.post("/v1/predictions", json=items, headers=house.token())
    assert answer.json()["accepted"] == len(numbers), answer.text


def report(house: House, count: int, **fields: Any) -> None:
    body = {"id": os.urandom(4).hex(), "time": ELEVEN, "from": TEN, "to": ELEVEN}
    counts = {"counts": {"PredictionLogged": count}}
    answer = house.client.post(
        "/v1/counts", json={**body, **counts, **fields}, headers=house.token()
    )
    assert answer.status_code == 201, answer.text


def get(house: House, reading: TestClient[Litestar], what: str, role: str = "ops") -> Any:
    answer = reading.get(f"/v1/integrations/web/{what}", headers=house.token(None, role))
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_missing_numbers_are_listed_with_the_times_around_them(
    house: House, reading: TestClient[Litestar]
) -> None:
    log(house, 1, 3, 7)
    log(house, 1, 2, producer="complete")
    found = get(house, reading, "gaps")
    assert (found["missing"], found["producers"]) == (4, 2)
    worst, whole = found["items"]
    assert worst["producer"] == "gate"
    assert worst["gaps"] == [
        {
            "first": 2,
            "last": 2,
            "count": 1,
            "after": "2026-01-31T10:01:00Z",
            "before": "2026-01-31T10:03:00Z",
        },
        {
            "first": 4,
            "last": 6,
            "count": 3,
            "after": "2026-01-31T10:03:00Z",
            "before": "2026-01-31T10:07:00Z",
        },
    ]
    assert (whole["producer"], whole["missing"], whole["seen"]) == ("complete", 0, 2)
    log(house, 2, 4, 5, 6)
    assert get(house, reading, "gaps")["missing"] == 0


def test_numbers_without_a_producer_are_those_of_the_integration(
    house: House, reading: TestClient[Litestar]
) -> None:
    log(house, 5, 8, producer=None)
    assert get(house, reading, "gaps")["missing"] == 2


@pytest.mark.parametrize(
    ("producer", "count", "state", "lacking", "beyond"),
    [
        ("gate", 3, "equal", 0, 0),
        ("gate", 5, "differs", 2, 0),
        ("gate", 1, "differs", 0, 2),
        (None, 4, "equal", 0, 0),
        (None, 3, "differs", 0, 1),
    ],
)
def test_what_was_reported_is_compared_with_what_is_there(
    house: House,
    reading: TestClient[Litestar],
    producer: str | None,
    count: int,
    state: str,
    lacking: int,
    beyond: int,
) -> None:
    log(house, 1, 2, 3)
    log(house, 1, producer="other")
    report(house, count, dropped=2, **({"producer": producer} if producer else {}))
    found = get(house, reading, "counts")
    [item] = found["items"]
    assert (item["state"], item["lacking"], item["beyond"]) == (state, lacking, beyond)
    assert (item["dropped"], item["from"], item["to"]) == (2, TEN, ELEVEN)
    assert found["differing"] == (state == "differs")


def test_a_report_on_an_hour_that_is_not_over_waits(
    house: House, reading: TestClient[Litestar]
) -> None:
    report(house, 5, **{"from": "2099-12-31T23:00:00Z", "to": "2100-01-01T00:00:00Z"})
    assert get(house, reading, "counts")["items"][0]["state"] == "waiting"


def test_reports_come_by_cloudevents_too(house: House, reading: TestClient[Litestar]) -> None:
    data = {"from": TEN, "to": ELEVEN, "counts": {}, "producer": "gate"}
    event = {
        "specversion": "1.0",
        "type": "modelwitness.CountsReported.v1",
        "source": "/gate",
        "id": "1",
        "time": ELEVEN,
        "sequence": "7",
        "data": data,
    }
    headers = {**house.token(), "Content-Type": "application/cloudevents+json"}
    answer = house.client.post("/v1/cloudevents", json=event, headers=headers)
    assert answer.status_code == 201, answer.text
    assert get(house, reading, "counts")["reports"] == 1


@pytest.mark.parametrize("what", ["gaps", "counts"])
def test_a_sender_knows_of_its_own_integration_only(
    what: str, house: House, reading: TestClient[Litestar]
) -> None:
    path = f"/v1/integrations/web/{what}"
    assert reading.get(path, headers=house.token("web")).status_code == 200
    assert reading.get(path, headers=house.token("batch")).status_code == 403
    assert reading.get(path, headers=house.token(None, "keys")).status_code == 403
    assert reading.get(path, headers=house.token(None, "compliance")).status_code == 200
    assert reading.get(path).status_code == 401
