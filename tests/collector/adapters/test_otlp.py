"""Spans and log records: predictions in three generations of words, judgements, refusals.

Golden files: see tests/collector/adapters/business.py.
"""

import gzip
import json
import struct
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

from collector.adapters import otlp
from collector.adapters.wire import Adapted, Half, Message
from collector.errors import CollectorError, Malformed, TooLarge, UnsupportedMedia
from collector.integrations.declaration import Declared
from collector.otlp import records
from tests.collector.adapters.business import altered, body_of, damaged, golden, sample

JSON, PROTOBUF = "application/json", "application/x-protobuf"
TRACE, SPAN = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"
OTHER = "aaa19b7ec3c1b174"
ID = f"{TRACE}:{SPAN}"
BOT = Declared(name="bot", adapter="otlp")
WAITING = msgspec.structs.replace(BOT, options={"messages": "logs"})


def message(body: bytes, address: str = "/v1/traces", media: str = JSON) -> Message:
    return Message(
        url=address, headers=((b"content-type", media.encode()),), body=body, unpacked=body
    )


def read(
    body: bytes, address: str = "/v1/traces", media: str = JSON, of: Declared = BOT
) -> Adapted:
    return otlp.read(message(body, address, media), of)


def value(plain: Any) -> dict[str, Any]:
    match plain:
        case bool():
            return {"boolValue": plain}
        case int():
            return {"intValue": str(plain)}
        case float():
            return {"doubleValue": plain}
        case list():
            return {"arrayValue": {"values": [value(each) for each in plain]}}
        case dict():
            return {"kvlistValue": {"values": pairs(plain)}}
        case _:
            return {"stringValue": plain}


def pairs(plain: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": value(each)} for key, each in plain.items()]


def span(attributes: dict[str, Any], **fields: Any) -> dict[str, Any]:
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat",
        "startTimeUnixNano": "1544712660000000000",
        "endTimeUnixNano": "1544712660250000000",
        "attributes": pairs(attributes),
        **fields,
    }


def spans(*each: Any) -> bytes:
    scope = [{"scope": {"name": "s"}, "spans": list(each)}]
    resource = {"attributes": pairs({"service.name": "desk"})}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": scope}]}).encode()


def logs(*each: Any) -> bytes:
    return json.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": list(each)}]}]}).encode()


def happening(name: str, **attributes: Any) -> dict[str, Any]:
    plain = {key.replace("__", "."): each for key, each in attributes.items()}
    return {"name": name, "timeUnixNano": "1544712660100000000", "attributes": pairs(plain)}


def record(name: str, body: Any = None, **attributes: Any) -> dict[str, Any]:
    plain = {key.replace("__", "."): each for key, each in attributes.items()}
    return {
        "eventName": name,
        "timeUnixNano": 1544712660100000000,
        "attributes": pairs(plain),
        "body": None if body is None else value(body),
        "traceId": TRACE,
        "spanId": SPAN,
    }


def predicted(adapted: Adapted) -> dict[str, Any]:
    assert not adapted.refused, adapted.refused
    [event] = [each for each in adapted.events if each.type == "PredictionLogged"]
    return body_of(event)


CALL = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4"}


@pytest.mark.parametrize(
    ("name", "address"),
    [("trace", "/v1/traces"), ("genai_semconv", "/v1/traces"), ("logs", "/v1/logs")],
)
def test_the_published_samples(name: str, address: str) -> None:
    golden(f"otlp_{name}", read(sample(f"otlp/{name}.json"), address))


def test_events_that_are_none_of_ours_are_counted_and_not_rejected() -> None:
    adapted = read(sample("otlp/events.json"), "/v1/logs")
    assert (adapted.unrelated, adapted.refused, adapted.events) == (1, [], [])
    assert adapted.reply.body == b"{}"


def test_what_an_exporter_sent_in_protobuf_is_what_it_would_be_in_json() -> None:
    raw = gzip.decompress(sample("otlp/genai_semconv.pb.gz"))
    binary, text = read(raw, media=PROTOBUF), read(sample("otlp/genai_semconv.json"))
    assert [each.body for each in binary.events] == [each.body for each in text.events]
    assert binary.reply == (200, b"", (("content-type", PROTOBUF),))


