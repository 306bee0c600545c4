"""The lease of the scheduler: short, kept while it judges, given back when it stops."""

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from audit.errors import Broken
from audit.store import Store
from audit.tables import work
from drift.apply import apply_text
from drift.lease import Lease
from drift.schedule import Scheduler, run_schedule
from drift.settings import DriftSettings
from tests.audit.fatal import Fatal, deadly
from tests.drift.governance import (
    POLICY,
    HandClock,
    QuickJudge,
    access_to,
    opened,
    predict,
    scheduler,
)

LEASE = 0.3


def ends_us(store: Store) -> int:
    """When the scheduler's lease ends as things stand; 0 where nobody ever held it."""
    query = select(work.c.leased_us).where(work.c.kind == "lease", work.c.key == "scheduler")
    with store.database.reading() as connection:
        return int(connection.execute(query).scalar() or 0)


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.01)


def pass_and_wait(store: Store, clock: HandClock, seconds: float) -> None:
    """Let time pass, and wait until the lease was renewed since."""
    clock.now_us += int(seconds * 1_000_000)
    wait_for(lambda: ends_us(store) >= clock.now_us + int(LEASE * 1_000_000))


def test_a_judgement_longer_than_the_lease_keeps_it(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2):
        predict(store, day, 1.0)
    refused: list[bool] = []

    class Slow(QuickJudge):
        def __call__(self, *arguments: Any) -> list[dict[str, Any]]:
            for _ in range(5):
                pass_and_wait(store, clock, LEASE * 0.9)
                refused.append(not store.work.claim("scheduler", "other", LEASE))
            return super().__call__(*arguments)

    settings = DriftSettings(lease=LEASE)
    judge: Any = Slow()
    slow = Scheduler(store, access_to(store, clock), settings, judge, "a", clock=clock)
    assert slow.judge_due() == 1
    assert refused == [True] * 5
    ended = ends_us(store)
    clock.now_us = ended  # nobody renews for one that is done
    assert store.work.claim("scheduler", "other", LEASE)


def test_a_lease_that_was_lost_is_not_won_back(store: Store, clock: HandClock) -> None:
    lease = Lease(store.work, "scheduler", "a", LEASE)
    assert lease.renew()
    clock.now_us += 10_000_000
    assert store.work.claim("scheduler", "b", 100)
    held = ends_us(store)
    with lease.kept():
        wait_for(lambda: not any(each.name == "lease" for each in threading.enumerate()))
    assert ends_us(store) == held
    lease.resign()
    assert ends_us(store) == held


def test_who_resigns_is_followed_at_once(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    for day in (0, 1, 2):
        predict(store, day, 1.0)
    first = scheduler(store, clock)
    assert first.judge_due() == 1
    predict(store, 3, 1.0)
    heir = scheduler(store, clock, holder="b")
    assert heir.judge_due() == 0
    first.resign()
    assert heir.judge_due() == 1


def test_a_scheduler_that_is_stopped_resigns(store: Store, clock: HandClock) -> None:
    stop = threading.Event()
    running = threading.Thread(
        target=run_schedule,
        args=(store, access_to(store, clock), DriftSettings(tick=0.1), stop),
        kwargs={"clock": clock, "environment": {}},
    )
    running.start()
    try:
        wait_for(lambda: ends_us(store) > clock.now_us)
    finally:
        stop.set()
        running.join()
    assert store.work.claim("scheduler", "next", 60)


def test_a_scheduler_ends_with_its_ledger(data: Path, clock: HandClock) -> None:
    fatal = Fatal()
    fatal.go_on.set()
    store = opened(data, clock, fatal)
    ended: list[Broken] = []

    def run() -> None:
        try:
            run_schedule(
                store,
                access_to(store, clock),
                DriftSettings(tick=0.1),
                threading.Event(),
                clock=clock,
                environment={},
            )
        except Broken as error:
            ended.append(error)

    running = threading.Thread(target=run, daemon=True)
    running.start()
    wait_for(lambda: ends_us(store) > clock.now_us)
    with pytest.raises(Broken):
        store.ledger.append([deadly()])
    running.join(30)
    assert len(ended) == 1
    store.close()
