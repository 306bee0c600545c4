"""The addresses that standards fix: real clients export to a real server, and every refusal speaks
the client's own language."""

import base64
import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import dataset_type_dataset, datasource_dataset
from openlineage.client.facet_v2 import dataset_version_dataset as version_facet
from openlineage.client.transport.http import (
    ApiKeyTokenProvider,
    HttpCompression,
    HttpConfig,
    HttpTransport,
)
from openlineage.client.uuid import generate_new_uuid
from opentelemetry import trace as otel
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Status, StatusCode

from audit.clock import system_clock
from collector.adapters.registry import ADAPTERS
from collector.integrations import apply
from tests.collector.adapters.business import sample
from tests.collector.adapters.telemetry import CALL, ID, logs, record, span, spans
from tests.collector.conftest import House, Open

JSON, PROTOBUF = "application/json", "application/x-protobuf"


def basic(user: str, password: str) -> dict[str, str]:
    text = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {text}"}


def bearer(house: House, integration: str = "bot") -> str:
    return house.token(integration)["Authorization"].removeprefix("Bearer ")


@pytest.fixture
def tracing(house: House, address: str) -> Iterator[tuple[otel.Tracer, TracerProvider]]:
    """A tracer of the real SDK that exports each span when it ends."""
    exporter = OTLPSpanExporter(
        endpoint=f"{address}/v1/traces", headers=house.token("bot"), compression=Compression.Gzip
    )
    provider = TracerProvider(resource=Resource.create({"service.name": "desk"}))
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    yield provider.get_tracer("desk"), provider
    provider.shutdown()


def test_the_real_sdk_exports_predictions_and_errors(
    house: House, tracing: tuple[otel.Tracer, TracerProvider]
) -> None:
    tracer, provider = tracing
    with tracer.start_as_current_span("handle request"):
        with tracer.start_as_current_span("chat gpt-4") as good:
            good.set_attributes(
                {
                    **CALL,
                    "gen_ai.response.model": "gpt-4-0613",
                    "gen_ai.response.id": "chatcmpl-1",
                    "gen_ai.usage.input_tokens": 3,
                    "gen_ai.input.messages": json.dumps([{"role": "user", "parts": []}]),
                    "gen_ai.response.finish_reasons": ["stop"],
                }
            )
            good.add_event("gen_ai.evaluation.result", {"gen_ai.evaluation.name": "tone"})
        with tracer.start_as_current_span("chat gpt-4") as bad:
            bad.set_attributes({**CALL, "error.type": "timeout"})
            bad.set_status(Status(StatusCode.ERROR, "gone"))
    assert provider.force_flush()
    first, second = house.bodies("PredictionLogged")
    context = good.get_span_context()
    assert first["id"] == f"{context.trace_id:032x}:{context.span_id:016x}"
    assert first["model"] == {"name": "gpt-4", "version": "gpt-4-0613"}
    assert first["references"]["gen_ai.response.id"] == "chatcmpl-1"
    assert first["context"]["segment"]["service"] == "desk"
    assert first["latency_ms"]["total"] > 0
    assert (second["status"], second["error"]["type"]) == ("error", "timeout")
    [outcome] = house.bodies("OutcomeObserved")
    assert outcome["prediction"] == {"id": first["id"]}
    assert _fates(house, "rejected") is None


def test_the_real_sdk_exports_evaluations_as_log_records(house: House, address: str) -> None:
    exporter = OTLPLogExporter(endpoint=f"{address}/v1/logs", headers=house.token("bot"))
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    provider.get_logger("judge").emit(
        LogRecord(
            timestamp=1_795_227_662_000_000_000,
            event_name="gen_ai.evaluation.result",
            severity_number=SeverityNumber.INFO,
            attributes={
                "gen_ai.evaluation.name": "relevance",
                "gen_ai.evaluation.score.value": 0.9,
                "gen_ai.response.id": "chatcmpl-1",
            },
        )
    )
    assert provider.force_flush()
    provider.shutdown()
    [outcome] = house.bodies("OutcomeObserved")
    assert outcome["outcome"] == {"name": "relevance", "score": 0.9}
    assert outcome["references"] == {"gen_ai.response.id": "chatcmpl-1"}


