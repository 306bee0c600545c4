"""Inference tables of Databricks, and calls of MLflow's scoring server that are logged like them.

Decides what a row of a payload table is: a call of a model, or a person's assessment of one, which
Databricks logs as a call of its feedback model. One row is one call, whatever its batch.

    legacy    databricks_request_id, client_request_id, timestamp_ms, status_code,
              execution_time_ms, request, response, request_metadata
    gateway   databricks_request_id, request_time, execution_duration_ms, status_code, request,
              response, served_entity_id, requester, logging_error_codes; newer ones
              invocation_id, event_time, latency_ms        (unverified: no real row was read)
    MLflow    bodies {"dataframe_split" | "dataframe_records" | "instances" | "inputs"} and
              {"predictions"}; MLflow itself has no table of payloads, and traces come by OTLP

`request` and `response` are text, and not always JSON: such text is kept as it is. One that was too
large to log is null, which `logging_error_codes` tells; such a call did not fail. An assessment is

    {"dataframe_records": [{"request_id", "source": {"type", "id"}, "text_assessments":
      [{"ratings": {<name>: {"value", "rationale"}}, "suggested_output", "free_text_comment"}],
      "retrieval_assessments": […]}]}

A person's suggested output is a correction of the prediction `request_id`, ratings and comments
are an outcome of it. Option `ids: client` takes the caller's id where there is one.

**Files**: tables are folders of Parquet, named `…/{endpoint}_payload/…`; `of_path` reads that.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from audit.events import Event
from collector.adapters import calls, times
from collector.adapters.bodies import object_of, value_of
from collector.adapters.calls import UNANSWERED, Call, adapted, identified, origin_of
from collector.adapters.changes import event_from
from collector.adapters.instances import part_of
from collector.adapters.rows import each_row
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

OPTIONS: Mapping[str, str] = {
    **calls.OPTIONS,
    "ids": "`client` takes the caller's client_request_id as the prediction's id, if it is set.",
}
_path = re.compile(r"(?:^|[/.])([^/.]+)_payload(?=[/.]|$)")
_NOWHERE: Mapping[str, str] = MappingProxyType({})
_IDS = ("databricks_request_id", "invocation_id")
_TIMES = ("timestamp_ms", "request_time", "event_time")
_LATENCIES = ("execution_time_ms", "execution_duration_ms", "latency_ms")
_PEOPLE = {"end_user", "expert", "human"}
_MOST_ASSESSMENTS = 1_000


def of_path(path: str) -> dict[str, str]:
    """The model (the endpoint) that a table's name tells; empty if none."""
    found = _path.search(path)
    return {"model": found[1]} if found else {}


def read(message: Message, declared: Declared) -> Adapted:
    """Read rows of a table; see `Adapter`."""
    return each_row(message, lambda raw: row(raw, declared))


def row(
    raw: bytes, declared: Declared, place: Mapping[str, str] = _NOWHERE, _received_us: int = 0
) -> Adapted:
    """Read one row of a table at `place`, as `of_path` tells; raises `CollectorError`."""
    line = object_of(raw)
    id = identified(_first(line, _IDS), "databricks_request_id")
    moment = _moment(line)
    request = _body(line.get("request"))
    if (assessed := _assessments(request)) is not None:
        return Adapted(events=_assessed(id, assessed, moment, declared))
    client = line.get("client_request_id")
    chosen = client if declared.options.get("ids") == "client" and client else id
    told = _members(line.get("request_metadata"))
    missing = line.get("response") in (None, "")
    error = _error(line, missing=missing)
    legacy = "timestamp_ms" in line
    call = Call(
        id=identified(chosen, "client_request_id"),
        moment=moment,
        request=None if line.get("request") is None else part_of(request),
        response=None if missing else part_of(_body(line.get("response"))),
        model=_text(told.get("model_name")) or _text(told.get("endpoint_name")),
        version=_text(told.get("model_version")) or _text(line.get("served_entity_id")),
        status="error" if error else "ok",
        error=error,
        latency_ms=_number(_first(line, _LATENCIES)),
        place=place,
        references={"databricks_request_id": id, "client_request_id": _text(client)},
        origin=origin_of("databricks", verified=legacy, requester=line.get("requester")),
        wire={
            "endpoint_name": told.get("endpoint_name"),
            "sampling_fraction": line.get("sampling_fraction"),
            "logging_error_codes": line.get("logging_error_codes") or None,
        },
    )
    return adapted(call, declared, raw)


