"""What a server notes at its doors lies in the store soon after, for whoever makes the rounds."""

import asyncio
import threading
import time
from typing import Any

import pytest

from audit.errors import Busy
from audit.work import New
from collector.checks import noted
from collector.checks.noted import Notes, taken
from tests.collector.conftest import House, prediction


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Notes are written at once."""
    monkeypatch.setattr(noted, "_SECONDS", 0.01)


def eventually_noted(house: House) -> noted.Note:
    deadline = time.monotonic() + 10
    while not house.store.work.list(noted.KIND):
        assert time.monotonic() < deadline, "nothing was noted"
        threading.Event().wait(0.01)
    return taken(house.store.work)[0]


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize(
    ("body", "headers", "count"),
    [
        ([prediction("a"), {"id": "b"}, {"id": "c"}], {}, 2),
        ({"id": "alone"}, {}, 1),
        (b"{", {}, 1),
        (b"x", {"Content-Type": "text/html"}, 1),
    ],
)
def test_whatever_is_refused_is_noted_for_its_integration(
    house: House, body: Any, headers: dict[str, str], count: int
) -> None:
    how = {"content": body} if isinstance(body, bytes) else {"json": body}
    own = {"Content-Type": "application/json", **house.token("web"), **headers}
    house.client.post("/v1/predictions", headers=own, **how)
    assert eventually_noted(house).refused == {"web": count}


@pytest.mark.usefixtures("soon")
def test_the_clock_of_a_sender_is_noted(house: House) -> None:
    sent = {"modelwitness-sent": f"{time.time() - 5:.6f}", **house.token("web")}
    assert house.client.post("/v1/predictions", json=prediction(), headers=sent).is_success
    found = eventually_noted(house).behind_us
    assert found.keys() == {"web"}
    assert 5_000_000 <= found["web"] < 20_000_000


@pytest.mark.usefixtures("soon")
def test_what_is_taken_leaves_no_note(house: House) -> None:
    assert house.client.post("/v1/predictions", json=prediction(), headers=house.token()).is_success
    house.client.post("/v1/predictions", json={}, headers=house.token("other"))
    assert eventually_noted(house) == noted.Note({"other": 1}, {})


class Away:
    """A work table that is away at first."""

    def __init__(self) -> None:
        self.asked = 0
        self.kept: list[New] = []

    def put(self, kind: str, key: str, body: bytes, due_us: int = 0) -> bool:
        self.asked += 1
        if self.asked < 3:
            raise Busy("away")
        self.kept.append(New(kind, key, body))
        return True

    def list(self, kind: str, after: str = "", limit: int = 200) -> list[New]:
        return [each for each in self.kept if each.key > after]


@pytest.mark.usefixtures("soon")
def test_notes_wait_for_a_store_that_is_away() -> None:
    away = Away()

    async def note() -> None:
        notes = Notes(away, lambda: 1, "here")
        notes.refused("web", 2)
        while not away.kept:
            await asyncio.sleep(0.01)
            if away.asked == 1:
                notes.refused("web", 1)

    asyncio.run(asyncio.wait_for(note(), 10))
    assert taken(away)[0].refused["web"] >= 3
