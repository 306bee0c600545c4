"""Strangers whose bodies must be read first hinder nobody who is known before."""

import asyncio
from collections.abc import AsyncIterator

import httpx

from tests.collector.conftest import House, Open, prediction
from tests.collector.integrations.senders import SECRET
from tests.collector.integrations.test_strangers import declare

BODY = 2_000
SIGNED = ("zen", "hook", "third", "fourth")


def opened_house(opened: Open) -> House:
    """A house whose pots are full after two bodies of known, and four of unknown senders."""
    house = opened(
        environment={"KEY": SECRET},
        body_bytes=BODY,
        held_bytes=2 * BODY,
        unproved_bytes=4 * BODY,
    )
    for name in SIGNED:
        declare(house, name, "native", "zendesk")
    declare(house, "shown", "native", "header")
    return house


class Strangers:
    """Senders that send all but the last bytes of a body and then nothing."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._end = asyncio.Event()
        self._read = asyncio.Event()
        self._tasks: list[asyncio.Task[httpx.Response]] = []

    async def send(self, name: str, count: int) -> None:
        """Begin these requests; returns once each has sent, or was answered."""
        for _ in range(count):
            self._read.clear()
            request = self._client.post(f"/in/{name}", content=self._body())
            self._tasks.append(asyncio.create_task(request))
            sent = asyncio.create_task(self._read.wait())
            await asyncio.wait({self._tasks[-1], sent}, return_when=asyncio.FIRST_COMPLETED)
            sent.cancel()

    async def end(self) -> list[int]:
        """Let all of them send the rest; returns how they were answered."""
        self._end.set()
        return [(await each).status_code for each in self._tasks]

    async def _body(self) -> AsyncIterator[bytes]:
        yield b"x" * (BODY - 10)
        self._read.set()  # more is asked for, so what was sent is held
        await self._end.wait()
        yield b"x" * 10


def client_of(house: House) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(house.app)  # type: ignore[arg-type]  # two types of ASGI
    return httpx.AsyncClient(transport=transport, base_url="http://x", timeout=60)


def held(house: House) -> tuple[float | None, float | None]:
    value = house.registry.get_sample_value
    return (
        value("modelwitness_ingest_held_bytes"),
        value("modelwitness_ingest_unproved_bytes"),
    )


def test_strangers_who_fill_their_pot_refuse_no_sender_that_is_known_first(opened: Open) -> None:
    house = opened_house(opened)
    headers = house.token()

    async def flood() -> None:
        async with client_of(house) as client:
            strangers = Strangers(client)
            for name in SIGNED:
                await strangers.send(name, 3)
            assert held(house) == (0, 4 * (BODY - 10))
            native = await client.post("/v1/predictions", json=prediction(), headers=headers)
            assert native.status_code == 201
            fixed = await client.post("/v1/logs", json={"resourceLogs": []}, headers=headers)
            assert fixed.status_code == 200
            shown = await client.post("/in/shown", content=b"{}", headers={"X-Secret": "no"})
            assert shown.status_code == 401
            shown = await client.post("/in/shown", json=prediction(), headers={"X-Secret": SECRET})
            assert shown.status_code == 200
            assert sorted(await strangers.end()) == [401] * 4 + [503] * 8
            assert held(house) == (0, 0)

    asyncio.run(flood())


def test_who_knows_one_name_hinders_that_one_alone(opened: Open) -> None:
    house = opened_house(opened)

    async def flood() -> None:
        async with client_of(house) as client:
            strangers = Strangers(client)
            await strangers.send("zen", 3)
            assert (await client.post("/in/zen", content=b"x" * 20)).status_code == 503
            # The body was read, and what it signs with is what is missing.
            assert (await client.post("/in/hook", content=b"x" * BODY)).status_code == 401
            assert sorted(await strangers.end()) == [401, 503, 503]
            assert (await client.post("/in/zen", content=b"x" * 20)).status_code == 401
            assert held(house) == (0, 0)

    asyncio.run(flood())
