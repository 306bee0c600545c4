"""What was said of a model call afterwards: evaluations and annotations, by people and machines.

Decides which event a judgement becomes and which prediction it is about:

    gen_ai.evaluation.result   event of a span, or log record: about that span, else about the
                               response that gen_ai.response.id names
    annotations.N.annotation.* on a span: about that span (OpenInference)
    evaluations.N.evaluation.* on an evaluator's span: about the one span that it links to

It is an OutcomeObserved whose label source says who judged. A person's judgement whose label is
one of accept, override or escalate (or a word of the same meaning, below) is OversightRecorded.
"correct" is none of them on purpose: of an answer it says that it was right, of a reviewer that it
was changed. What is about a response only names that id in the place of its prediction, with
`origin.joined`: predictions carry the id of their response among their references, by which
`collector.integrations.inferred` finds the one that is meant, where it is logged by then.
"""

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import msgspec

from audit.events import Event, event_of
from collector.adapters import changes
from collector.errors import Invalid
from collector.integrations.declaration import Declared
from collector.otlp import openinference
from collector.otlp.calls import ADAPTER, first, text, time_of
from collector.otlp.flat import unflattened
from collector.otlp.records import Attributes, Record, Span, prediction_id

RESULT = "gen_ai.evaluation.result"
_RESPONSE = "gen_ai.response.id"
_PERSON = "HUMAN"
_ACTIONS = {
    "accept": "accept",
    "accepted": "accept",
    "approve": "accept",
    "approved": "accept",
    "override": "override",
    "overridden": "override",
    "reject": "override",
    "rejected": "override",
    "escalate": "escalate",
    "escalated": "escalate",
}
_MOST_TEXT = 4096
_encode = msgspec.json.Encoder(order="deterministic").encode


class Judgement(msgspec.Struct, frozen=True, kw_only=True):
    """One result about one prediction; `time` is RFC 3339."""

    about: str
    time: str
    name: str
    kind: str = ""
    score: Any = None
    label: Any = None
    explanation: Any = None
    identifier: Any = None
    metadata: Any = None
    response: str = ""
    by_reference: bool = False

    @property
    def key(self) -> str:
        """The same for the same judgement, sent again."""
        return f"{self.about[:200]}/{sha256(_encode(self)).hexdigest()[:32]}"


def of_span(span: Span) -> Iterator[Judgement]:
    """The judgements that a span carries; raises `Invalid` where it is not clear about what."""
    for each in span.events:
        if each.name == RESULT:
            at = each.time_ns or span.end_ns
            yield _result(each.attributes, at, span.id)
    if not openinference.is_ours(span):
        return
    for one in _listed(span.attributes, "annotations."):
        yield _feedback(one, span.end_ns, span.id)
    for one in _listed(span.attributes, "evaluations."):
        yield _feedback(one, span.end_ns, _linked(span))


def of_record(record: Record) -> Judgement:
    """The judgement that a log record is; raises `Invalid` where it is about nothing."""
    about = prediction_id(record.trace, record.span) if record.trace and record.span else ""
    facts = record.attributes
    if not facts and isinstance(record.body, dict):
        facts = record.body
    return _result(facts, record.time_ns, about)


def event_from(found: Judgement, declared: Declared) -> Event:
    """The event that a judgement is; raises `audit.errors.Rejected`."""
    who = {_PERSON: "human", "": "evaluation"}.get(found.kind, found.kind.lower())
    origin: dict[str, Any] = {"adapter": ADAPTER}
    if found.by_reference:
        origin |= {"joined": "inferred", "by": _RESPONSE}
    wire = {"identifier": found.identifier, "metadata": found.metadata}
    origin |= {"wire": kept} if (kept := _without_none(wire)) else {}
    body: dict[str, Any] = {
        "id": found.key,
        "time": found.time,
        "prediction": {"id": found.about[:256]},
        "references": {_RESPONSE: found.response} if found.response else {},
        "origin": origin,
    }
    told = _without_none(
        {
            "name": found.name,
            "score": found.score,
            "label": found.label,
            "explanation": found.explanation,
        }
    )
    action = _ACTIONS.get(str(found.label).strip().lower()) if found.kind == _PERSON else None
    if action is None:
        source = f"{who}:{found.name}"[:_MOST_TEXT]
        return _event(
            "OutcomeObserved", declared.name, body | {"outcome": told, "label_source": source}
        )
    reason = {"reason": str(found.explanation)[:_MOST_TEXT]} if found.explanation else {}
    body |= {"action": action, "reason_code": found.name[:_MOST_TEXT], **reason}
    return event_of("OversightRecorded", declared.name, body)


def _event(type: str, integration: str, body: dict[str, Any]) -> Event:
    if "joined" not in body["origin"]:
        return event_of(type, integration, body)
    # Which prediction is found may differ when it is sent again: that is no other content.
    said = {key: value for key, value in body.items() if key != "prediction"}
    return changes.event_from(type, integration, body, said)


def _result(facts: Attributes, at: int, span: str) -> Judgement:
    response = text(facts, _RESPONSE)[:_MOST_TEXT]
    if not span and not response:
        raise Invalid(
            "an evaluation names neither span nor response",
            field="/attributes/gen_ai.response.id",
            remedy="Send it within the span it is about, or with gen_ai.response.id.",
        )
    return Judgement(
        about=span or response,
        by_reference=not span,
        response=response,
        time=time_of(at),
        name=text(facts, "gen_ai.evaluation.name") or "evaluation",
        score=first(facts, "gen_ai.evaluation.score.value"),
        label=first(facts, "gen_ai.evaluation.score.label"),
        explanation=first(facts, "gen_ai.evaluation.explanation"),
        metadata=facts.get("error.type"),
    )


def _listed(facts: Attributes, prefix: str) -> list[dict[str, Any]]:
    found = unflattened(facts, prefix)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _feedback(one: dict[str, Any], at: int, about: str) -> Judgement:
    return Judgement(
        about=about,
        time=time_of(at),
        name=text(one, "name") or "annotation",
        kind=text(one, "annotator_kind").upper(),
        score=one.get("score"),
        label=one.get("label"),
        explanation=one.get("explanation"),
        identifier=one.get("identifier"),
        metadata=one.get("metadata"),
    )


def _linked(span: Span) -> str:
    targets = {link for link in span.links if all(link)}
    if len(targets) != 1:
        raise Invalid(
            "an evaluator's span does not link to exactly one span",
            field="/links",
            remedy="Link it to the span that its evaluations are about.",
        )
    return prediction_id(*targets.pop())


def _without_none(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value is not None}