EARLIER = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4",
    "gen_ai.response.model": "gpt-4-0613",
    "gen_ai.usage.prompt_tokens": 5,
    "gen_ai.usage.completion_tokens": 7,
}
ASKED = [{"role": "user", "content": "Why?"}]
ANSWERED = [{"role": "assistant", "content": "So."}]


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        (
            {
                "gen_ai.prompt.0.role": "user",
                "gen_ai.prompt.0.content": "Why?",
                "gen_ai.completion.0.role": "assistant",
                "gen_ai.completion.0.content": "So.",
            },
            [],
        ),
        (
            {"gen_ai.prompt": json.dumps(ASKED), "gen_ai.completion": json.dumps(ANSWERED)},
            [],
        ),
        (
            {},
            [
                happening("gen_ai.content.prompt", gen_ai__prompt=json.dumps(ASKED)),
                happening("gen_ai.content.completion", gen_ai__completion=json.dumps(ANSWERED)),
            ],
        ),
        (
            {},
            [
                happening("gen_ai.user.message", content="Why?", gen_ai__system="openai"),
                happening("gen_ai.choice", role="assistant", content="So."),
            ],
        ),
        (
            {
                "gen_ai.input.messages": json.dumps(ASKED),
                "gen_ai.output.messages": json.dumps(ANSWERED),
            },
            [],
        ),
        (
            {},
            [
                {
                    "name": "gen_ai.client.inference.operation.details",
                    "attributes": pairs(
                        {"gen_ai.input.messages": ASKED, "gen_ai.output.messages": ANSWERED}
                    ),
                }
            ],
        ),
    ],
    ids=["flattened", "whole", "content-events", "message-events", "attributes", "details"],
)
def test_what_was_said_is_found_in_every_generation(
    attributes: dict[str, Any], events: list[Any]
) -> None:
    body = predicted(read(spans(span({**EARLIER, **attributes}, events=events))))
    assert body["inputs"] == {"messages": ASKED, "tokens": 5}
    assert body["output"] == {"messages": ANSWERED, "tokens": 7}
    assert body["model"] == {"name": "gpt-4", "version": "gpt-4-0613"}
    assert body["latency_ms"] == {"total": 250.0}
    assert body["time"] == "2018-12-13T14:51:00.250000Z"
    assert body["id"] == ID


def test_openinference_is_read_with_its_flattened_messages_and_its_prompt() -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.model_name": "gpt-4-0613",
        "llm.provider": "openai",
        "llm.invocation_parameters": '{"model": "gpt-4", "temperature": 0.2}',
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.content": "Why?",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "look_up",
        "llm.prompt_template.template": "Answer {question}",
        "llm.prompt_template.version": "3",
        "llm.token_count.prompt": 5,
        "session.id": "s-1",
        "user.id": "ann@example.com",
        "metadata": "{}",
    }
    adapted = read(spans(span(attributes)))
    body = predicted(adapted)
    assert body["model"]["name"] == "gpt-4"
    assert body["model"]["version"] == "gpt-4-0613"
    template = {"template": "Answer {question}", "version": "3"}
    assert body["model"]["lineage"] == {"prompt_template": template}
    assert body["inputs"] == {
        "messages": ASKED,
        "parameters": {"temperature": 0.2},
        "tokens": 5,
    }
    call = {"function": {"name": "look_up"}}
    assert body["output"] == {"messages": [{"role": "assistant", "tool_calls": [call]}]}
    assert body["subject"] == {"scheme": "default", "id": "ann@example.com"}
    assert body["references"] == {"trace": TRACE, "gen_ai.conversation.id": "s-1"}
    assert "ann@example.com" not in json.dumps({**body, "subject": None})


def test_an_embedding_without_messages_tells_its_values() -> None:
    attributes = {
        "openinference.span.kind": "EMBEDDING",
        "embedding.model_name": "ada",
        "input.value": '{"text": "hi"}',
        "input.mime_type": "application/json",
        "output.value": "0.1",
    }
    body = predicted(read(spans(span(attributes))))
    assert (body["inputs"], body["output"]) == ({"messages": {"text": "hi"}}, {"messages": "0.1"})


@pytest.mark.parametrize(
    "attributes",
    [
        {"http.request.method": "GET"},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "x"},
        {"gen_ai.operation.name": "invoke_agent", "gen_ai.request.model": "gpt-4"},
        {"openinference.span.kind": "CHAIN", "input.value": "x"},
        {"openinference.span.kind": "RETRIEVER"},
    ],
)
def test_spans_that_are_no_predictions_are_counted_and_not_rejected(
    attributes: dict[str, Any],
) -> None:
    adapted = read(spans(span(attributes)))
    assert (adapted.unrelated, adapted.events, adapted.refused) == (1, [], [])


