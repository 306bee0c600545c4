"""The documents that drift keeps: policies, verdicts, alerts and cases, made from events alone.

| kind | key | holds |
|---|---|---|
| policy | model | the policy in force: text, revision, author, time, index |
| drift | model/window start/version/segment | DriftMeasured without the report, with `index` |
| drift-progress | model version | the last window judged |
| alert | alert id (in order of time) | `drift.alerts.Alert` |
| alert-standing | model version segment kind | id of the alert that is not yet resolved |
| case | case id (in order of time) | `drift.cases.Case` |
| retraining | model | id of the open case, time of the last dispatch |
| retrainers | all | names under which tokens with the role of a retrainer send |

Decides nothing that is not in the events: replaying the ledger gives the same documents. Steps
that came when a case could not take them are noted in the case, not lost. A release registers a
candidate only when it comes from a retrainer, from one that the policy in force lists, or from the
integration that the case names for want of such a list: the first that predicted with the model.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from audit.documents import Applied, View
from audit.events import Event, micros
from audit.releases import UNVERIFIED
from audit.roles import RETRAINER
from drift import alerts, cases, verdicts
from drift.errors import IllegalStep, SamePerson

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode_alert_event = msgspec.json.Decoder(alerts.AlertEvent).decode
_decode_alert = msgspec.json.Decoder(alerts.Alert).decode
_decode_case = msgspec.json.Decoder(cases.Case).decode
_decode_case_event = msgspec.json.Decoder(cases.CaseEvent).decode
_decode_progress = msgspec.json.Decoder(verdicts.Progress).decode


class PolicyDocument(Struct, frozen=True):
    """The policy in force for a model, as it was applied."""

    model: str
    owner: str
    revision: str
    author: str
    time: str
    index: int
    text: str
    releases: tuple[str, ...] = ()


_decode_policy = msgspec.json.Decoder(PolicyDocument).decode
_decode_names = msgspec.json.Decoder(list[str]).decode


class Released(Struct, frozen=True):
    """The part of a VersionReleased that concerns its case."""

    id: str
    time: str
    model: cases.Named
    case: str | None = None
    metrics: dict[str, float] = {}
    simulated: bool = False


class Retraining(Struct, frozen=True):
    """What keeps a model from a second case: the open one, and when one was last dispatched."""

    open: str = ""
    dispatched: str = ""


_decode_released = msgspec.json.Decoder(Released).decode
_decode_retraining = msgspec.json.Decoder(Retraining).decode


class Governance:
    """The projection of drift; handed to the store by the composition root."""

    name = "governance"
    types = (
        cases.CASE_EVENTS | alerts.ALERT_EVENTS | {"PolicyChanged", "DriftMeasured", "TokenIssued"}
    )
    kinds = frozenset(
        {
            "policy",
            "drift",
            "drift-progress",
            "alert",
            "alert-standing",
            "case",
            "retraining",
            "retrainers",
        }
    )

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        """Bring the documents up to date with these entries."""
        for entry in entries:
            event = entry.event
            if event.type == "PolicyChanged":
                _policy(event, entry.index, view)
            elif event.type == "DriftMeasured":
                _measured(event, entry.index, view)
            elif event.type == "TokenIssued":
                _issued(event, view)
            elif event.type in alerts.ALERT_EVENTS:
                _alert(event, entry.index, view)
            elif event.type in cases.CASE_EVENTS:
                _case(event, entry.index, view)

    def forget(self, handle: int, view: View) -> None:
        """Nothing: no document of drift holds what a subject's events said."""


def _policy(event: Event, index: int, view: View) -> None:
    body: Mapping[str, Any] = msgspec.json.decode(event.body)
    document = PolicyDocument(
        model=event.model,
        owner=body["owner"],
        revision=body["policy"]["revision"],
        author=body["actor"],
        time=body["time"],
        index=index,
        text=body["text"],
        releases=tuple(body.get("releases", ())),
    )
    view.put("policy", event.model, _encode(document))


