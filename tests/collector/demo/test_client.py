"""Sending: what is tried again, what is refused, what the server's wish to wait means."""

from collections.abc import Callable, Iterator

import httpx
import pytest

from collector.demo.client import Client
from collector.demo.errors import Refused
from collector.demo.traffic import Packet

PACKET = Packet("/v1/predictions", {"Content-Type": "application/json"}, b"[]", 2)


def client(answers: Iterator[httpx.Response], seen: list[httpx.Request]) -> Client:
    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return next(answers)

    return Client("http://127.0.0.1", "mw_x", transport=httpx.MockTransport(answer), patience=5)


def batch(accepted: int, duplicates: int = 0) -> httpx.Response:
    return httpx.Response(
        200, json={"accepted": accepted, "duplicates": duplicates, "rejected": []}
    )


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again_when_it_says(status: int) -> None:
    seen: list[httpx.Request] = []
    busy = httpx.Response(status, headers={"Retry-After": "0"})
    with client(iter([busy, busy, batch(2)]), seen) as api:
        assert api.send(PACKET) == 2
    assert len(seen) == 3
    assert {request.headers["Authorization"] for request in seen} == {"Bearer mw_x"}


def test_a_redelivery_counts_as_nothing_new() -> None:
    answers = iter([batch(0, 2), httpx.Response(200, json={"index": 4, "duplicate": True})])
    with client(answers, []) as api:
        assert api.send(PACKET) == 0
        assert api.send(PACKET) == 0


def test_a_new_single_event_counts_as_one() -> None:
    with client(iter([httpx.Response(201, json={"index": 4, "duplicate": False})]), []) as api:
        assert api.send(PACKET) == 1


@pytest.mark.parametrize(
    "answer",
    [
        lambda: httpx.Response(409, json={"title": "Conflict", "remedy": "Send the first again."}),
        lambda: httpx.Response(
            200,
            json={
                "accepted": 1,
                "duplicates": 0,
                "rejected": [{"position": 1, "id": "a", "problem": {"title": "conflict"}}],
            },
        ),
        lambda: httpx.Response(401, text="no"),
    ],
)
def test_a_refusal_is_told_and_not_repeated(answer: Callable[[], httpx.Response]) -> None:
    seen: list[httpx.Request] = []
    with client(iter([answer()]), seen) as api, pytest.raises(Refused, match="v1/predictions"):
        api.send(PACKET)
    assert len(seen) == 1


def test_what_the_watch_raises_ends_even_a_repetition_at_once() -> None:
    class Died(Exception):
        """A process that the story needs has ended."""

    looks = iter([None, Died()])

    def watch() -> None:
        if (found := next(looks)) is not None:
            raise found

    def gone(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused", request=request)

    transport = httpx.MockTransport(gone)
    with (
        Client("http://127.0.0.1", "mw_x", transport=transport, watch=watch) as api,
        pytest.raises(Died),
    ):
        api.send(PACKET)
