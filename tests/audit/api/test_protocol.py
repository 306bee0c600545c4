"""How a request may arrive, shown on a real server and socket."""

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import uvicorn

from audit.api.protocol import BoundedProtocol
from tests.audit.reading import open_site


class Hasty(BoundedProtocol):
    """The protocol that serves, with less patience."""

    body_seconds = 0.3


@pytest.fixture
def port(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[int]:
    """The port on which the read side is served."""
    site = open_site(tmp_path)
    at = free_port()
    server = uvicorn.Server(
        uvicorn.Config(site.client.app, port=at, loop="uvloop", http=Hasty, log_level="critical")
    )
    thread = threading.Thread(target=server.run)
    thread.start()
    pause = threading.Event()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        pause.wait(0.01)
    yield at
    server.should_exit = True
    thread.join(20)
    site.store.close()


def test_a_body_that_the_framework_waits_for_is_408_and_its_connection_ends(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(
            b"POST /v1/signin HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            b'Content-Length: 100\r\n\r\n{"code"'
        )
        received = b""
        while part := line.recv(65536):  # ends because the server closes
            received += part
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"application/problem+json" in head
    problem = msgspec.json.decode(body)
    assert (problem["status"], problem["title"]) == (408, "Too slow")
