"""Schedulers in processes of their own: racing, killed, restarted. Each window is judged once."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from audit.store import Store
from drift import steps
from drift.apply import apply_text
from drift.schedule import Scheduler
from drift.settings import DriftSettings
from drift.verdicts import read
from tests.drift.governance import (
    MODEL,
    POLICY,
    RETRAIN,
    HandClock,
    QuickJudge,
    access_to,
    ledger_of,
    predict,
)

ROOT = Path(__file__).resolve().parents[2]
DAYS = 8


def started(data: Path, holder: str, mode: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.drift.racer", str(data), holder, mode],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "RETRAIN_SECRET": ""},
    )


def prepared(store: Store) -> None:
    apply_text(store, POLICY + RETRAIN % "http://127.0.0.1:9/", "ann")
    predict(store, 0, 1.0)
    for day in range(1, DAYS):
        predict(store, day, 5.0)


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdout is not None
    assert process.stdin is not None
    assert process.stdout.readline() == "ready\n"
    process.stdin.write("go\n")
    process.stdin.flush()


def judged(store: Store) -> list[str]:
    return [each["window"]["start"][:10] for each in ledger_of(store, "DriftMeasured")]


def test_two_schedulers_at_once_judge_each_window_once(store: Store, data: Path) -> None:
    prepared(store)
    racers = [started(data, holder, "race") for holder in "ab"]
    for racer in racers:
        go(racer)
    found = [racer.communicate(timeout=60)[0] for racer in racers]
    assert [racer.returncode for racer in racers] == [0, 0]
    assert sum(map(int, found)) >= DAYS - 2
    assert judged(store) == [f"2013-01-0{day}" for day in range(2, DAYS)]
    assert len(ledger_of(store, "AlertRaised")) == 1
    assert len(ledger_of(store, "RetrainingProposed")) == 1
    assert ledger_of(store, "ConflictRecorded") == []


def test_a_scheduler_killed_between_judging_and_appending_judges_once_after_its_restart(
    store: Store, data: Path
) -> None:
    prepared(store)
    dying = started(data, "a", "die")
    go(dying)
    dying.communicate(timeout=60)
    assert dying.returncode == -signal.SIGKILL
    assert judged(store) == []
    # The dead one's lease runs on; whoever comes back under another name waits for its end.
    store.work.done("lease", "scheduler")
    again = started(data, "b", "once")
    go(again)
    out, _ = again.communicate(timeout=60)
    assert int(out) == DAYS - 2
    assert judged(store) == [f"2013-01-0{day}" for day in range(2, DAYS)]
    assert len(steps.list_cases(store)) == 1


def test_the_lease_of_a_dead_scheduler_ends_by_itself(store: Store, clock: HandClock) -> None:
    prepared(store)
    settings = DriftSettings()
    assert store.work.claim("scheduler", "dead", settings.lease)
    heir = Scheduler(store, access_to(store, clock), settings, QuickJudge(), "b", clock=clock)
    assert heir.judge_due() == 0
    clock.now_us += 61_000_000
    assert heir.judge_due() == DAYS - 2


def test_the_real_judge_in_its_pool_finds_the_shift_and_stops_when_told(
    store: Store, data: Path
) -> None:
    """`run_schedule` as the command runs it: timer, lease, worker process, Evidently."""
    apply_text(store, POLICY, "ann")
    for day, level in enumerate((1.0, 1.0, 1.4, 1.4)):
        predict(store, day, level, rows=200)
    loop = started(data, "a", "loop")
    try:
        _wait_for(lambda: len(store.documents.list("drift")) == 2, loop)
        loop.terminate()
        loop.communicate(timeout=30)
    finally:
        loop.kill()
    assert loop.returncode == 0
    found = [read(body) for _, body in store.documents.list("drift", f"{MODEL}/")]
    assert [each.verdict for each in found] == ["ok", "shift"]
    assert found[1].drifted == ("delay",)
    [first, _] = ledger_of(store, "DriftMeasured")
    assert msgspec.json.encode(first["report"])


def _wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "the scheduler ended by itself"
        assert time.monotonic() < deadline, "the scheduler judged nothing in a minute"
        time.sleep(0.1)
