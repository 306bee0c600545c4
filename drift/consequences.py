"""What follows from a verdict, an approval and the passing of time.

Decides: a confirmed shift or a fault raises an alert; a confirmed shift without a standing fault
proposes a retraining where the policy asks for one, no case of the model is open and the cooldown
is over; a clear verdict resolves; an approval goes to the outbox; a case that stands still too
long is closed and tells so. Hides repetition: everything here may run again after a crash, because
ids are derived from causes and what was said already is a duplicate.
"""

from collections.abc import Sequence

import msgspec

from audit.clock import Clock
from audit.events import rfc3339
from audit.store import Store
from drift import alerts, steps
from drift.alerts import SCHEDULER, Alert, Kind, system_event
from drift.cases import Case, Evidence, Named, blocked, case_id, overdue
from drift.outbox import Outbox
from drift.policy import Policy, Retrain
from drift.projection import PolicyDocument, Retraining
from drift.settings import DriftSettings
from drift.verdicts import Verdict, history, newest, read

ALL = "all"
PASSING: tuple[Kind, ...] = ("shift", "fault")
_decode_retraining = msgspec.json.Decoder(Retraining).decode
"""Kinds of alert that a later verdict of the series may end."""


class Consequences:
    """Turns verdicts into alerts and cases, and moves cases that wait for the system."""

    def __init__(self, store: Store, settings: DriftSettings, clock: Clock, outbox: Outbox) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._outbox = outbox

    def of_model(self, document: PolicyDocument, policy: Policy) -> None:
        """Draw what follows from the newest window of a model, for each version and segment.

        A version whose windows end earlier no longer predicts: nothing new follows from them.
        """
        verdicts = newest(self._store.documents, policy.model)
        for verdict in sorted(verdicts, key=lambda each: (each.segment != ALL, each.segment)):
            self.of_verdict(document, policy, verdict)

    def of_verdict(self, document: PolicyDocument, policy: Policy, verdict: Verdict) -> None:
        """Raise, resolve and propose what this verdict calls for."""
        if verdict.policy.revision != document.revision:
            return  # the revision in force has not judged this series yet
        evidence = steps.evidence_of(self._store, verdict.index)
        if policy.actions.alert:
            for kind in alerts.wanted(verdict):
                self._raise(kind, verdict, document.owner, evidence)
        for kind in PASSING:
            standing = self._standing_of(verdict, kind)
            if standing is not None and alerts.over(verdict, kind):
                self._resolve(standing, "the series is clear again", evidence)
        if "shift" in alerts.wanted(verdict) and policy.actions.retrain is not None:
            self._propose(document, policy.actions.retrain, verdict)

    def judged(self, policy: Policy, index: int) -> None:
        """Resolve that the model could not be judged: the verdict at `index` shows that it was."""
        alert = self._standing(policy.model, "-", ALL, "unjudged")
        if alert is not None:
            evidence = steps.evidence_of(self._store, index)
            self._resolve(alert, "windows are judged again", evidence)

    def not_judged(self, policy: Policy, failure: str) -> None:
        """Raise that windows of the model wait because judging them fails; once until it works."""
        if self._standing(policy.model, "-", ALL, "unjudged") is not None:
            return
        now = self._now()
        name = alerts.alert_id("unjudged", policy.model, "-", ALL, now)
        event = system_event(
            "AlertRaised",
            name,
            now,
            Named(policy.model, "-"),
            alert=name,
            kind="unjudged",
            actor=SCHEDULER,
            segment=ALL,
            incident=now,
            owner=policy.owner or "",
            policy={"name": policy.model, "revision": policy.revision},
            reason=f"a window could not be judged ({failure}); the log of the scheduler says where",
        )
        self._store.ledger.append([event])

    def of_time(self) -> None:
        """Move what waits for the system: approvals to the outbox, cases that stand still."""
        for case in self._open_cases():
            self._outbox.offer(case)
            since_us = self._store.reader.leaf(case.steps[-1].index).logged_us
            if overdue(case, since_us, self._clock(), self._settings.limits_us):
                self._expire(case)

    def close(self, case: Case, outcome: str, reason: str) -> None:
        """Close a case and resolve the alerts that it was about."""
        facts = {"outcome": outcome}
        steps.take(
            self._store,
            case.id,
            "RetrainingClosed",
            SCHEDULER,
            reason,
            facts=facts,
            clock=self._clock,
        )
        closing = steps.case_of(self._store, case.id).steps[-1].index
        over: tuple[Kind, ...] = (
            ("undelivered",) if outcome == "expired" else ("shift", "undelivered")
        )
        for kind in over:
            alert = self._standing(case.model, case.version, case.segment, kind)
            if alert is not None:
                evidence = steps.evidence_of(self._store, closing)
                self._resolve(alert, f"case {case.id} is closed: {outcome}", evidence)

    def _raise(self, kind: Kind, verdict: Verdict, owner: str, evidence: Evidence) -> None:
        # A segment speaks for itself only where the whole is silent: one trouble, one alert.
        whole = self._standing(verdict.model.name, verdict.model.version, ALL, kind)
        if whole is None and self._standing_of(verdict, kind) is None:
            event = alerts.raised(kind, verdict, owner, evidence, self._now())
            self._store.ledger.append([event])

    def _resolve(self, alert: Alert, reason: str, evidence: Evidence) -> None:
        event = alerts.settled(
            "AlertResolved",
            alert,
            actor=SCHEDULER,
            reason=reason,
            now=self._now(),
            evidence=(evidence,),
        )
        self._store.ledger.append([event])

    def _standing_of(self, verdict: Verdict, kind: Kind) -> Alert | None:
        return self._standing(verdict.model.name, verdict.model.version, verdict.segment, kind)

    def _standing(self, model: str, version: str, segment: str, kind: Kind) -> Alert | None:
        key = alerts.series_key(model, version, segment, kind)
        stored = self._store.documents.get("alert-standing", key)
        return None if stored is None else steps.alert_of(self._store, stored.decode())

    def _propose(self, document: PolicyDocument, retrain: Retrain, verdict: Verdict) -> None:
        if self._standing_of(verdict, "fault") is not None:
            return  # bad data would be trained on
        model, version = verdict.model.name, verdict.model.version
        incident = verdict.incident
        id = case_id(model, version, document.revision, verdict.segment, incident)
        if self._store.documents.get("case", id) is not None:
            return
        known = steps.list_cases(self._store, model)
        if blocked(known, self._clock(), retrain.cooldown_us) is not None:
            return
        confirming = confirming_windows(self._store, verdict)
        alert = self._standing_of(verdict, "shift")
        indexes = [*(each.index for each in confirming), *([alert.index] if alert else [])]
        event = system_event(
            "RetrainingProposed",
            id,
            self._now(),
            Named(model, version),
            case=id,
            actor=SCHEDULER,
            reason=verdict.reason,
            policy={"name": document.model, "revision": document.revision},
            incident=incident,
            segment=verdict.segment,
            windows=[msgspec.to_builtins(each.window) for each in confirming],
            columns=list(verdict.drifted),
            owner=document.owner,
            senders=self._senders(document),
            evidence=[
                msgspec.to_builtins(steps.evidence_of(self._store, index)) for index in indexes
            ],
        )
        self._store.ledger.append([event])
        if retrain.approval == "none":
            self._approve_by_policy(id, document)

    def _approve_by_policy(self, case: str, document: PolicyDocument) -> None:
        # Nobody approved: it is the system's step, and the policy's entry says who allowed it.
        steps.take(
            self._store,
            case,
            "RetrainingApproved",
            SCHEDULER,
            f"the policy of revision {document.revision[:12]} asks for no approval",
            facts={"by_policy": True},
            evidence=(steps.evidence_of(self._store, document.index),),
            clock=self._clock,
        )

    def _expire(self, case: Case) -> None:
        days = self._settings.limits_us[case.state] // 86_400_000_000
        reason = f"the case stood at {case.state} for {days} days"
        self.close(case, "expired", reason)
        name = alerts.alert_id("timeout", case.model, case.version, case.segment, case.id)
        event = system_event(
            "AlertRaised",
            name,
            self._now(),
            Named(case.model, case.version),
            alert=name,
            kind="timeout",
            actor=SCHEDULER,
            segment=case.segment,
            incident=case.incident,
            owner=case.owner,
            case=case.id,
            reason=reason,
        )
        self._store.ledger.append([event])

    def _senders(self, document: PolicyDocument) -> list[str]:
        """Who may release for the model beside those whom its policy lists: see
        `audit.releases`."""
        first = self._store.counts.first_senders().get(document.model)
        return [] if document.releases or first is None else [first]

    def _open_cases(self) -> Sequence[Case]:
        rows = self._store.documents.each("retraining")
        markers = [_decode_retraining(body) for _, body in rows]
        return [steps.case_of(self._store, marker.open) for marker in markers if marker.open]

    def _now(self) -> str:
        return rfc3339(self._clock())


def confirming_windows(store: Store, verdict: Verdict) -> list[Verdict]:
    """Return the shifted windows, oldest first, among those that the confirmation looked at."""
    before = history(
        store.documents,
        verdict.model.name,
        verdict.model.version,
        verdict.policy.revision,
        verdict.window.start,
        verdict.confirmation.of,
    )
    known = [*map(read, before.get(verdict.segment, [])), verdict]
    judged = [each for each in known if each.verdict in {"ok", "shift"}]
    return [each for each in judged[-verdict.confirmation.of :] if each.verdict == "shift"]