def test_an_evaluation_of_a_response_finds_its_prediction(house: House) -> None:
    headers = {**house.token("bot"), **_media(JSON)}
    call = span({**CALL, "gen_ai.response.id": "chatcmpl-1"})
    result = record(
        "gen_ai.evaluation.result",
        gen_ai__response__id="chatcmpl-1",
        gen_ai__evaluation__score__value=1.0,
    )
    later = {**result, "traceId": "", "spanId": "", "timeUnixNano": "1544712670000000000"}
    assert house.client.post("/v1/traces", content=spans(call), headers=headers).is_success
    for _ in range(2):
        assert house.client.post("/v1/logs", content=logs(later), headers=headers).is_success
    [outcome] = house.bodies("OutcomeObserved")
    assert outcome["prediction"] == {"id": ID}
    assert outcome["model"]["name"] == "gpt-4"


def test_messages_that_come_in_logs_meet_their_span_where_that_is_declared(house: House) -> None:
    store = house.store
    declaration = """
kind: integration
name: bot
adapter: otlp
options: {messages: logs}
credential: {verify: bearer}
"""
    apply.apply_text(
        store.ledger, store.documents, declaration, "ann", clock=system_clock, adapters=ADAPTERS
    )
    headers = {**house.token("bot"), **_media(JSON)}
    said = logs(record("gen_ai.user.message", {"content": "Why?"}))
    assert house.client.post("/v1/traces", content=spans(span(CALL)), headers=headers).is_success
    assert house.bodies("PredictionLogged") == []
    assert house.client.post("/v1/logs", content=said, headers=headers).is_success
    [prediction] = house.bodies("PredictionLogged")
    assert prediction["inputs"]["messages"] == [{"role": "user", "content": "Why?"}]


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [("identity", bytes), ("gzip", gzip.compress), ("deflate", zlib.compress)],
)
@pytest.mark.parametrize("media", [JSON, PROTOBUF])
def test_both_formats_are_taken_in_every_encoding_and_twice_is_once(
    house: House, media: str, encoding: str, packed: Callable[[bytes], bytes]
) -> None:
    raw = sample("otlp/genai_semconv.json")
    if media == PROTOBUF:
        raw = gzip.decompress(sample("otlp/genai_semconv.pb.gz"))
    headers = {**house.token("bot"), "Content-Type": media, "Content-Encoding": encoding}
    for _ in range(2):
        answer = house.client.post("/v1/traces", content=packed(raw), headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (200, media)
        assert answer.content == (b"{}" if media == JSON else b"")
    assert len(house.bodies("PredictionLogged")) == 1


def test_the_token_is_taken_as_bearer_and_in_both_places_of_basic(house: House) -> None:
    token = bearer(house)
    headers: list[dict[str, str]] = [
        {"Authorization": f"Bearer {token}"},
        basic("anyone", token),
        basic(token, ""),
    ]
    for each in headers:
        answer = house.client.post("/v1/traces", content=b"", headers={**each, **_media(PROTOBUF)})
        assert answer.status_code == 200


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic !", "Digest x"])
@pytest.mark.parametrize("address", ["/v1/traces", "/v1/logs", "/api/v1/lineage"])
def test_a_stranger_is_told_so_in_the_words_of_the_protocol(
    house: House, address: str, authorization: str
) -> None:
    headers = {"Authorization": authorization, **_media(JSON)}
    answer = house.client.post(address, content=b"{}", headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert answer.json()["code"] == (401 if "lineage" in address else 16)


def test_who_may_not_log_is_told_so(house: House) -> None:
    headers = {**house.token(None, "audit"), **_media(JSON)}
    answer = house.client.post("/v1/traces", content=b"{}", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, 7)


def test_a_bad_span_is_told_in_partial_success_kept_and_replayed(house: House) -> None:
    headers = {**house.token("bot"), **_media(JSON)}
    nameless = span({"gen_ai.operation.name": "chat"}, spanId="a" * 16)
    body = spans(span(CALL), nameless)
    answer = house.client.post("/v1/traces", content=body, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["partialSuccess"]["rejectedSpans"] == "1"
    assert [each["id"] for each in house.bodies("PredictionLogged")] == [ID]
    [kept] = house.client.get("/v1/quarantine", headers=headers).json()["items"]
    assert kept["reason"] == answer.json()["partialSuccess"]["errorMessage"]
    again = house.client.post(f"/v1/quarantine/{kept['id']}/replay", headers=headers)
    assert (again.status_code, again.json()["rejected"], again.json()["duplicates"]) == (200, 1, 1)


def test_what_cannot_be_read_is_kept_and_400(house: House) -> None:
    headers = {**house.token("bot"), **_media(PROTOBUF)}
    answer = house.client.post("/v1/traces", content=b"\xff", headers=headers)
    assert answer.status_code == 400
    assert answer.content.startswith(b"\x08\x03\x12")
    assert len(house.client.get("/v1/quarantine", headers=headers).json()["items"]) == 1


def test_what_is_too_large_is_413_after_decompression_too(opened: Open) -> None:
    house = opened(body_bytes=20_000, unpacked_bytes=100_000)
    headers = {**house.token("bot"), **_media(PROTOBUF)}
    bomb = gzip.compress(b"\0" * 1_000_000)
    packed = {**headers, "Content-Encoding": "gzip"}
    assert house.client.post("/v1/traces", content=bomb, headers=packed).status_code == 413
    long = house.client.post("/v1/traces", content=b"\0" * 30_000, headers=headers)
    assert long.status_code == 413
    assert long.content.startswith(b"\x08\x03\x12")


def test_another_content_type_is_415(house: House) -> None:
    headers = {**house.token("bot"), **_media("text/plain")}
    answer = house.client.post("/v1/traces", content=b"x", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, 3)


def test_a_server_that_is_busy_says_when_to_come_again(opened: Open) -> None:
    house = opened(held_bytes=10)
    headers = {**house.token("bot"), **_media(PROTOBUF)}
    answer = house.client.post("/v1/traces", content=b"\0" * 100, headers=headers)
    assert (answer.status_code, answer.content[:2]) == (503, b"\x08\x0e")
    assert int(answer.headers["retry-after"]) > 0


def test_the_answer_is_one_that_the_protocol_reads(house: House) -> None:
    headers = {**house.token("bot"), **_media(PROTOBUF)}
    answer = house.client.post("/v1/traces", content=b"\x0a\x04\x12\x02\x12\x00", headers=headers)
    told = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert (answer.status_code, told.rejected_spans) == (200, 1)


# ---- lineage -----------------------------------------------------------------------------------


def lineage_client(house: House, address: str) -> OpenLineageClient:
    key = ApiKeyTokenProvider({"api_key": bearer(house, "airflow")})
    config = HttpConfig(url=address, auth=key, compression=HttpCompression.GZIP)
    return OpenLineageClient(transport=HttpTransport(config))


def test_the_real_client_tells_of_a_training_run_and_its_version(
    house: House, address: str
) -> None:
    client = lineage_client(house, address)
    run, job = Run(runId=str(generate_new_uuid())), Job(namespace="ml", name="churn.train")
    data = version_facet.DatasetVersionDatasetFacet(datasetVersion="sha256:abc")
    source = datasource_dataset.DatasourceDatasetFacet(name="lake", uri="s3://bucket")
    rows = InputDataset(
        namespace="s3://bucket", name="rows", facets={"version": data, "dataSource": source}
    )
    made = OutputDataset(
        namespace="mlflow",
        name="churn",
        facets={
            "datasetType": dataset_type_dataset.DatasetTypeDatasetFacet(datasetType="MODEL"),
            "version": version_facet.DatasetVersionDatasetFacet(datasetVersion="17"),
        },
    )
    facts: dict[str, Any] = {"run": run, "job": job, "producer": "https://example.com/train"}
    start, end = "2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z"
    client.emit(RunEvent(eventType=RunState.START, eventTime=start, inputs=[rows], **facts))
    client.emit(RunEvent(eventType=RunState.COMPLETE, eventTime=end, outputs=[made], **facts))
    client.close()
    observed = house.bodies("LineageObserved")
    assert [each["state"] for each in observed] == ["START", "COMPLETE"]
    assert observed[0]["inputs"] == [{"name": "s3://bucket/rows", "digest": "sha256:abc"}]
    [released] = house.bodies("VersionReleased")
    assert released["model"] == {
        "name": "churn",
        "version": "17",
        "lineage": {"training_run": run.runId},
    }


def test_marquez_would_answer_the_same(house: House, address: str) -> None:
    with httpx.Client(base_url=address, headers=house.token("airflow")) as client:
        statuses = [
            client.post("/api/v1/lineage", content=body, headers=_media(JSON)).status_code
            for body in (
                sample("openlineage/marquez_event_simple.json"),
                sample("openlineage/marquez_event_simple.json"),
                sample("openlineage/marquez_event_dataset_event.json"),
                b'{"eventTime": "2026-11-21T00:00:00Z", "somethingElse": {}}',
                b'{"eventTime": "soon", "run": {"runId": "x"}, "job": {}}',
                b"not json",
            )
        ]
    assert statuses == [201, 201, 201, 200, 400, 400]
    assert len(house.bodies("LineageObserved")) == 2


def _media(media: str) -> dict[str, str]:
    return {"Content-Type": media}


def _fates(house: House, fate: str) -> float | None:
    labels = {"address": "in:otlp", "integration": "bot", "fate": fate}
    return house.registry.get_sample_value("modelwitness_ingest_events_total", labels)
