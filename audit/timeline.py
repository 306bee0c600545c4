"""The timeline of a decision: what happened, what people did, what was found, who looked.

Decides one sentence for each kind of event, and how much of it each decision on searching may
read: metadata sees that something happened, never what a person wrote or who it was.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from audit.catalog import Look
from audit.events import rfc3339
from audit.governed import Alert, Verdict
from audit.masking import MASK
from audit.reader import Leaf


class Moment(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing on the timeline; `time` is when it happened, `logged` when it was on the ledger."""

    index: int
    type: str
    time: str
    logged: str
    summary: str
    actor: str | None = None
    simulated: bool = False


def assemble(
    entries: Iterable[tuple[Leaf, Mapping[str, Any]]],
    verdicts: Sequence[Verdict],
    alerts: Sequence[Alert],
    looks: Sequence[Look],
    logged: Mapping[int, str],
    decision: str,
) -> list[Moment]:
    """All of it by time, then by place in the ledger; bodies are whole, masks are applied here.

    `logged` tells when verdicts and alerts were, by index: they are about earlier times.
    """
    full = decision == "allow"
    moments = [_entry(leaf, body, full) for leaf, body in entries]
    moments += [
        Moment(
            each.index,
            "DriftMeasured",
            each.time,
            logged.get(each.index, each.time),
            f"window judged {each.verdict}: {each.reason}",
        )
        for each in verdicts
    ]
    moments += [
        Moment(
            each.index,
            "AlertRaised",
            each.raised,
            logged.get(each.index, each.raised),
            f"{each.kind} alert raised, now {each.state}",
        )
        for each in alerts
    ]
    moments += [
        Moment(
            look.index,
            "AccessRecorded",
            look.time,
            look.time,
            f"looked at: {look.action}",
            look.actor if full else MASK,
        )
        for look in looks
    ]
    return sorted(moments, key=lambda each: (each.time, each.index))


def _entry(leaf: Leaf, body: Mapping[str, Any], full: bool) -> Moment:
    actor, said = _said(leaf, body, full)
    return Moment(
        index=leaf.index,
        type=leaf.type,
        time=rfc3339(leaf.event_us),
        logged=rfc3339(leaf.logged_us),
        summary=said,
        actor=actor if full or actor is None else MASK,
        simulated=body.get("simulated") is True,
    )


def _said(leaf: Leaf, body: Mapping[str, Any], full: bool) -> tuple[str | None, str]:
    match leaf.type:
        case "PredictionLogged":
            took = f" in {leaf.latency_us / 1000:g} ms" if leaf.latency_us >= 0 else ""
            return None, f"{leaf.model} {leaf.version} answered {leaf.status}{took}"
        case "OutcomeObserved":
            source = _text(body.get("label_source"))
            told = f": {_short(body.get('outcome'))}" if full and "outcome" in body else ""
            return None, f"outcome observed{told}" + (f" ({source})" if full and source else "")
        case "OversightRecorded":
            code = _text(body.get("reason_code"))
            told = f" ({code})" if full and code else ""
            return _text(body.get("reviewer")), f"a person chose to {leaf.status}{told}"
        case "ExplanationAttached":
            method = _text((body.get("explanation") or {}).get("method"))
            return None, "explanation attached" + (f" by {method}" if full and method else "")
        case _:
            return _text(body.get("actor")), leaf.type


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None


def _short(value: object) -> str:
    text = msgspec.json.encode(value).decode()
    return text if len(text) <= 80 else f"{text[:79]}…"
