"""The outbox: an approved case is told to its retrainer until somebody there has heard it.

Decides when to try, how often, and when to give up: a message is due at once, then after a pause
that doubles; after the last attempt it is dead, stays visible under its own kind of work, and
raises an alert. The message is told at least once under one webhook-id, by which its receiver
knows a repetition; on the ledger its dispatch stands exactly once. Hides the work table.
"""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from audit.clock import Clock
from audit.events import rfc3339
from audit.outgoing import Outgoing
from audit.store import Store
from drift import delivery, steps
from drift.alerts import SCHEDULER, alert_id, series_key, settled, system_event
from drift.apply import in_force
from drift.cases import Case, Named
from drift.errors import IllegalStep, Undeliverable, Unknown
from drift.policy import Retrain, parse
from drift.settings import DriftSettings

KIND = "outbox"
DEAD = "outbox-dead"
EVENT_TYPE = "modelwitness.RetrainingApproved.v1"
_encode = msgspec.json.Encoder(order="deterministic").encode


class Dead(Struct, frozen=True):
    """A message that nobody took: why, after how many attempts, since when (RFC 3339)."""

    case: str
    reason: str
    attempts: int
    time: str


_decode_dead = msgspec.json.Decoder(Dead).decode


class Outbox:
    """Delivers what cases ask for; safe to run in several processes."""

    def __init__(
        self,
        store: Store,
        settings: DriftSettings,
        clock: Clock,
        holder: str,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._holder = holder
        self._environment = environment
        self._outgoing = Outgoing.of(store.settings.outgoing_allowed)

    def offer(self, case: Case) -> None:
        """Put an approved case in the outbox, unless it is there, dispatched or dead."""
        work = self._store.work
        if case.state == "approved" and work.get(DEAD, case.id) is None:
            work.put(KIND, case.id, b"{}", self._clock())

    def deliver_due(self) -> int:
        """Try everything that is due once; return how many were taken by their receivers."""
        hold = self._settings.deliver_timeout * 3 + 30
        taken = 0
        for item in self._store.work.lease(KIND, self._holder, hold, 20):
            taken += self._attempt(item.key, item.attempts)
        return taken

    def _attempt(self, case_id: str, before: int) -> bool:
        work = self._store.work
        try:
            case = steps.case_of(self._store, case_id)
        except Unknown:
            work.done(KIND, case_id)
            return False
        if case.settled or case.dispatched:
            work.done(KIND, case_id)  # told before, by a process that died right after
            return False
        try:
            facts = self._post(case, before + 1)
        except Undeliverable as error:
            self._failed(case, error, before + 1)
            return False
        # A case may be closed while its message is on the way; then nothing is left to say.
        with contextlib.suppress(IllegalStep):
            steps.take(
                self._store,
                case.id,
                "RetrainingDispatched",
                SCHEDULER,
                "",
                facts=facts,
                clock=self._clock,
            )
        work.done(KIND, case_id)
        self._reached(case)
        return True

    def _reached(self, case: Case) -> None:
        """Resolve that the retrainer was not reached."""
        key = series_key(case.model, case.version, case.segment, "undelivered")
        stored = self._store.documents.get("alert-standing", key)
        if stored is not None:
            alert = steps.alert_of(self._store, stored.decode())
            told = settled(
                "AlertResolved",
                alert,
                actor=SCHEDULER,
                reason="the retrainer was reached",
                now=rfc3339(self._clock()),
            )
            self._store.ledger.append([told])

    def _post(self, case: Case, attempt: int) -> dict[str, Any]:
        retrain = self._retrain(case)
        url = delivery.resolve_reference(retrain.url, self._environment)
        secret = delivery.resolve_reference(retrain.secret, self._environment)
        body = message(case, self._store.ledger.origin)
        headers = delivery.sign(secret, case.id, self._clock(), body)
        status = delivery.deliver(
            self._outgoing, url, headers, body, self._settings.deliver_timeout
        )
        return {"attempts": attempt, "status": status, "webhook": case.id}

    def _retrain(self, case: Case) -> Retrain:
        document = in_force(self._store, case.model)
        retrain = None if document is None else parse(document.text).actions.retrain
        if retrain is None:
            raise Undeliverable("the policy in force names no retrainer", final=True)
        return retrain

    def _failed(self, case: Case, error: Undeliverable, attempts: int) -> None:
        work = self._store.work
        if attempts < self._settings.attempts and not error.final:
            pause = min(self._settings.backoff * 2 ** (attempts - 1), self._settings.backoff_most)
            work.later(KIND, case.id, self._clock() + int(pause * 1_000_000))
            return
        now = rfc3339(self._clock())
        work.put(DEAD, case.id, _encode(Dead(case.id, str(error), attempts, now)))
        work.done(KIND, case.id)
        self._store.ledger.append([undelivered(case, str(error), attempts, now)])


def message(case: Case, origin: str) -> bytes:
    """Return the CloudEvent that asks for a retraining: what drifted, on what, and who decided.

    Relative addresses are those of the API of this service; nothing personal is in it.
    """
    approved = next(step for step in case.steps if step.type == "RetrainingApproved")
    data = {
        "case": case.id,
        "model": {"name": case.model, "version": case.version},
        "policy": case.policy,
        "segment": case.segment,
        "windows": case.windows,
        "columns": case.columns,
        "approver": approved.actor,
        "reason": approved.reason,
        "approval": {"index": approved.index},
        "labels": f"/v1/cases/{case.id}/labels.parquet",
        "acknowledge": f"/v1/cases/{case.id}/acknowledge",
        "candidate": f"/v1/cases/{case.id}/candidate",
        **({"simulated": True} if approved.simulated else {}),
    }
    return _encode(
        {
            "specversion": "1.0",
            "id": case.id,
            "source": origin,
            "type": EVENT_TYPE,
            "time": approved.time,
            "datacontenttype": "application/json",
            "data": data,
        }
    )


def undelivered(case: Case, reason: str, attempts: int, now: str) -> Any:
    """Return the alert that nobody took a case's message."""
    name = alert_id("undelivered", case.model, case.version, case.segment, case.id)
    return system_event(
        "AlertRaised",
        name,
        now,
        Named(case.model, case.version),
        alert=name,
        kind="undelivered",
        actor=SCHEDULER,
        segment=case.segment,
        incident=case.incident,
        owner=case.owner,
        case=case.id,
        reason=f"the retrainer was not reached in {attempts} attempts: {reason}",
    )


def dead_letter(store: Store, case: str) -> Dead | None:
    """Return the dead message of a case, if it has one."""
    item = store.work.get(DEAD, case)
    return None if item is None else _decode_dead(item.body)


def dead_letters(store: Store) -> Iterator[Dead]:
    """Yield the dead messages by case."""
    after = ""
    while page := store.work.list(DEAD, after):
        for item in page:
            after = item.key
            yield _decode_dead(item.body)


def revive(store: Store, case: str, *, clock: Clock) -> bool:
    """Try a dead message again from the start; False where there is none."""
    if store.work.take(DEAD, case) is None:
        return False
    store.work.put(KIND, case, b"{}", clock())
    return True
