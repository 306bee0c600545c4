"""What only a real server shows: sockets that stall, break off, send too much, or come at once."""

import socket
import threading
from collections.abc import Callable
from urllib.parse import urlsplit

import httpx
import msgspec
import pytest

from tests.collector.conftest import Hasty, House, Open, prediction


@pytest.fixture
def house(opened: Open) -> House:
    """Ingest with limits that are soon reached."""
    return opened(body_bytes=200_000)


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

    def head(self, length: int, path: str = "/v1/predictions") -> None:
        """Send the head of a request with this announced length."""
        self.socket.sendall(
            f"POST {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {self.authorization}\r\n"
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


@pytest.mark.parametrize(
    "path", ["/v1/cloudevents", "/v1/quarantine/000000000000000000000000/replay", "/nowhere"]
)
def test_a_body_that_comes_slowly_holds_no_connection_at_any_address(
    house: House, address: str, path: str
) -> None:
    with Line(address, house) as line:
        line.head(100, path)
        line.socket.sendall(b'{"id"')
        received = b""
        while part := line.socket.recv(65536):  # ends because the server closes
            received += part
    assert received[9:12] in {b"408", b"404", b"405"}


def test_a_sender_may_be_slow_between_two_requests(house: House, address: str) -> None:
    with Line(address, house) as line:
        for id in "ab":
            body = msgspec.json.encode(prediction(id))
            line.head(len(body))
            line.socket.sendall(body)
            assert line.answer()[0] == 201
            threading.Event().wait(2 * Hasty.body_seconds)


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


def _held(house: House) -> float | None:
    return house.registry.get_sample_value("modelwitness_ingest_held_bytes")


def _eventually(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    for _ in range(1000):
        if condition():
            return
        pause.wait(0.01)
    pytest.fail("it did not come to pass within 10 s")