def _first(line: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    """The value of the first column that the table has; generations name them differently."""
    return next((line[name] for name in names if line.get(name) is not None), None)


def _error(line: Mapping[str, Any], *, missing: bool) -> dict[str, Any] | None:
    code = _number(line.get("status_code"))
    if code is not None and code >= 400:
        return {"status_code": code}
    # What was too large to be logged was answered all the same.
    return dict(UNANSWERED) if missing and not line.get("logging_error_codes") else None


def _members(value: Any) -> dict[str, Any]:
    """A map, which Parquet gives as pairs and some exports as JSON text."""
    value = _body(value)
    if isinstance(value, list) and all(
        isinstance(each, list) and len(each) == 2 and isinstance(each[0], str) for each in value
    ):
        return dict(value)
    return value if isinstance(value, dict) else {}


def _moment(line: Mapping[str, Any]) -> Moment:
    told = _first(line, _TIMES)
    if told is not None:
        return times.of_value(told, "UTC")
    raise Invalid(
        "the row has no time",
        field="/timestamp_ms",
        remedy="Export the table with timestamp_ms or request_time.",
    )


def _body(value: Any) -> Any:
    return value_of(value.encode()) if isinstance(value, str) else value


def _assessments(request: Any) -> list[dict[str, Any]] | None:
    """The records of an assessment; None where the request is none."""
    records = request.get("dataframe_records") if isinstance(request, dict) else None
    if not isinstance(records, list) or not records:
        return None
    known = [each for each in records if isinstance(each, dict) and _lists(each)]
    return known if len(known) == len(records) else None


def _lists(record: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    if "request_id" not in record:
        return []
    found = [(kind, record.get(f"{kind}_assessments")) for kind in ("text", "retrieval")]
    return [
        (kind, each)
        for kind, listed in found
        if isinstance(listed, list)
        for each in listed
        if isinstance(each, dict)
    ]


def _assessed(
    row_id: str, records: list[dict[str, Any]], moment: Moment, declared: Declared
) -> list[Event]:
    found = [(record, kind, each) for record in records for kind, each in _lists(record)]
    if len(found) > _MOST_ASSESSMENTS:
        raise Invalid(
            f"the row holds more than {_MOST_ASSESSMENTS} assessments",
            field="/request",
            remedy="Send fewer assessments in one call.",
        )
    made = []
    for position, (record, kind, each) in enumerate(found):
        source = record.get("source")
        who: dict[str, Any] = source if isinstance(source, dict) else {}
        shared: dict[str, Any] = {
            "id": f"{row_id}/{position}",
            "time": moment.rfc3339,
            "prediction": {"id": identified(record["request_id"], "request_id")},
            "origin": origin_of("databricks", assessment=kind, step=each.get("step_id")),
        }
        made += _events(shared, _text(who.get("type")), _text(who.get("id")), each, declared)
    return made


def _events(
    shared: dict[str, Any], role: str, reviewer: str, each: dict[str, Any], declared: Declared
) -> list[Event]:
    made = []
    comment, suggested = each.get("free_text_comment"), each.get("suggested_output")
    if suggested is not None and role in _PEOPLE:
        body = {**shared, "action": "correct", "final_output": suggested, "role": role}
        body.update({"reviewer": reviewer} if reviewer else {})
        body.update({"reason": comment[:4096]} if isinstance(comment, str) else {})
        made.append(event_from("OversightRecorded", declared.name, body))
    outcome = {
        "ratings": each.get("ratings"),
        "comment": comment,
        "suggested_output": suggested if role not in _PEOPLE else None,
        "position": each.get("position"),
    }
    outcome = {name: value for name, value in outcome.items() if value not in (None, {}, "")}
    if outcome.keys() - {"position", "comment"} or (outcome and not made):
        body = {**shared, "outcome": outcome, "label_source": f"databricks:{role or 'unknown'}"}
        body["origin"] = {**shared["origin"], **({"assessor": reviewer} if reviewer else {})}
        made.append(event_from("OutcomeObserved", declared.name, body))
    return made


def _number(value: Any) -> float | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 16:
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    return None


def _text(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)[:256]


ADAPTER = Adapter(name="databricks", read=read, row=row, of_path=of_path, options=OPTIONS)
"""Rows of gateway tables are marked unverified."""
