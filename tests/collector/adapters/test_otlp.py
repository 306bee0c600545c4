"""Spans and log records that are predictions, in three generations of words.

Golden files: see tests/collector/adapters/business.py.
"""

import gzip
import json
from typing import Any

import msgspec
import pytest

from collector.adapters import otlp
from collector.adapters.wire import Half
from collector.errors import CollectorError
from tests.collector.adapters.business import golden, sample
from tests.collector.adapters.telemetry import (
    ANSWERED,
    ASKED,
    BOT,
    CALL,
    EARLIER,
    ID,
    PROTOBUF,
    TRACE,
    WAITING,
    happening,
    logs,
    pairs,
    predicted,
    read,
    record,
    span,
    spans,
)


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
