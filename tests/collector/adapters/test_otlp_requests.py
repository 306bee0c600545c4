"""Requests of OTLP as senders write them, and as nobody should: what is refused, and how."""

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
from collector.errors import CollectorError, Malformed, TooLarge, UnsupportedMedia
from collector.integrations.declaration import Declared
from collector.otlp import records
from tests.collector.adapters.business import altered, damaged, sample
from tests.collector.adapters.telemetry import (
    BOT,
    CALL,
    EARLIER,
    ID,
    JSON,
    OTHER,
    PROTOBUF,
    SPAN,
    TRACE,
    WAITING,
    annotation,
    evaluator,
    happening,
    logs,
    message,
    predicted,
    read,
    record,
    span,
    spans,
    whole,
)


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


def test_numbers_that_json_cannot_write_are_text() -> None:
    request = whole((bytes.fromhex(TRACE), bytes.fromhex(SPAN)))
    found = request.resource_spans[0].scope_spans[0].spans[0]
    pair = found.attributes.add(key="gen_ai.request.temperature")
    pair.value.double_value = struct.unpack("<d", b"\0\0\0\0\0\0\xf8\x7f")[0]
    found.attributes.add(key="gen_ai.request.seed").value.bytes_value = b"\1"
    body = predicted(read(request.SerializeToString(), media=PROTOBUF))
    assert body["inputs"]["parameters"] == {"temperature": "nan", "seed": {"base64": "AQ=="}}


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