def test_a_call_that_failed_is_an_error_with_its_kind() -> None:
    attributes = {**CALL, "error.type": "timeout"}
    body = predicted(read(spans(span(attributes, status={"code": 2, "message": "gone"}))))
    assert (body["status"], body["error"]) == ("error", {"type": "timeout", "message": "gone"})
    assert body["model"] == {"name": "gpt-4", "version": "gpt-4"}
    assert "output" not in body or body["output"] is None


def test_a_name_that_a_leaf_cannot_carry_is_written_otherwise_and_kept_in_origin() -> None:
    body = predicted(read(spans(span({"gen_ai.request.model": "My model (new)"}))))
    assert body["model"]["name"] == "My-model-new-"
    assert body["origin"]["model"] == {"asked": "My model (new)"}


def test_a_call_that_names_no_model_is_refused_unless_one_is_declared() -> None:
    body = spans(span({"gen_ai.operation.name": "chat"}))
    assert [str(each.error) for each in read(body).refused] == [
        "the span of a model call names no model"
    ]
    declared = msgspec.structs.replace(BOT, model="desk", version="2")
    assert predicted(read(body, of=declared))["model"] == {"name": "desk", "version": "2"}


def test_secrets_among_the_attributes_are_not_kept() -> None:
    attributes = {**CALL, "http.request.header.authorization": "Bearer xyz", "app.tier": "gold"}
    body = predicted(read(spans(span(attributes))))
    assert body["origin"]["wire"] == {"app.tier": "gold"}


# ---- judgements --------------------------------------------------------------------------------


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


def annotation(**fields: Any) -> dict[str, Any]:
    return {f"annotations.0.annotation.{key}": each for key, each in fields.items()}


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


def evaluator(**fields: Any) -> dict[str, Any]:
    judged = {"evaluations.0.evaluation.name": "truth", "evaluations.0.evaluation.score": 0}
    return span({"openinference.span.kind": "EVALUATOR", **judged}, spanId=OTHER, **fields)


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


# ---- what was said in logs ---------------------------------------------------------------------


def test_messages_in_logs_wait_for_their_span_where_that_is_declared() -> None:
    [asking] = read(spans(span(EARLIER)), of=WAITING).halves
    said = logs(
        record("gen_ai.user.message", {"content": "Why?"}, gen_ai__system="openai"),
        record("gen_ai.choice", {"role": "assistant", "content": "So."}),
    )
    [answering] = read(said, "/v1/logs", of=WAITING).halves
    assert (asking.side, answering.side) == ("request", "response")
    assert asking.key == answering.key == ID
    body = predicted(otlp.join(asking, answering, WAITING))
    assert body["inputs"] == {"messages": ASKED, "tokens": 5}
    assert body["output"] == {"messages": ANSWERED, "tokens": 7}


def test_a_span_whose_messages_never_come_is_logged_without_them() -> None:
    [asking] = read(spans(span(EARLIER)), of=WAITING).halves
    assert predicted(otlp.join(asking, None, WAITING))["inputs"] == {"tokens": 5}


def test_messages_whose_span_never_comes_are_refused() -> None:
    half = Half(key=ID, side="response", body=b"{}")
    with pytest.raises(CollectorError, match="without its span"):
        otlp.join(half, None, WAITING)


def test_messages_in_logs_that_nobody_waits_for_are_told_of_in_a_warning() -> None:
    adapted = read(logs(record("gen_ai.choice", {"content": "So."})), "/v1/logs")
    assert (adapted.halves, adapted.unrelated, adapted.refused) == ([], 1, [])
    assert "messages: logs" in json.loads(adapted.reply.body)["partialSuccess"]["errorMessage"]


# ---- what senders do, and what they must not ---------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [
        {"traceId": {"type": "Buffer", "data": list(bytes.fromhex(TRACE))}},
        {"traceId": TRACE.upper()},
        {"endTimeUnixNano": 1544712660250000000},
        {"endTimeUnixNano": {"low": 593041536, "high": 359658172, "unsigned": True}},
        {"somethingNew": {"a": [1]}},
    ],
)
def test_what_senders_write_beyond_the_specification_is_understood(fields: dict[str, Any]) -> None:
    assert predicted(read(spans(span(CALL, **fields))))["id"] == ID


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"traceId": "W47/95gDgQPSabYzgT/GDA=="}, "/traceId"),
        ({"traceId": "00" * 16}, "/traceId"),
        ({"spanId": TRACE}, "/spanId"),
        ({"spanId": None}, "/spanId"),
        ({"traceId": {"type": "Buffer", "data": "x"}}, "/traceId"),
        ({"attributes": {"gen_ai.request.model": "gpt-4"}}, "/attributes"),
        ({"attributes": [{"key": "a", "value": "b"}]}, "/attributes"),
        ({"endTimeUnixNano": "soon"}, ""),
        ({"endTimeUnixNano": 0, "startTimeUnixNano": 0}, "/endTimeUnixNano"),
    ],
)
def test_a_span_that_is_wrong_is_refused_by_itself(fields: dict[str, Any], field: str) -> None:
    adapted = read(spans({**span(CALL), **fields}, span(CALL, spanId=OTHER)))
    assert [each.id for each in adapted.events] == [f"{TRACE}:{OTHER}"]
    [refused] = adapted.refused
    assert refused.error.field == field
    assert refused.error.remedy
    told = json.loads(adapted.reply.body)["partialSuccess"]
    assert told == {"rejectedSpans": "1", "errorMessage": str(refused.error)}


