"""Requests of OTLP for tests: spans and log records in JSON, and what the adapter makes of them."""

import json
from typing import Any

import msgspec
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from collector.adapters import otlp
from collector.adapters.wire import Adapted, Message
from collector.integrations.declaration import Declared
from tests.collector.adapters.business import body_of

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


EARLIER = {
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4",
    "gen_ai.response.model": "gpt-4-0613",
    "gen_ai.usage.prompt_tokens": 5,
    "gen_ai.usage.completion_tokens": 7,
}
ASKED = [{"role": "user", "content": "Why?"}]
ANSWERED = [{"role": "assistant", "content": "So."}]


def annotation(**fields: Any) -> dict[str, Any]:
    return {f"annotations.0.annotation.{key}": each for key, each in fields.items()}


def evaluator(**fields: Any) -> dict[str, Any]:
    judged = {"evaluations.0.evaluation.name": "truth", "evaluations.0.evaluation.score": 0}
    return span({"openinference.span.kind": "EVALUATOR", **judged}, spanId=OTHER, **fields)


def whole(*each: Any) -> ExportTraceServiceRequest:
    request = ExportTraceServiceRequest()
    scope = request.resource_spans.add().scope_spans.add()
    for trace, one in each:
        found = scope.spans.add(trace_id=trace, span_id=one, name="chat", end_time_unix_nano=10**18)
        pair = found.attributes.add(key="gen_ai.request.model")
        pair.value.string_value = "gpt-4"
    return request
