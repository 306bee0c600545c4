"""A thread of the ledger that dies leaves nobody waiting, and takes its process with it."""

import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

import pytest

from audit.apart import Apart
from audit.errors import Broken, Busy
from audit.ledger import Answers, Ledger
from audit.signing import Checkpoints
from audit.store import Store
from tests.audit.fatal import SECONDS, Fatal, Gone, deadly
from tests.audit.stores import opened, prediction


class Clock:
    """Kills the thread that asks it once it is told to; in between it goes on."""

    def __init__(self) -> None:
        self.now_us = 1_400_000_000_000_000
        self.deadly = False

    def __call__(self) -> int:
        if self.deadly:
            raise Gone
        self.now_us += 1
        return self.now_us


def refused(answers: Sequence[Answers]) -> None:
    for each in answers:
        with pytest.raises(Broken, match="nobody foresaw") as told:
            each.result(SECONDS)
        assert "an event's text" not in str(told.value)


def ended(store: Store) -> None:
    with pytest.raises(Broken):
        store.ledger.require_working()
    with pytest.raises(Busy):
        store.ledger.submit([prediction(99_999)])
    assert store.ledger.waiting == 0
    told = threading.Event()
    store.ledger.when_broken(told.set)
    assert told.is_set()
    closing = threading.Thread(target=store.close, daemon=True)
    closing.start()
    closing.join(SECONDS)
    assert not closing.is_alive()


def test_whoever_waits_is_answered_when_a_transaction_kills_its_thread(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    fatal = Fatal()
    store = opened(tmp_path, projections=[fatal])
    told = threading.Event()
    store.ledger.when_broken(told.set)
    store.ledger.append([prediction(0)])
    waiting = [store.ledger.submit([deadly()])]
    assert fatal.entered.wait(SECONDS)
    waiting += [store.ledger.submit([prediction(number)]) for number in range(1, 50)]
    store.ledger.require_working()
    fatal.go_on.set()
    refused(waiting)
    assert told.wait(SECONDS)
    assert "Gone" in caplog.text
    assert "an event's text" not in caplog.text
    ended(store)


def test_whoever_waits_is_answered_when_the_committing_thread_dies(tmp_path: Path) -> None:
    fatal = Fatal()
    store = opened(tmp_path, projections=[fatal])
    store.ledger.append([prediction(0)])
    # Many at a time are committed by the thread of that name, and others prepared meanwhile.
    waiting = [
        store.ledger.submit([*(prediction(1000 * n + m) for m in range(400)), *last])
        for n, last in ((1, [deadly()]), (2, []), (3, []), (4, []))
    ]
    assert fatal.entered.wait(SECONDS)
    fatal.go_on.set()
    refused(waiting)
    ended(store)


def test_whoever_waits_is_answered_when_the_preparing_thread_dies(tmp_path: Path) -> None:
    clock = Clock()
    store = opened(tmp_path, clock=clock)
    store.ledger.append([prediction(0)])
    clock.deadly = True
    refused([store.ledger.submit([prediction(number)]) for number in range(1, 5)])
    ended(store)


HOLD = """
import os, socket, sys
from pathlib import Path
from audit import apart
from tests.audit.fatal import SECONDS, Fatal, Gone, deadly
from tests.audit.stores import opened
from tests.audit.fatal import Fatal

fatal = Fatal()
fatal.go_on.set()
store = opened(Path(sys.argv[1]), projections=[fatal])
apart.hold(store.ledger, socket.socket(fileno=int(sys.argv[2])))
"""


def test_the_process_that_holds_a_broken_ledger_ends_and_is_missed(tmp_path: Path) -> None:
    lost = threading.Event()
    started: list[subprocess.Popen[bytes]] = []

    def start(descriptor: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", HOLD, str(tmp_path), str(descriptor)]
        started.append(subprocess.Popen(command, pass_fds=[descriptor], stderr=subprocess.PIPE))
        return started[0]

    def elsewhere(checkpoints: Checkpoints) -> Ledger:
        return Apart(checkpoints, start, lost.set)

    store = opened(tmp_path, projections=[Fatal()], apart=elsewhere)
    store.ledger.append([prediction(0)])
    store.ledger.require_working()
    waiting = [store.ledger.submit([each]) for each in (deadly(), prediction(1), prediction(2))]
    for each in waiting:
        with pytest.raises(Broken):
            each.result(SECONDS)
    assert lost.wait(SECONDS)
    with pytest.raises(Broken):
        store.ledger.require_working()
    [process] = started
    assert process.stderr is not None
    with process.stderr as said:
        assert b"audit.errors.Broken" in said.read()
    assert process.wait(SECONDS) != 0
    store.close()
