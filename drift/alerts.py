"""Alerts: what a person must see, as a pure function of its events.

    raised ─Acknowledged→ acknowledged ─Resolved→ resolved;  raised ─Resolved→ resolved

Decides what raises and what resolves an alert: a confirmed shift or a fault of one series (model,
version, segment) raises one, and while it stands the same trouble raises no second; the series
coming clear resolves it. Hides how that is made safe against two schedulers and crashes: ids are
derived from the verdict that caused them, so the same cause never makes two events.
"""

import hashlib
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from audit.events import SYSTEM, Event, event_of
from drift.cases import CaseEvent, Evidence, Named, PolicyRef
from drift.verdicts import Verdict, segment_key

Kind = Literal[
    "shift",
    "fault",
    "unjudged",
    "undelivered",
    "timeout",
    "silence",
    "volume",
    "errors",
    "rejects",
    "gaps",
    "counts",
    "skew",
    "lag",
    "unpaired",
    "late",
    "still",
]
"""shift, fault: of a verdict; unjudged: a window could not be judged; undelivered: nobody took a
case's message; timeout: a case stood still for too long. All others are of an `integration`, which
the collector raises and resolves (its README says when)."""

AlertState = Literal["raised", "acknowledged", "resolved"]
ALERT_EVENTS = frozenset({"AlertRaised", "AlertAcknowledged", "AlertResolved"})
SCHEDULER = "scheduler"
"""The actor of what the scheduler does by itself."""


class AlertEvent(CaseEvent, frozen=True):
    """What the body of any alert event may hold."""

    alert: str = ""
    kind: Kind = "shift"
    integration: str = ""


class Alert(Struct, frozen=True, omit_defaults=True):
    """One alert as it stands; times are RFC 3339, `incident` is the window that began it.

    One of an `integration` names no model and no version, and its incident is when it began.
    """

    id: str
    kind: Kind
    model: str
    version: str
    segment: str
    incident: str
    state: AlertState
    raised: str
    changed: str
    index: int
    reason: str = ""
    owner: str = ""
    integration: str = ""
    case: str = ""
    columns: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    policy: PolicyRef | None = None
    acknowledged_by: str = ""
    acknowledged_reason: str = ""
    resolved_by: str = ""
    resolved_reason: str = ""
    simulated: bool = False


def alert_id(kind: str, model: str, version: str, segment: str, incident: str) -> str:
    """Return the id of an alert: one per trouble, series and incident, in order of time."""
    key = "\n".join((kind, model, version, segment, incident))
    stamp = "".join(c for c in incident if c.isdigit())[:12]
    return f"{stamp}-{hashlib.sha256(key.encode()).hexdigest()[:20]}"


def series_key(model: str, version: str, segment: str, kind: str) -> str:
    """Return the key under which the standing alert of a series is found."""
    return " ".join((model, version, segment_key(segment), kind))


def standing_key(alert: Alert) -> str:
    """Return the key under which this alert is found while it stands."""
    segment = f"integration={alert.integration}" if alert.integration else alert.segment
    return series_key(alert.model, alert.version, segment, alert.kind)


def advance(alert: Alert | None, type: str, event: AlertEvent, index: int) -> Alert | None:
    """Return the alert after the event; None, or the alert unchanged, where it has no effect."""
    if type == "AlertRaised":
        return _raised(event, index) if alert is None else alert
    if alert is None or alert.state == "resolved":
        return alert
    if type == "AlertAcknowledged" and alert.state == "raised":
        return replace(
            alert,
            state="acknowledged",
            changed=event.time,
            acknowledged_by=event.actor,
            acknowledged_reason=event.reason,
            simulated=alert.simulated or event.simulated,
        )
    if type == "AlertResolved":
        return replace(
            alert,
            state="resolved",
            changed=event.time,
            resolved_by=event.actor,
            resolved_reason=event.reason,
        )
    return alert


def wanted(verdict: Verdict) -> tuple[Kind, ...]:
    """Return the kinds of alert that this verdict calls for."""
    if verdict.verdict == "fault":
        return ("fault",)
    if verdict.verdict == "shift" and verdict.confirmation.confirmed:
        return ("shift",)
    return ()


def over(verdict: Verdict, kind: Kind) -> bool:
    """Whether this verdict shows that the trouble of this kind has passed.

    Insufficient data shows nothing; a fault is over when a window is judged without one, a
    shift when the confirmation is clear again (which has its own hysteresis).
    """
    if kind == "fault":
        return verdict.verdict in {"ok", "shift"}
    return kind == "shift" and verdict.verdict == "ok" and verdict.confirmation.entry == "clear"


def raised(
    kind: Kind, verdict: Verdict, owner: str, evidence: Evidence, now: str, reason: str = ""
) -> Event:
    """Return the AlertRaised of a verdict; its incident is the verdict's window."""
    model, incident = verdict.model, verdict.window.start
    name = alert_id(kind, model.name, model.version, verdict.segment, incident)
    return system_event(
        "AlertRaised",
        name,
        now,
        model,
        alert=name,
        kind=kind,
        actor=SCHEDULER,
        segment=verdict.segment,
        incident=incident,
        owner=owner,
        reason=reason or verdict.reason,
        columns=list(verdict.faulty if kind == "fault" else verdict.drifted),
        policy={"name": verdict.policy.name, "revision": verdict.policy.revision},
        evidence=[{"index": evidence.index, "leaf_hash": evidence.leaf_hash}],
    )


def settled(
    type: Literal["AlertAcknowledged", "AlertResolved"],
    alert: Alert,
    *,
    actor: str,
    reason: str,
    now: str,
    evidence: tuple[Evidence, ...] = (),
    simulated: bool = False,
) -> Event:
    """Return the event by which an alert is acknowledged or resolved."""
    return system_event(
        type,
        f"{alert.id}/{type}",
        now,
        Named(alert.model, alert.version),
        alert=alert.id,
        actor=actor,
        reason=reason,
        evidence=[{"index": each.index, "leaf_hash": each.leaf_hash} for each in evidence],
        **({"simulated": True} if simulated else {}),
    )


def system_event(type: str, id: str, time: str, model: Named, **facts: Any) -> Event:
    """Return a system event whose id alone decides what is the same.

    Two schedulers that reach the same step say it at different times; the first one stands and
    the second is its duplicate, not a conflict.
    """
    body: dict[str, Any] = {
        "id": id,
        "time": time,
        "model": {"name": model.name, "version": model.version},
        **facts,
    }
    return replace(event_of(type, SYSTEM, body), content=id.encode())


def _raised(event: AlertEvent, index: int) -> Alert:
    return Alert(
        id=event.alert,
        kind=event.kind,
        model=event.model.name,
        version=event.model.version,
        segment=event.segment,
        incident=event.incident,
        state="raised",
        raised=event.time,
        changed=event.time,
        index=index,
        reason=event.reason,
        owner=event.owner,
        integration=event.integration,
        case=event.case,
        columns=event.columns,
        evidence=event.evidence,
        policy=event.policy,
        simulated=event.simulated,
    )
