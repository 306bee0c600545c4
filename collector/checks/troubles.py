"""Troubles that stand: alerts of integrations, as their events tell.

Decides the id of an alert (kind, integration and the minute in which it began, so that two
schedulers that see the same make one event), and that while a trouble stands the same kind of it
is raised no second time. The alert itself, with who has acknowledged it, is kept by whoever shows
alerts; here is only what the next round must know.

    trouble    ALERT      one that is not resolved
"""

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from audit.documents import Applied, View
from audit.events import SYSTEM, Event, event_of
from collector.checks.rules import Finding

TROUBLE = "trouble"
_ACTOR = "scheduler"
_NOBODY = {"name": "-", "version": "-"}


class Trouble(msgspec.Struct, frozen=True):
    """An alert of an integration that stands; `measured` is the figure that raised it."""

    alert: str
    integration: str
    kind: str
    incident: str
    raised: str
    reason: str = ""
    measured: int = 0
    acknowledged: bool = False


class _Body(msgspec.Struct):
    time: str
    alert: str = ""
    integration: str = ""
    kind: str = ""
    incident: str = ""
    reason: str = ""
    measured: int = 0


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode_body = msgspec.json.Decoder(_Body).decode
decode = msgspec.json.Decoder(Trouble).decode


class Troubles:
    """Projection of the alerts of integrations; see `audit.documents.Projection`."""

    name = "troubles"
    types = frozenset({"AlertRaised", "AlertAcknowledged", "AlertResolved"})
    kinds = frozenset({TROUBLE})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        """Put and remove what these entries raise and resolve."""
        for each in entries:
            body = _decode_body(each.event.body)
            stored = view.get(TROUBLE, body.alert)
            if each.event.type == "AlertRaised":
                if body.integration and stored is None:
                    view.put(TROUBLE, body.alert, _encode(_trouble(body)))
            elif stored is not None and each.event.type == "AlertResolved":
                view.delete(TROUBLE, body.alert)
            elif stored is not None:
                view.put(TROUBLE, body.alert, _encode(replace(decode(stored), acknowledged=True)))

    def forget(self, handle: int, view: View) -> None:
        """Nothing here is about a subject."""


def raised(integration: str, finding: Finding, owner: str, now: str) -> Event:
    """Return the AlertRaised of a finding that began now (RFC 3339, a whole minute)."""
    key = "\n".join((finding.kind, integration, now))
    stamp = "".join(each for each in now if each.isdigit())[:12]
    name = f"{stamp}-{hashlib.sha256(key.encode()).hexdigest()[:20]}"
    body = {
        "id": name,
        "time": now,
        "model": _NOBODY,
        "alert": name,
        "kind": finding.kind,
        "integration": integration,
        "actor": _ACTOR,
        "segment": "all",
        "incident": now,
        "owner": owner,
        "reason": finding.reason,
        "measured": finding.measured,
    }
    return _once(event_of("AlertRaised", SYSTEM, body))


def resolved(trouble: Trouble, reason: str, now: str) -> Event:
    """Return the AlertResolved of a trouble that is over."""
    body = {
        "id": f"{trouble.alert}/AlertResolved",
        "time": now,
        "model": _NOBODY,
        "alert": trouble.alert,
        "kind": trouble.kind,
        "integration": trouble.integration,
        "actor": _ACTOR,
        "reason": reason,
    }
    return _once(event_of("AlertResolved", SYSTEM, body))


def _once(event: Event) -> Event:
    """Two who see the same say it at different times: the first one stands."""
    return replace(event, content=event.id.encode())


def _trouble(body: _Body) -> Trouble:
    return Trouble(
        alert=body.alert,
        integration=body.integration,
        kind=body.kind,
        incident=body.incident,
        raised=body.time,
        reason=body.reason,
        measured=body.measured,
    )
