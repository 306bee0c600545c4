"""The steps of a retraining case and of an alert, taken by people and retrainers.

Decides how a step becomes an event: checked against the state machine before it is appended,
with the entry that it rests on as evidence, and checked again after, because two people may act
at once: the ledger's order decides, and whoever came second is told. Taking the same step twice
gives the first one's result.
"""

from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import msgspec

from audit.clock import Clock, system_clock
from audit.events import Event, rfc3339
from audit.store import Store
from drift import alerts, cases
from drift.alerts import Alert, system_event
from drift.cases import Case, CaseEvent, Evidence, Named
from drift.errors import IllegalStep, Unknown

_decode_case = msgspec.json.Decoder(Case).decode
_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_case_event = msgspec.json.Decoder(CaseEvent).decode


def case_of(store: Store, case: str) -> Case:
    """Return a case; raises `Unknown`."""
    stored = store.documents.get("case", case)
    if stored is None:
        raise Unknown("no retraining case has this id")
    return _decode_case(stored)


def alert_of(store: Store, alert: str) -> Alert:
    """Return an alert; raises `Unknown`."""
    stored = store.documents.get("alert", alert)
    if stored is None:
        raise Unknown("no alert has this id")
    return _decode_alert(stored)


def list_cases(store: Store, model: str | None = None) -> list[Case]:
    """Return every case, newest first, of one model or of all."""
    rows = store.documents.each("case", descending=True)
    found = (_decode_case(body) for _, body in rows)
    return [case for case in found if model is None or case.model == model]


DECISIONS: Mapping[str, str] = {
    "approve": "RetrainingApproved",
    "reject": "RetrainingRejected",
}
"""What a person may decide about a proposed retraining, and the event that it is.

Approved, it is dispatched: the scheduler delivers it. Rejected, the same incident is not proposed
again; who proposed may withdraw so, but not approve.
"""


def decide(
    store: Store,
    case: str,
    decision: str,
    actor: str,
    reason: str,
    *,
    simulated: bool = False,
    clock: Clock = system_clock,
) -> Case:
    """Take one of `DECISIONS` about a proposed retraining.

    Raises `Unknown`, `IllegalStep` where it is no longer proposed or no reason is given, and
    `SamePerson` where the actor of an approval proposed it.
    """
    type = DECISIONS[decision]
    return take(store, case, type, actor, reason, simulated=simulated, clock=clock)


def acknowledge_case(store: Store, case: str, actor: str, *, clock: Clock = system_clock) -> Case:
    """Note that the retrainer has taken the case over."""
    return take(store, case, "RetrainingAcknowledged", actor, "", clock=clock)


def register_candidate(
    store: Store,
    case: str,
    actor: str,
    version: str,
    metrics: dict[str, float],
    *,
    clock: Clock = system_clock,
) -> Case:
    """Note the version that retraining gave, with what the retrainer measured of it."""
    return take(
        store,
        case,
        "CandidateRegistered",
        actor,
        "",
        facts={"candidate": version, "metrics": metrics},
        clock=clock,
    )


def take(
    store: Store,
    case: str,
    type: str,
    actor: str,
    reason: str,
    *,
    simulated: bool = False,
    facts: dict[str, Any] | None = None,
    evidence: tuple[Evidence, ...] = (),
    clock: Clock = system_clock,
) -> Case:
    """Append one step of a case and return the case after it; raises as `cases.advance`."""
    before = case_of(store, case)
    event = step_of(
        store,
        before,
        type,
        actor,
        reason,
        simulated=simulated,
        facts=facts or {},
        evidence=evidence,
        clock=clock,
    )
    if _taken(before, type, actor, facts or {}):
        return before
    cases.advance(before, type, _decode_case_event(event.body), -1)
    [appended] = store.ledger.append([event])
    after = case_of(store, case)
    if not any(step.index == appended.index for step in after.steps):
        raise IllegalStep(f"{type} came too late: the case is {after.state} by now")
    if not _taken(after, type, actor, facts or {}):
        raise IllegalStep(f"{type} was taken by someone else at the same time")
    return after


def step_of(
    store: Store,
    case: Case,
    type: str,
    actor: str,
    reason: str,
    *,
    simulated: bool = False,
    facts: dict[str, Any] | None = None,
    evidence: tuple[Evidence, ...] = (),
    clock: Clock = system_clock,
) -> Event:
    """Return the event of a step; it always rests on the step before it."""
    rests_on = (evidence_of(store, case.steps[-1].index), *evidence)
    return system_event(
        type,
        f"{case.id}/{type}",
        rfc3339(clock()),
        Named(case.model, case.version),
        case=case.id,
        actor=actor,
        evidence=[msgspec.to_builtins(each) for each in rests_on],
        **({"reason": reason} if reason else {}),
        **({"simulated": True} if simulated else {}),
        **(facts or {}),
    )


def acknowledge_alert(
    store: Store,
    alert: str,
    actor: str,
    reason: str,
    *,
    simulated: bool = False,
    clock: Clock = system_clock,
) -> Alert:
    """Note that a person has seen an alert and what they say to it.

    Raises `Unknown`, and `IllegalStep` where it was acknowledged or resolved before by another.
    """
    before = alert_of(store, alert)
    if not reason.strip():
        raise IllegalStep("an acknowledgement gives a reason", field="/reason", remedy="Say why.")
    if before.state != "raised":
        if before.acknowledged_by == actor:
            return before
        raise IllegalStep(f"the alert is {before.state} already")
    event = alerts.settled(
        "AlertAcknowledged",
        before,
        actor=actor,
        reason=reason,
        now=rfc3339(clock()),
        evidence=(evidence_of(store, before.index),),
        simulated=simulated,
    )
    store.ledger.append([event])
    after = alert_of(store, alert)
    if after.acknowledged_by != actor:
        raise IllegalStep(f"the alert is {after.state} already")
    return after


def evidence_of(store: Store, index: int) -> Evidence:
    """Return an entry as evidence: its index with its leaf hash in base64."""
    return Evidence(index, b64encode(store.reader.leaf(index).hash).decode())


def _taken(case: Case, type: str, actor: str, facts: dict[str, Any]) -> bool:
    """Whether this actor has taken this very step already."""
    if type == "CandidateRegistered" and case.candidate != facts.get("candidate"):
        return False
    return any(step.type == type and step.actor == actor for step in case.steps)
