"""What only a real server shows: sockets that stall, break off, send too much, or come at once."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import httpx
import pytest

from audit.documents import Applied, View
from tests.collector.conftest import House, Open, prediction


@pytest.fixture
def house(opened: Open) -> House:
    """Ingest with limits that are soon reached."""
    return opened(body_bytes=200_000, body_seconds=0.3)


class Line:
    """A raw connection, to send what a client library would not."""

    def __init__(self, address: str, house: House) -> None:
        parts = urlsplit(address)
        assert parts.hostname is not None
        self.socket = socket.create_connection((parts.hostname, parts.port or 80), timeout=10)
        self.authorization = house.token()["Authorization"]

    def __enter__(self) -> "Line":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def head(self, length: int) -> None:
        """Send the head of a request with this announced length."""
        self.socket.sendall(
            f"POST /v1/predictions HTTP/1.1\r\nHost: x\r\nAuthorization: {self.authorization}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n".encode()
        )

    def answer(self) -> tuple[int, bytes]:
        """Status and everything until the server closes or falls silent."""
        received = b""
        try:
            while part := self.socket.recv(65536):
                received += part
                if received.endswith(b"}"):
                    break
        except ConnectionResetError:
            pass
        return int(received[9:12] or 0), received


def test_a_body_that_does_not_come_is_408(house: House, address: str) -> None:
    with Line(address, house) as line:
        line.head(100)
        line.socket.sendall(b'{"id"')
        status, received = line.answer()
    assert status == 408
    assert b"application/problem+json" in received
    _eventually(lambda: _held(house) == 0)


def test_a_sender_that_breaks_off_leaves_nothing_behind(house: House, address: str) -> None:
    size = house.store.reader.size() + 1  # the token
    with Line(address, house) as line:
        line.head(1000)
        line.socket.sendall(b'{"id"')
        _eventually(lambda: _held(house) == 5)
    _eventually(lambda: _held(house) == 0)
    assert house.store.reader.size() == size


def test_a_body_that_is_announced_too_long_is_refused_before_it_is_sent(
    house: House, address: str
) -> None:
    with Line(address, house) as line:
        line.head(10**12)
        assert line.answer()[0] == 413


def test_a_body_that_is_too_long_is_refused_while_it_comes(house: House, address: str) -> None:
    with httpx.Client(base_url=address, headers=house.token()) as client:
        answer = client.post(
            "/v1/predictions",
            content=iter([b" " * 50_000] * 20),
            headers={"Content-Type": "application/json"},
        )
    assert answer.status_code == 413
    _eventually(lambda: _held(house) == 0)


def test_a_connection_goes_on_after_a_refusal(house: House, address: str) -> None:
    with httpx.Client(base_url=address, headers=house.token()) as client:
        statuses = [
            client.post("/v1/predictions", json=body).status_code
            for body in ({}, prediction("a"), 5, prediction("b"), [prediction("c")])
        ]
    assert statuses == [422, 201, 400, 201, 200]


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


def _held(house: House) -> float | None:
    return house.registry.get_sample_value("modelwitness_ingest_held_bytes")


def _eventually(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it did not come to pass within 10 s")
