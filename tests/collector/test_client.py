"""The client never slows or breaks a program, and loses nothing that is in its spool."""

import asyncio
import multiprocessing
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from collector.client import Client
from collector.spool import Spool

QUIET = "http://127.0.0.1:1"
"""Nobody listens there."""


@pytest.fixture
def away(tmp_path: Path) -> Iterator[Client]:
    """A client whose collector cannot be reached."""
    client = Client(QUIET, "mw_x", tmp_path / "spool.db", flush_seconds=0)
    yield client
    client.close()


def spooled(path: Path) -> list[dict[str, Any]]:
    spool = Spool(path, 1 << 30)
    found = [msgspec.json.decode(each.body) for each in spool.first(100_000, 1 << 30)]
    spool.close()
    return found


def test_what_is_logged_while_the_collector_is_away_waits_in_the_spool(
    away: Client, tmp_path: Path
) -> None:
    id = away.log_prediction("credit", "3", {"income": 1}, "approve", score=0.5)
    away.log_outcome(id, True)
    assert away.state().waiting == 2
    away.close()
    [prediction] = spooled(tmp_path / "spool.db")  # one address at a time
    assert prediction["id"] == id
    assert prediction["model"] == {"name": "credit", "version": "3"}
    assert (prediction["sequence"], prediction["score"]) == (1, 0.5)


def test_a_decorated_function_logs_arguments_result_and_latency(
    away: Client, tmp_path: Path
) -> None:
    @away.predicts("credit", "3")
    def score(income: float, debt: float = 0.0) -> str:
        return "approve" if income > debt else "decline"

    @away.predicts("credit", "3")
    async def later(income: float) -> str:
        await asyncio.sleep(0)
        return "approve"

    assert score(3, debt=1) == "approve"
    assert asyncio.run(later(income=2)) == "approve"
    away.close()
    first, second = spooled(tmp_path / "spool.db")
    assert first["inputs"] == {"income": 3, "debt": 1}
    assert first["latency_ms"]["total"] >= 0
    assert (second["inputs"], second["output"]) == ({"income": 2}, "approve")


def test_an_error_of_the_model_is_logged_and_raised_unchanged(away: Client, tmp_path: Path) -> None:
    @away.predicts("credit", "3")
    def fails(income: float) -> str:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fails(1)
    away.close()
    [found] = spooled(tmp_path / "spool.db")
    assert (found["status"], found["error"]) == ("error", {"type": "ZeroDivisionError"})


def test_a_context_logs_what_was_set_in_it(away: Client, tmp_path: Path) -> None:
    with away.prediction("credit", "3", {"income": 1}) as made:
        made.output, made.score = "approve", 0.9
        made.set(subject={"id": "c-1"}, output="changed")
    away.close()
    [found] = spooled(tmp_path / "spool.db")
    assert (found["id"], found["score"], found["output"]) == (made.id, 0.9, "changed")
    assert found["subject"] == {"id": "c-1"}


def test_what_cannot_be_encoded_never_raises(away: Client) -> None:
    class Broken:
        def tolist(self) -> Any:
            raise RuntimeError

    away.log_prediction("credit", "3", {"x": object(), "y": {1, 2}})
    assert away.state().broken == 0
    away.log_prediction("credit", "3", {"x": Broken()})
    away.log_prediction("credit", "3", {"x": 1})
    assert (away.state().broken, away.state().waiting) == (1, 2)


def test_a_full_spool_drops_the_newest_and_counts_it(tmp_path: Path) -> None:
    client = Client(QUIET, "mw_x", tmp_path / "spool.db", most_bytes=1_000, flush_seconds=0)
    for _ in range(20):
        client.log_prediction("credit", "3", {"x": "y" * 100})
    state = client.state()
    assert state.dropped > 0
    assert state.dropped + state.waiting == 20
    assert state.waiting_bytes <= 1_000
    client.close()
    kept = [each["sequence"] for each in spooled(tmp_path / "spool.db")]
    assert kept == list(range(1, len(kept) + 1))


def test_threads_share_a_client(away: Client, tmp_path: Path) -> None:
    def log() -> None:
        for _ in range(100):
            away.log_prediction("credit", "3", {})

    threads = [threading.Thread(target=log) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    away.close()
    assert sorted(each["sequence"] for each in spooled(tmp_path / "spool.db")) == list(
        range(1, 801)
    )


def _log_in_fork(client: Client) -> None:
    for _ in range(50):
        client.log_prediction("credit", "3", {})
    os._exit(0 if client.state().broken == 0 else 1)


def test_a_forked_process_logs_into_the_same_spool_under_its_own_count(
    away: Client, tmp_path: Path
) -> None:
    away.log_prediction("credit", "3", {})
    forks = [
        multiprocessing.get_context("fork").Process(target=_log_in_fork, args=(away,))
        for _ in range(3)
    ]
    for fork in forks:
        fork.start()
    away.log_prediction("credit", "3", {})
    for fork in forks:
        fork.join()
    assert [fork.exitcode for fork in forks] == [0, 0, 0]
    away.close()
    by_producer: dict[str, list[int]] = {}
    for each in spooled(tmp_path / "spool.db"):
        by_producer.setdefault(each["producer"], []).append(each["sequence"])
    assert sorted(map(len, by_producer.values())) == [2, 50, 50, 50]
    assert all(sorted(found) == list(range(1, len(found) + 1)) for found in by_producer.values())


def test_the_base_install_is_enough_for_the_client() -> None:
    code = (
        "import sys, collector.client\n"
        "loaded = {name.partition('.')[0] for name in sys.modules}\n"
        "print(sorted(loaded & {'litestar', 'sqlalchemy', 'cryptography', 'audit', 'pandas'}))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
