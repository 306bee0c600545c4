"""BentoML's monitoring logs: lines of data, and the line of schema that says what they mean.

Decides which fields of a record are inputs, output and truth. Written by `bentoml.monitoring`
(1.4), default class:

    schema   {"meta_data": {"bento_name", "bento_version"}, "columns": [{name, role, type}]}
    data     {<column>: value …, "timestamp", "request_id", "trace_id"}

Roles are feature, prediction and target; a target becomes an outcome of the same record's
prediction. They come from the schema line before the data in the same body, else from the options.
Timestamps are local and say no zone: option `zone` must. One request logs as many records as it
had rows and does not number them, so an id is the request's and a digest of the record; option
`rows: one` says that there is one record for each request, whose id then serves alone.

**Files**: `monitoring/{name}/{schema,data}/{schema,data}.{worker}.log`, rotated daily by renaming.
`of_path` takes the name, `schema_path` leads from a data log to its schema, whose line belongs
into `place["schema"]`.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from collector.adapters import times
from collector.adapters.bodies import object_of
from collector.adapters.calls import Call, listed, model_of, origin_of, predicted
from collector.adapters.changes import event_from
from collector.adapters.rows import each_row
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

OPTIONS: Mapping[str, str] = {
    "zone": "The zone of the server's local times, such as Europe/Berlin. Needed.",
    "predictions": "Columns, parted by commas, that hold the prediction, where no schema is sent.",
    "targets": "Columns, parted by commas, that hold the truth, where no schema is sent.",
    "rows": "`one` where each request logs one record: its id is the request's.",
}
_path = re.compile(r"(?:^|/)monitoring/([^/]+)/(schema|data)/[^/]+$")
_NOWHERE: Mapping[str, str] = MappingProxyType({})
_OWN = ("timestamp", "request_id", "trace_id")
_UNSET = {"", "None", "0", "not available"}


def of_path(path: str) -> dict[str, str]:
    """The model (the monitor's name) and the log that a file's path tells; empty if none."""
    found = _path.search(path)
    return {"model": found[1], "log": found[2]} if found else {}


def schema_path(path: str) -> str:
    """The schema log beside a data log; "" for what is none."""
    if of_path(path).get("log") != "data":
        return ""
    folder, _, name = path.rpartition("/")
    above, _, _ = folder.rpartition("/")
    beside = "schema" + name.removeprefix("data")
    return f"{above}/schema/{beside}" if above else f"schema/{beside}"


def read(message: Message, declared: Declared) -> Adapted:
    """Read schema and data lines; see `Adapter`."""
    schema = _schema({}, declared)
    seen: Counter[bytes] = Counter()

    def one(raw: bytes) -> Adapted:
        nonlocal schema
        record = object_of(raw)
        if _is_schema(record):
            schema = _schema(record, declared)
            return Adapted()
        seen[raw] += 1
        return _events(raw, record, schema, declared, {"twin": str(seen[raw])})

    return each_row(message, one)


def row(
    raw: bytes, declared: Declared, place: Mapping[str, str] = _NOWHERE, _received_us: int = 0
) -> Adapted:
    """Read one line; raises `CollectorError`.

    `place` is what `of_path` tells, with the schema's line under "schema"; "twin" counts equal
    records of one request, which happen where rows are equal.
    """
    record = object_of(raw)
    if _is_schema(record):
        return Adapted()
    known = object_of(place["schema"].encode()) if place.get("schema") else {}
    return _events(raw, record, _schema(known, declared), declared, place)


class Schema(NamedTuple):
    """The role of each column, and what made the predictions."""

    roles: Mapping[str, str]
    name: str
    version: str


def _events(
    raw: bytes,
    record: Mapping[str, Any],
    schema: Schema,
    declared: Declared,
    place: Mapping[str, str],
) -> Adapted:
    roles = schema.roles
    if "prediction" not in roles.values():
        raise Invalid(
            "nothing says which column holds the prediction",
            remedy="Send the schema log before the data, or declare `options: {predictions: …}`.",
        )
    moment = times.of_value(record.get("timestamp"), declared.options.get("zone", ""))
    request, trace = _known(record.get("request_id")), _known(record.get("trace_id"))
    parts: dict[str, dict[str, Any]] = {"feature": {}, "prediction": {}, "target": {}}
    for name, each in record.items():
        if name not in _OWN:
            parts.get(roles.get(name, "feature"), parts["feature"])[name] = each
    call = Call(
        id=_id(raw, request or trace, place, declared),
        moment=moment,
        request=None,
        response=None,
        model=schema.name,
        version=schema.version,
        place=place,
    )
    body = {
        "id": call.id,
        "time": moment.rfc3339,
        "model": model_of(call, declared),
        "inputs": parts["feature"],
        "output": _single(parts["prediction"]),
        "origin": origin_of("bentoml", received_time_text=moment.original),
    }
    references = {"request_id": request, "trace_id": trace}
    if any(references.values()):
        body["references"] = {name: each for name, each in references.items() if each}
    events = [predicted(body, declared, call)]
    if parts["target"]:
        outcome = _outcome(call, parts["target"], moment)
        events.append(event_from("OutcomeObserved", declared.name, outcome))
    return Adapted(events=events)


def _outcome(call: Call, truth: Mapping[str, Any], moment: Moment) -> dict[str, Any]:
    return {
        "id": call.id,
        "time": moment.rfc3339,
        "prediction": {"id": call.id},
        "outcome": _single(truth),
        "label_source": "bentoml:target",
        "origin": origin_of("bentoml", received_time_text=moment.original),
    }


def _id(raw: bytes, request: str, place: Mapping[str, str], declared: Declared) -> str:
    if declared.options.get("rows") == "one" and request:
        return request
    digest = hashlib.sha256(raw.strip()).hexdigest()[:32]
    twin = place.get("twin", "1")
    id = f"{request}/{digest}" if request else digest
    return id if twin == "1" else f"{id}/{twin}"


def _is_schema(record: Mapping[str, Any]) -> bool:
    return isinstance(record.get("columns"), list) and "timestamp" not in record


def _schema(record: Mapping[str, Any], declared: Declared) -> Schema:
    roles = {
        each["name"]: each["role"]
        for each in record.get("columns", ())
        if isinstance(each, dict)
        and isinstance(each.get("name"), str)
        and isinstance(each.get("role"), str)
    }
    for option, role in (("predictions", "prediction"), ("targets", "target")):
        for name in listed(declared.options.get(option, "")):
            roles.setdefault(name, role)
    about = record.get("meta_data")
    meta = about if isinstance(about, dict) else {}
    return Schema(roles, _known(meta.get("bento_name")), _known(meta.get("bento_version")))


def _known(value: Any) -> str:
    """A value that BentoML did set, as text."""
    return value[:256] if isinstance(value, str) and value not in _UNSET else ""


def _single(columns: Mapping[str, Any]) -> Any:
    return next(iter(columns.values())) if len(columns) == 1 else dict(columns)


ADAPTER = Adapter(
    name="bentoml",
    read=read,
    row=row,
    of_path=of_path,
    schema_path=schema_path,
    options=OPTIONS,
)
