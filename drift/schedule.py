"""The scheduler: judges what is due, draws the consequences, delivers what waits.

Decides the order (policies by model, windows oldest first, each appended before the next is read),
that one scheduler at a time holds the lease, and what is recorded before rows are read. Each
window is judged exactly once whatever fails: its DriftMeasured has an id derived from policy
revision and window, all segments of a window are appended together, and what a crash left undone
is found again in the documents. Hides APScheduler (memory job store: its SQL store unpickles what
it finds in a database) and the pool of judges.
"""

import logging
import os
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.schedulers.background import BackgroundScheduler
from msgspec.structs import replace

from audit.access import Access
from audit.clock import Clock, system_clock
from audit.errors import AuditError
from audit.events import SYSTEM, Event, event_of, rfc3339
from audit.roles import Principal
from audit.rootkey import Random
from audit.store import Store
from drift import columns, verdicts
from drift.alerts import SCHEDULER
from drift.apply import policies
from drift.challenger import Challenger
from drift.columns import Columns
from drift.consequences import Consequences
from drift.duty import LOGGED, Due, duty_of
from drift.judges import Judge, Judges
from drift.lease import Lease
from drift.outbox import Outbox
from drift.policy import Policy
from drift.projection import PolicyDocument
from drift.reports import drop_stale_tickets
from drift.senders import Senders
from drift.settings import DriftSettings
from drift.windows import Window, reference_of

PRINCIPAL = Principal(SCHEDULER, ("scheduler",))
"""As whom the scheduler reads."""


MOST_REST_US = 60_000_000
"""How long the scheduler may believe that nothing is due, whatever is logged meanwhile."""


class _Rest(NamedTuple):
    """When no window is due: none before `until_us`, none while the ledger keeps its size; but
    neither is believed after `most_us`."""

    until_us: int
    most_us: int
    size: int

    def holds(self, now_us: int, size: int) -> bool:
        return now_us < self.most_us and (now_us < self.until_us or size == self.size)