def test_a_refused_span_alone_is_a_request_that_is_read_with_the_same_result() -> None:
    body = spans(span({"gen_ai.operation.name": "chat"}), span(CALL))
    again = read(read(body).refused[0].raw)
    assert len(again.refused) == 1
    declared = msgspec.structs.replace(BOT, model="desk")
    mended = predicted(read(read(body).refused[0].raw, of=declared))
    assert mended["context"]["segment"]["service"] == "desk"


def whole(*each: Any) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for trace, one in each:
        found = scope.spans.add(trace_id=trace, span_id=one, name="chat", end_time_unix_nano=10**18)
        pair = found.attributes.add(key="gen_ai.request.model")
        pair.value.string_value = "gpt-4"
    return request


def test_a_broken_span_in_protobuf_does_not_sink_its_neighbours() -> None:
    request = whole((bytes.fromhex(TRACE), bytes.fromhex(SPAN)), (b"\1" * 16, b"\1" * 4))
    raw = request.SerializeToString()
    broken = b"\x0a\x06\x12\x04\x12\x02\x0a\x7f"  # a span whose trace id is longer than the span
    adapted = read(raw + broken, media=PROTOBUF)
    assert [each.id for each in adapted.events] == [ID]
    told = ExportTraceServiceResponse.FromString(adapted.reply.body).partial_success
    assert told.rejected_spans == 2
    assert told.error_message == str(adapted.refused[0].error)
    again = ExportTraceServiceRequest.FromString(adapted.refused[0].raw)
    assert again.resource_spans[0].scope_spans[0].spans[0].span_id == b"\1" * 4


def test_log_records_that_went_to_the_address_of_spans_are_told_of() -> None:
    request = ExportLogsServiceRequest()
    one = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    one.body.string_value = "hello"
    one.trace_id = bytes.fromhex(TRACE)
    adapted = read(request.SerializeToString(), media=PROTOBUF)
    assert adapted.events == []
    assert "/v1/logs" in adapted.refused[0].error.remedy
    with pytest.raises(Malformed, match="log records"):
        read(logs(record("x")))
    with pytest.raises(Malformed, match="spans"):
        read(spans(span({})), "/v1/logs")


@pytest.mark.parametrize("address", ["/v1/traces", "/v1/logs"])
def test_an_empty_request_is_a_success(address: str) -> None:
    for body, media in ((b"", PROTOBUF), (b"{}", JSON), (b'{"resourceSpans": []}', JSON)):
        adapted = read(body, address, media)
        assert adapted.reply == (200, b"" if media == PROTOBUF else b"{}", adapted.reply.headers)


def test_without_an_address_the_declaration_says_what_comes() -> None:
    declared = msgspec.structs.replace(BOT, options={"signal": "logs"})
    body = logs(record("gen_ai.evaluation.result"))
    assert [each.type for each in read(body, "", of=declared).events] == ["OutcomeObserved"]
    assert [each.type for each in read(spans(span(CALL)), "").events] == ["PredictionLogged"]


def test_other_content_types_are_refused_in_words_of_the_protocol() -> None:
    with pytest.raises(UnsupportedMedia):
        read(b"", media="text/plain")
    reply = otlp.ADAPTER.failing(message(b"", media="text/plain"), 415, "Unsupported")
    assert json.loads(reply.body) == {"code": 3, "message": "Unsupported"}
    reply = otlp.ADAPTER.failing(message(b"", media=PROTOBUF), 503, "Busy")
    assert (reply.status, reply.body) == (503, b"\x08\x0e\x12\x04Busy")
    assert reply.headers == (("content-type", PROTOBUF),)


def test_the_answer_about_log_records_counts_log_records() -> None:
    request = ExportLogsServiceRequest()
    one = request.resource_logs.add().scope_logs.add().log_records.add(time_unix_nano=1)
    one.event_name = "gen_ai.evaluation.result"
    adapted = read(request.SerializeToString(), "/v1/logs", PROTOBUF)
    told = ExportLogsServiceResponse.FromString(adapted.reply.body).partial_success
    assert told.rejected_log_records == 1