def _issued(event: Event, view: View) -> None:
    body: Mapping[str, Any] = msgspec.json.decode(event.body)
    name = body.get("integration") or body["actor"]
    known = _retrainers(view)
    if RETRAINER in body["roles"] and name not in known:
        view.put("retrainers", "all", _encode(sorted([*known, name])))


def _retrainers(view: View) -> list[str]:
    stored = view.get("retrainers", "all")
    return [] if stored is None else _decode_names(stored)


def _measured(event: Event, index: int, view: View) -> None:
    summary = verdicts.summary(event.body, index)
    verdict = verdicts.read(summary)
    view.put("drift", verdicts.verdict_key(verdict), summary)
    key = progress_key(verdict.model.name, verdict.model.version)
    before = view.get("drift-progress", key)
    window = verdict.window
    if before is None or _decode_progress(before).end < window.end:
        progress = verdicts.Progress(window.start, window.end, verdict.policy.revision)
        view.put("drift-progress", key, _encode(progress))


def _alert(event: Event, index: int, view: View) -> None:
    body = _decode_alert_event(event.body)
    stored = view.get("alert", body.alert)
    before = None if stored is None else _decode_alert(stored)
    after = alerts.advance(before, event.type, body, index)
    if after is None or after == before:
        return
    view.put("alert", after.id, _encode(after))
    series = alerts.standing_key(after)
    if after.state == "resolved":
        if view.get("alert-standing", series) == after.id.encode():
            view.delete("alert-standing", series)
    else:
        view.put("alert-standing", series, after.id.encode())


def _case(event: Event, index: int, view: View) -> None:
    body = _case_event(event)
    if not body.case:
        return  # a version released outside any case
    stored = view.get("case", body.case)
    before = None if stored is None else _decode_case(stored)
    if before is not None and not _counts(event, before, view):
        body = replace(body, reason=UNVERIFIED)
        view.put("case", before.id, _encode(cases.ignore(before, event.type, body, index)))
        return
    try:
        after = cases.advance(before, event.type, body, index)
    except (IllegalStep, SamePerson):
        if before is None:
            return
        after = cases.ignore(before, event.type, body, index)
    marker = retraining(view.get("retraining", after.model))
    if before is None and marker.open:
        after = replace(after, state="rejected", outcome=f"case {marker.open} was open before")
    view.put("case", after.id, _encode(after))
    _mark(after, marker, view)


def _counts(event: Event, case: cases.Case, view: View) -> bool:
    """Whether who released may register a candidate; `audit.releases` tells it in lineage."""
    if event.type != "VersionReleased" or event.integration in case.senders:
        return True
    stored = view.get("policy", case.model)
    listed = () if stored is None else _decode_policy(stored).releases
    return event.integration in listed or event.integration in _retrainers(view)


def _case_event(event: Event) -> cases.CaseEvent:
    """Read the body; of a producer's VersionReleased only what its schema vouches for."""
    if event.type != "VersionReleased":
        return _decode_case_event(event.body)
    body = _decode_released(event.body)
    return cases.CaseEvent(
        id=body.id,
        time=body.time,
        model=body.model,
        case=body.case or "",
        actor=event.integration,
        metrics=body.metrics,
        simulated=body.simulated,
    )


def _mark(case: cases.Case, marker: Retraining, view: View) -> None:
    """Keep the one open case of the model and its last dispatch."""
    after = marker
    if not case.settled:
        after = replace(after, open=case.id)
    elif marker.open == case.id:
        after = replace(after, open="")
    if _later(case.dispatched, marker.dispatched):
        after = replace(after, dispatched=case.dispatched)
    if after != marker:
        view.put("retraining", case.model, _encode(after))


def progress_key(model: str, version: str) -> str:
    """Return the key of a version's progress; no name can hold a space."""
    return f"{model} {version}"


def retraining(stored: bytes | None) -> Retraining:
    """Return what stands in the document, or that nothing is open."""
    return Retraining() if stored is None else _decode_retraining(stored)


def _later(time: str, than: str) -> bool:
    return bool(time) and (not than or micros(time) > micros(than))
