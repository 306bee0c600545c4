"""Route: the compliance trace of one decision.

Decides what belongs to a decision: its prediction, everything that names that prediction, the
verdicts on its windows, their alerts, and who looked. Any of the first two leads to the same
story; the proof is that of the entry asked for. All entries that are opened are named in one access
record.
"""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler

from audit import trace
from audit.api.entries import Clear, body_of, clear
from audit.api.reads import (
    ABOUT,
    Asked,
    Index,
    Reads,
    Sight,
    milliseconds,
    released,
    visible,
    within,
)
from audit.catalog import version_prefix
from audit.errors import Tampered
from audit.events import rfc3339
from audit.governed import Alert, Verdict
from audit.masking import MASK, seen
from audit.problems import documented
from audit.reader import Leaf
from audit.timeline import Moment, assemble

_MOST_ABOUT = 199  # with the prediction itself one page


class Decision(msgspec.Struct, frozen=True):
    """What was decided, as this principal may see it; None where the event did not say."""

    model: str
    version: str
    time: str
    status: str
    latency_ms: float | None
    inputs: Any
    output: Any
    score: Any
    confidence: Any
    explanation: Any
    decision: Any
    lineage: Any
    masked: list[str]


class Looked(msgspec.Struct, frozen=True):
    """One access to the decision's entry; `index` is that of the AccessRecorded."""

    index: int
    time: str
    actor: str
    action: str


class Trace(msgspec.Struct, frozen=True):
    """Everything that the Decision page shows.

    Verdict, leaf, proof and looks are those of entry `index`; `prediction` is the entry of the
    decision that it is or is about, None where there is none. `decision` is None for an entry that
    is about no known prediction, or was erased; `leaf` is None where its bytes are no leaf any more
    (then the verdict says so); `looked` is oldest first and ends with this look.
    """

    index: int
    prediction: int | None
    verdict: trace.Verdict
    decision: Decision | None
    timeline: list[Moment]
    leaf: Clear | None
    canonical: str
    proof: str
    checkpoint: str
    looked: list[Looked]


class _Found(msgspec.Struct, frozen=True):
    """The entry asked for; the prediction it is or is about, with all that names it, opened."""

    index: int
    prediction: int | None
    entries: list[tuple[Leaf, dict[str, Any]]]


def routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The route of this subject."""

    @get(
        "/v1/entries/{index:int}/trace",
        sync_to_thread=True,
        responses=documented(400, 404),
        summary="What happened for this decision, and whether it can be proved",
        tags=["entries"],
    )
    def traced(request: Asked, index: Index) -> Trace:
        """The verdict is derived again from stored bytes; the access is recorded first."""
        sight = reads.sight(request.user)
        found = _gather(reads, index, sight)
        named = sorted({found.index, *(leaf.index for leaf, _ in found.entries)})
        reads.access.record(request.user, "trace", indexes=named)
        return _answer(reads, found, sight)

    return [traced]


def _gather(reads: Reads, index: int, sight: Sight) -> _Found:
    """Open the entries of the decision; one that is damaged is left out, the verdict tells why."""
    reader = reads.store.reader
    try:
        first = reader.open([index])[0]
    except Tampered:
        # Its scope cannot be told: only who sees everything may see that it is damaged.
        within(sight, None if sight.integration is None else "-")
        return _Found(index, None, [])
    visible(sight, first.leaf)
    body = body_of(first)
    if first.leaf.type in ABOUT and body:
        about = body["prediction"]
        owner = about.get("integration") or first.leaf.integration
        prediction = reader.find(owner, "PredictionLogged", about["id"])
        decided = None if prediction is None else _gather(reads, prediction, sight)
        if decided is None or not decided.entries:
            return _Found(index, prediction, [(first.leaf, body)])
        return _Found(index, prediction, decided.entries)
    entries = [(first.leaf, body)]
    if first.leaf.type != "PredictionLogged":
        return _Found(index, None, entries)
    if body:
        others = reader.about(first.leaf.integration, body["id"])[:_MOST_ABOUT]
        for other in others:
            entries += _opened(reads, other, sight)
    return _Found(index, index, entries)


def _opened(reads: Reads, index: int, sight: Sight) -> list[tuple[Leaf, dict[str, Any]]]:
    try:
        opened = reads.store.reader.open([index])[0]
    except Tampered:
        return []
    inside = sight.integration in {None, opened.leaf.integration}
    return [(opened.leaf, body_of(opened))] if inside else []


def _answer(reads: Reads, found: _Found, sight: Sight) -> Trace:
    evidence = trace.examine(
        reads.store.reader,
        found.index,
        reads.store.ledger.vkey,
        now_us=reads.clock(),
        verifier=reads.verifier,
    )
    leaf = evidence.leaf
    looks = reads.access.looked(leaf) if leaf else []
    verdicts: list[Verdict] = []
    alerts: list[Alert] = []
    made = found.entries[0][0] if found.entries else leaf
    if made and made.type == "PredictionLogged" and sight.integration is None:
        verdicts = reads.governed.judged(made.model, made.version, made.event_us)
        starts = {each.window.start for each in verdicts}
        alerts = [
            each
            for each in reads.governed.alerts()
            if (each.model, each.version) == (made.model, made.version) and each.incident in starts
        ]
    return Trace(
        index=found.index,
        prediction=found.prediction,
        verdict=evidence.verdict,
        decision=_decision(reads, found, sight.decision),
        timeline=assemble(
            found.entries,
            verdicts,
            alerts,
            looks,
            _logged(reads, [*verdicts, *alerts]),
            sight.decision,
        ),
        leaf=clear(leaf) if leaf else None,
        canonical=b64encode(leaf.raw).decode() if leaf else "",
        proof=evidence.proof.decode(),
        checkpoint=evidence.checkpoint.decode(),
        looked=[
            Looked(look.index, look.time, _named(look.actor, sight), look.action)
            for look in reversed(looks)
        ],
    )


def _logged(reads: Reads, found: Sequence[Verdict | Alert]) -> dict[int, str]:
    reader = reads.store.reader
    return {each.index: rfc3339(reader.leaf(each.index).logged_us) for each in found}


def _named(actor: str, sight: Sight) -> str:
    return actor if sight.decision == "allow" else MASK


def _decision(reads: Reads, found: _Found, decision: str) -> Decision | None:
    if not found.entries:
        return None
    leaf, body = found.entries[0]
    if leaf.type != "PredictionLogged" or not body:
        return None
    explained = [each for each in found.entries if each[0].type == "ExplanationAttached"]
    if "explanation" not in body and explained:
        body = {**body, "explanation": explained[-1][1].get("explanation")}
    shown, masked = seen(leaf.type, body, decision)
    lineage = (shown.get("model") or {}).get("lineage")
    if lineage is None:
        told = released(reads, version_prefix(leaf.model, leaf.version)).values()
        verified = [each for each, *_ in told if not each.unverified]
        lineage = (verified[0].lineage or None) if verified else None
    return Decision(
        model=leaf.model,
        version=leaf.version,
        time=rfc3339(leaf.event_us),
        status=leaf.status,
        latency_ms=milliseconds(leaf.latency_us),
        inputs=shown.get("inputs"),
        output=shown.get("output"),
        score=shown.get("score"),
        confidence=shown.get("confidence"),
        explanation=shown.get("explanation"),
        decision=shown.get("decision"),
        lineage=lineage,
        masked=masked,
    )