class Scheduler:
    """One scheduler; several may run, one works."""

    def __init__(
        self,
        store: Store,
        access: Access,
        settings: DriftSettings,
        judge: Judge,
        holder: str,
        *,
        clock: Clock = system_clock,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._access = access
        self._judge = judge
        self._holder = holder
        self._lease = Lease(store.work, SCHEDULER, holder, settings.lease)
        self._clock = clock
        self._outbox = Outbox(store, settings, clock, holder, environment)
        self._consequences = Consequences(store, settings, clock, self._outbox)
        self._challenger = Challenger(store, access, PRINCIPAL, clock, self._consequences.close)
        self._references: dict[tuple[str, Window], tuple[Columns, Senders]] = {}
        self._rests: dict[str, _Rest] = {}

    def judge_due(self, stop: threading.Event | None = None) -> int:
        """Judge every window that is due, until there is none or `stop`; return how many."""
        judged = 0
        if not self._lease.renew():
            return 0
        with self._lease.kept():
            for document, policy in policies(self._store):
                try:
                    judged += self._judge_model(document, policy, stop)
                except Exception as error:  # noqa: BLE001  (one model's trouble must not stop another's)
                    self._tell(policy, error)
        self._references.clear()
        return judged

    def resign(self) -> None:
        """Let another scheduler lead at once; for one that has stopped."""
        self._lease.resign()

    def deliver_due(self) -> int:
        """Move cases that wait for the system and deliver the outbox; return what was taken."""
        self._consequences.of_time()
        drop_stale_tickets(self._store.work, self._holder)
        return self._outbox.deliver_due()

    def _judge_model(
        self, document: PolicyDocument, policy: Policy, stop: threading.Event | None
    ) -> int:
        judged = 0
        self._consequences.of_model(document, policy)
        for due in self._due(policy):
            if (stop is not None and stop.is_set()) or not self._lease.renew():
                break
            index = self._judge_window(policy, due)
            judged += 1
            self._consequences.judged(policy, index)
            self._consequences.of_model(document, policy)
            self._challenger.consider(policy)
        return judged

    def _due(self, policy: Policy) -> list[Due]:
        """What is due; nothing while neither the clock nor the ledger can have changed that."""
        now_us, size = self._clock(), self._store.reader.size()
        rest = self._rests.get(policy.revision)
        if rest is not None and rest.holds(now_us, size):
            return []
        duty = duty_of(self._store, policy, now_us)
        if duty.due:
            self._rests.pop(policy.revision, None)
        else:
            most_us = now_us + MOST_REST_US
            self._rests[policy.revision] = _Rest(duty.wake_us, most_us, size)
        return duty.due

    def _judge_window(self, policy: Policy, due: Due) -> int:
        """Append the verdicts of a window; return the entry of the first, that of all rows."""
        history = verdicts.history(
            self._store.documents,
            policy.model,
            due.version,
            policy.revision,
            rfc3339(due.window.start_us),
            policy.rule.of,
        )
        reference, before = self._reference(policy, due.window)
        current, now = self._read(policy, due.version, due.window)
        bodies = self._judge(
            policy,
            due.window,
            reference,
            current,
            due.version,
            {segment: [_plain(each) for each in known] for segment, known in history.items()},
        )
        told = {"window": now.told, "reference": before.told}
        bodies = [{**body, "predictions": told} for body in bodies]
        return self._store.ledger.append(_measured(bodies))[0].index

    def _reference(self, policy: Policy, window: Window) -> tuple[Columns, Senders]:
        span = reference_of(policy, window)
        key = (policy.revision, span)
        if key not in self._references:
            if policy.reference.trailing_us:
                self._references.clear()  # a trailing reference serves one window only
            self._references[key] = self._read(policy, policy.reference.version, span)
        return self._references[key]

    def _read(self, policy: Policy, version: str | None, span: Window) -> tuple[Columns, Senders]:
        """Read a window into columns and tell whose rows they are; the access is on the ledger
        before a row is."""
        asked: dict[str, Any] = {
            "type": LOGGED,
            "model": policy.model,
            "from": rfc3339(span.start_us),
            "to": rfc3339(span.end_us),
        }
        if version is not None:
            asked["version"] = version
        self._access.record(PRINCIPAL, "judge_drift", filter=asked)
        opened = self._store.reader.window(
            LOGGED, policy.model, version, span.start_us, span.end_us
        )
        senders = Senders.under(policy)
        return columns.read(policy, (each.body for each in senders.rows(opened))), senders

    def _tell(self, policy: Policy, error: Exception) -> None:
        """Log what failed without its text, which may quote values."""
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{each.filename}:{each.lineno}" for each in reversed(frames[-8:]))
        name = type(error).__name__
        logging.getLogger("modelwitness").error("%s: %s at %s", policy.model, name, where)
        self._consequences.not_judged(policy, name)


def run_schedule(
    store: Store,
    access: Access,
    settings: DriftSettings,
    stop: threading.Event,
    *,
    clock: Clock = system_clock,
    random: Random = os.urandom,
    environment: Mapping[str, str] | None = None,
    chores: Sequence[Callable[[], object]] = (),
    rounds: Sequence[Callable[[], object]] = (),
) -> None:
    """Judge and deliver until `stop` is set; what is under way is finished first.

    `chores` are done now and once an hour, `rounds` now and once a minute, however long a judgement
    takes; those of other packages come from the composition root.
    Raises `Broken` where the ledger stopped before: a new process has to go on.
    """
    judges = Judges(settings.workers)
    judges.warm()
    scheduler = Scheduler(
        store,
        access,
        settings,
        judges,
        random(16).hex(),
        clock=clock,
        environment=environment,
    )
    timer = BackgroundScheduler(
        timezone=UTC,
        executors={"default": ThreadPoolExecutor(2), "rounds": ThreadPoolExecutor(1)},
        job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
    )
    now = datetime.now(UTC)
    timer.add_job(
        scheduler.judge_due, "interval", (stop,), seconds=settings.tick, next_run_time=now
    )
    timer.add_job(scheduler.deliver_due, "interval", seconds=settings.tick, next_run_time=now)
    for chore in chores:
        timer.add_job(chore, "interval", hours=1, next_run_time=now)
    for each in rounds:
        timer.add_job(each, "interval", minutes=1, next_run_time=now, executor="rounds")
    # A judgement may outlast its interval; that is no event worth a warning each time.
    logging.getLogger("apscheduler").setLevel(logging.ERROR)
    store.ledger.when_broken(stop.set)
    timer.start()
    try:
        stop.wait()
    finally:
        timer.shutdown(wait=True)
        judges.close()
        with suppress(AuditError):  # then the lease ends by itself
            scheduler.resign()
    store.ledger.require_working()


def _measured(bodies: Sequence[dict[str, Any]]) -> list[Event]:
    """The events of one window; whichever scheduler is first, its verdict stands."""
    return [
        replace(event_of("DriftMeasured", SYSTEM, body), content=str(body["id"]).encode())
        for body in bodies
    ]


def _plain(summary: bytes) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode(summary)
    return found