# ---- hostile bodies ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "media"),
    [
        (b"\x0a\x00" * 200_000, PROTOBUF),
        (b"\x0a\x82\xea\x30\x12\xfe\xe9\x30" + b"\x12\x00" * 400_000, PROTOBUF),
        (b'{"resourceSpans":[{"scopeSpans":[{"spans":[' + b"0," * 20_000 + b"0]}]}]}", JSON),
        (b'{"resourceSpans":[' + b"{}," * 2_500_000 + b"{}]}", JSON),
    ],
    ids=["empty resources", "empty spans", "numbers", "commas"],
)
def test_more_items_than_are_read_are_refused_before_they_fill_the_memory(
    body: bytes, media: str
) -> None:
    with pytest.raises(CollectorError) as refusal:
        read(body, media=media)
    assert isinstance(refusal.value, TooLarge | Malformed)


def test_deep_wide_and_long_attributes_are_refused_with_their_span() -> None:
    deep: Any = "x"
    for _ in range(records.MOST_DEPTH + 2):
        deep = [deep]
    wide = {f"k{i}": "v" for i in range(records.MOST_ATTRIBUTES + 1)}
    long = {"gen_ai.prompt": "x" * records.MOST_ITEM_BYTES}
    body = spans(*(span({**CALL, **each}) for each in ({"a": deep}, wide, long)))
    adapted = read(body)
    assert [type(each.error) for each in adapted.refused] == [TooLarge] * 3


@pytest.mark.parametrize(
    "body", [b"\xff", b"\x0a\xff", b"\x0b", b"[]", b"{", b'{"resourceSpans": 5}', b"\x09\x00"]
)
def test_what_is_no_request_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(body, media=JSON if body[:1] in b"[{" else PROTOBUF)


def survives(body: bytes, address: str, media: str, of: Declared) -> None:
    try:
        adapted = read(body, address, media, of)
    except CollectorError:
        return
    for refused in adapted.refused:
        assert refused.error.remedy
        # What is kept of it is a request again, however wrong its one item is.
        read(refused.raw, address, media, of)
    assert adapted.reply.status == 200


RICH = spans(
    span({**CALL, **annotation(name="n", annotator_kind="HUMAN", label="accept")}),
    span({"openinference.span.kind": "LLM", "llm.model_name": "m", "input.value": "{}"}),
    span(EARLIER, events=[happening("gen_ai.evaluation.result", gen_ai__response__id="r")]),
    evaluator(links=[{"traceId": TRACE, "spanId": SPAN}]),
)
DECLARED = st.sampled_from([BOT, WAITING])


@given(altered(RICH), DECLARED)
def test_no_altered_json_of_spans_does_harm(body: bytes, of: Declared) -> None:
    survives(body, "/v1/traces", JSON, of)


@given(
    altered(logs(record("gen_ai.choice", {"a": 1}), record("gen_ai.evaluation.result"))), DECLARED
)
def test_no_altered_json_of_logs_does_harm(body: bytes, of: Declared) -> None:
    survives(body, "/v1/logs", JSON, of)


@given(st.data(), st.sampled_from(["/v1/traces", "/v1/logs"]), DECLARED)
def test_no_damaged_body_does_harm(data: st.DataObject, address: str, of: Declared) -> None:
    raw = gzip.decompress(sample("otlp/genai_semconv.pb.gz"))
    for body, media in ((raw, PROTOBUF), (RICH, JSON)):
        survives(data.draw(damaged(body)), address, media, of)


@given(st.binary(max_size=400), st.sampled_from(["/v1/traces", "/v1/logs"]))
def test_no_bytes_do_harm(body: bytes, address: str) -> None:
    for media in (JSON, PROTOBUF):
        survives(body, address, media, BOT)


def test_numbers_that_json_cannot_write_are_text() -> None:
    request = whole((bytes.fromhex(TRACE), bytes.fromhex(SPAN)))
    found = request.resource_spans[0].scope_spans[0].spans[0]
    pair = found.attributes.add(key="gen_ai.request.temperature")
    pair.value.double_value = struct.unpack("<d", b"\0\0\0\0\0\0\xf8\x7f")[0]
    found.attributes.add(key="gen_ai.request.seed").value.bytes_value = b"\1"
    body = predicted(read(request.SerializeToString(), media=PROTOBUF))
    assert body["inputs"]["parameters"] == {"temperature": "nan", "seed": {"base64": "AQ=="}}
