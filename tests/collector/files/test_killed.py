"""kill -9 in the middle of files: in the end the ledger holds each row, and none of them twice."""

import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests.collector.files.consumed import line, watching, write_parquet
from tests.collector.streams.counted import Ledger

ROWS = 8_000
"""Of the growing file, and of the Parquet file."""


def grown(number: int) -> str:
    return f"g-{number:06}"


def settled(number: int) -> str:
    return f"p-{number:06}"


@contextmanager
def growing(path: Path, seed: int) -> Iterator[None]:
    """A file that is written during the block, in pieces that end anywhere in a line."""
    text = b"".join(line(grown(number)) for number in range(ROWS))
    text += line(grown(ROWS)).rstrip()  # its last line has no end
    chance, stop = random.Random(seed), threading.Event()

    def write() -> None:
        at = 0
        with path.open("ab", buffering=0) as file:
            while at < len(text) and not stop.wait(0.005):
                at += file.write(text[at : at + chance.randrange(1, 40_000)])

    writer = threading.Thread(target=write, name="growing")
    writer.start()
    try:
        yield
    finally:
        stop.set()
        writer.join()


def survives(folder: Path, kills: int, seed: int) -> None:
    """Kill the process so many times while two files are read; then look at all of it."""
    ledger, files, chance = Ledger(folder / "data"), folder / "files", random.Random(seed)
    files.mkdir()
    write_parquet(files / "whole.parquet", [settled(number) for number in range(ROWS)])
    whole = 2 * ROWS + 1
    with ledger.watched() as until, growing(files / "grows.jsonl", seed):
        for number in range(kills):
            with watching(folder, ledger.data, location=str(files)) as process:
                until((number + 1) * whole // (kills + 2) + chance.randrange(400), process)
                process.kill()
        with watching(folder, ledger.data, location=str(files), final_after="2s") as process:
            until(whole, process)
            assert process.stop() == 0, process.told()
    bodies = ledger.bodies()
    ids = [str(body["id"]) for body in bodies]
    assert Counter(ids) == Counter([*map(grown, range(ROWS + 1)), *map(settled, range(ROWS))])
    for start in ("g", "p"):
        found = [id for id in ids if id.startswith(start)]
        assert found == sorted(found)
    assert ledger.quarantined() == []


@pytest.mark.timeout(300)
def test_each_row_is_logged_once_however_often_the_process_is_killed(tmp_path: Path) -> None:
    survives(tmp_path, 4, 1)


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_each_row_is_logged_once_after_60_kills(tmp_path: Path) -> None:
    survives(tmp_path, 60, 2)


def test_a_process_that_lost_its_ledger_ends_and_says_so(tmp_path: Path) -> None:
    ledger, files = Ledger(tmp_path / "data"), tmp_path / "files"
    files.mkdir()
    (files / "a.jsonl").write_bytes(b"".join(line(grown(number)) for number in range(20_000)))
    with ledger.watched() as until, watching(tmp_path, ledger.data, location=str(files)) as process:
        until(1_000, process)
        [holder] = psutil.Process(process.pid).children()
        os.kill(holder.pid, signal.SIGKILL)
        assert process.end() == 2
        assert "the process that holds the ledger" in process.told()
    left = 20_000 - len(ledger.bodies())
    assert left > 0
    with ledger.watched() as until, watching(tmp_path, ledger.data, location=str(files)) as process:
        until(left, process)
        assert process.stop() == 0
    assert Counter(body["id"] for body in ledger.bodies()) == Counter(map(grown, range(20_000)))
