"""Events that come at once: each gets its own answer, whatever its neighbours are."""

import asyncio
import json
from collections.abc import Sequence

import httpx

from audit.documents import Applied, View
from tests.collector.conftest import House, Open, prediction


def test_events_that_come_at_once_each_get_their_own_place(house: House, address: str) -> None:
    headers = house.token()

    async def send() -> list[httpx.Response]:
        limits = httpx.Limits(max_connections=32)
        async with httpx.AsyncClient(
            base_url=address, headers=headers, limits=limits, timeout=60
        ) as client:
            return await asyncio.gather(
                *(client.post("/v1/predictions", json=prediction(str(i))) for i in range(300))
            )

    answers = asyncio.run(send())
    assert {each.status_code for each in answers} == {201}
    places = {each.json()["index"]: each.json()["id"] for each in answers}
    assert len(places) == 300
    for index, id in places.items():
        (opened,) = house.store.reader.open([index])
        assert json.loads(opened.body)["id"] == id


def test_bad_events_do_not_hurt_those_that_come_with_them(house: House, address: str) -> None:
    headers = house.token()
    bodies = [
        prediction(str(i % 40), output=i // 40) if i % 3 else {"id": str(i)} for i in range(120)
    ]

    async def send() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=60) as client:
            return await asyncio.gather(
                *(client.post("/v1/predictions", json=body) for body in bodies)
            )

    for body, answer in zip(bodies, asyncio.run(send()), strict=True):
        expected = {201, 200, 409} if "time" in body else {422}
        assert answer.status_code in expected
    logged = [each["id"] for each in house.bodies("PredictionLogged")]
    assert sorted(logged) == sorted(set(logged))
    assert len(logged) == 40


class Poisoned:
    """A projection that fails on one event, as a mistake in ours might."""

    name = "poisoned"
    types = frozenset({"PredictionLogged"})
    kinds = frozenset({"poisoned"})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        if any(each.event.id == "poison" for each in entries):
            raise RuntimeError("SECRET")

    def forget(self, handle: int, view: View) -> None: ...


def test_an_event_that_breaks_the_append_fails_alone(opened: Open) -> None:
    house = opened(Poisoned())
    headers = house.token()

    async def send() -> list[httpx.Response]:
        transport = httpx.ASGITransport(house.app)  # type: ignore[arg-type]  # two types of ASGI
        async with httpx.AsyncClient(
            transport=transport, base_url="http://x", headers=headers, timeout=60
        ) as client:
            ids = ["a", "poison", "b", "c"]
            return await asyncio.gather(
                *(client.post("/v1/predictions", json=prediction(id)) for id in ids)
            )

    answers = asyncio.run(send())
    assert [each.status_code for each in answers] == [201, 500, 201, 201]
    assert "SECRET" not in answers[1].text
    assert sorted(each["id"] for each in house.bodies("PredictionLogged")) == ["a", "b", "c"]
