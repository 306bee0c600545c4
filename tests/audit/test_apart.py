"""The ledger in a process of its own: the same answers, and an end that nobody waits for."""

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from audit.apart import Apart
from audit.errors import Busy
from audit.ledger import Ledger
from audit.signing import Checkpoints
from audit.store import Store
from tests.audit.stores import opened, prediction


class Elsewhere:
    """Starts the other process, and notes when it is lost."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.process: subprocess.Popen[bytes]
        self.lost = threading.Event()

    def __call__(self, checkpoints: Checkpoints) -> Ledger:
        return Apart(checkpoints, self._start, self.lost.set)

    def _start(self, descriptor: int) -> subprocess.Popen[bytes]:
        command = ["-m", "modelwitness", "hold", str(descriptor), "--data", str(self._folder)]
        self.process = subprocess.Popen([sys.executable, *command], pass_fds=[descriptor])
        return self.process


@contextmanager
def apart(folder: Path) -> Iterator[tuple[Store, Elsewhere]]:
    elsewhere = Elsewhere(folder)
    store = opened(folder, apart=elsewhere)
    try:
        yield store, elsewhere
    finally:
        store.close()


def test_answers_are_those_of_the_ledger(tmp_path: Path) -> None:
    with apart(tmp_path) as (store, _):
        first = store.ledger.append([prediction(1), prediction(2)])
        again = store.ledger.append([prediction(2)])
        assert [each.index for each in first] == [1, 2]
        assert (again[0].index, again[0].duplicate) == (2, True)
        assert store.reader.open([2])[0].body == prediction(2).body
        assert store.ledger.waiting == 0


def test_many_threads_get_their_own_answers(tmp_path: Path) -> None:
    with apart(tmp_path) as (store, _):
        found: dict[int, int] = {}

        def append(number: int) -> None:
            for each in range(number, number + 20):
                found[each] = store.ledger.append([prediction(each)])[0].index

        threads = [threading.Thread(target=append, args=(20 * n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(found.values()) == list(range(1, 161))
        for number, index in found.items():
            assert store.reader.open([index])[0].body == prediction(number).body


def test_the_end_of_the_other_process_is_told_and_refuses(tmp_path: Path) -> None:
    with apart(tmp_path) as (store, elsewhere):
        elsewhere.process.send_signal(signal.SIGKILL)
        assert elsewhere.lost.wait(10)
        with pytest.raises(Busy, match="has ended"):
            store.ledger.append([prediction(1)])


def test_closing_commits_what_waits(tmp_path: Path) -> None:
    with apart(tmp_path) as (store, elsewhere):
        pending = [store.ledger.submit([prediction(number)]) for number in range(50)]
        store.close()
        assert elsewhere.process.returncode == 0
        assert not elsewhere.lost.is_set()
        assert [each.result()[0].index for each in pending] == list(range(1, 51))


def test_a_process_that_does_not_start_is_no_ledger(tmp_path: Path) -> None:
    def start(_: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "-c", "raise SystemExit(3)"])

    with pytest.raises(Busy, match="did not start"):
        opened(tmp_path, apart=lambda checkpoints: Apart(checkpoints, start, lambda: None))
