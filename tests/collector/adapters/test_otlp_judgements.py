"""What was said of a model call afterwards: outcomes and oversight, joined to the right span."""

import json
from typing import Any

import pytest

from tests.collector.adapters.business import body_of
from tests.collector.adapters.telemetry import (
    CALL,
    ID,
    SPAN,
    TRACE,
    annotation,
    evaluator,
    happening,
    logs,
    read,
    record,
    span,
    spans,
)


def test_an_evaluation_on_a_span_is_an_outcome_of_that_span() -> None:
    result = happening(
        "gen_ai.evaluation.result",
        gen_ai__evaluation__name="relevance",
        gen_ai__evaluation__score__value=0.5,
        gen_ai__evaluation__score__label="fair",
    )
    adapted = read(spans(span(CALL, events=[result])))
    assert [each.type for each in adapted.events] == ["PredictionLogged", "OutcomeObserved"]
    body = body_of(adapted.events[1])
    assert body["prediction"] == {"id": ID}
    assert body["outcome"] == {"name": "relevance", "score": 0.5, "label": "fair"}
    assert body["label_source"] == "evaluation:relevance"
    assert body["time"] == "2018-12-13T14:51:00.100000Z"


def test_an_evaluation_in_a_log_record_is_joined_by_its_span_else_by_its_response() -> None:
    by_span = record("gen_ai.evaluation.result", gen_ai__evaluation__name="a")
    by_response = {
        **record("", event__name="gen_ai.evaluation.result", gen_ai__response__id="chatcmpl-1"),
        "traceId": "",
        "spanId": "",
    }
    lost = {**by_span, "spanId": ""}
    adapted = read(logs(by_span, by_response, lost), "/v1/logs")
    first, second = (body_of(each) for each in adapted.events)
    assert first["prediction"] == {"id": ID}
    assert second["prediction"] == {"id": "chatcmpl-1"}
    assert second["origin"]["joined"] == "inferred"
    assert second["references"] == {"gen_ai.response.id": "chatcmpl-1"}
    assert [each.error.field for each in adapted.refused] == ["/attributes/gen_ai.response.id"]
    assert json.loads(adapted.reply.body)["partialSuccess"]["rejectedLogRecords"] == "1"


@pytest.mark.parametrize(
    ("fields", "type", "detail"),
    [
        ({"annotator_kind": "LLM", "score": 1}, "OutcomeObserved", "llm:tone"),
        ({"annotator_kind": "CODE", "label": "accept"}, "OutcomeObserved", "code:tone"),
        ({"annotator_kind": "HUMAN", "label": "correct"}, "OutcomeObserved", "human:tone"),
        ({"annotator_kind": "HUMAN", "label": "Approved"}, "OversightRecorded", "accept"),
        ({"annotator_kind": "HUMAN", "label": "rejected"}, "OversightRecorded", "override"),
        ({"annotator_kind": "HUMAN", "label": "escalate"}, "OversightRecorded", "escalate"),
    ],
)
def test_annotations_become_outcomes_or_oversight(
    fields: dict[str, Any], type: str, detail: str
) -> None:
    kind = {"openinference.span.kind": "CHAIN", **annotation(name="tone", **fields)}
    [event] = read(spans(span(kind))).events
    body = body_of(event)
    assert (event.type, event.prediction) == (type, ("bot", ID))
    assert detail in {body.get("label_source"), body.get("action")}


def test_an_evaluator_judges_the_one_span_that_it_links_to() -> None:
    link = {"traceId": TRACE, "spanId": SPAN}
    adapted = read(spans(evaluator(links=[link]), evaluator(), evaluator(links=[link, {}])))
    assert [each.prediction for each in adapted.events] == [("bot", ID), ("bot", ID)]
    assert [each.error.field for each in adapted.refused] == ["/links"]


def test_a_judgement_that_is_sent_again_is_the_same_and_another_is_another() -> None:
    one, other = (
        {"openinference.span.kind": "LLM", "llm.model_name": "m", **annotation(name="n", score=s)}
        for s in (1, 2)
    )
    ids = [read(spans(span(each))).events[1].id for each in (one, one, other)]
    assert ids[0] == ids[1] != ids[2]
