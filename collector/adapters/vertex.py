"""Vertex AI's request-response logging: rows of its BigQuery table, exported or read as JSON.

Decides how a row becomes predictions. Unverified: the columns are those that public readers of the
table name; no row of a real table has been read here. Events carry `origin.verified: false`.

    endpoint, deployed_model_id, logging_time, request_id,
    request_payload ARRAY<STRING>, response_payload ARRAY<STRING>

Each element of an array is the JSON of one instance; elements that are no JSON stay text.

**Files**: exports of dataset `logging_<endpoint>_<id>`; `of_path` takes the endpoint from it.
"""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from collector.adapters import calls, times
from collector.adapters.bodies import Lines, object_of, value_of
from collector.adapters.calls import Call, adapted, identified, origin_of
from collector.adapters.instances import Part, part_of
from collector.adapters.rows import each_row
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

_path = re.compile(r"(?:^|[/.])logging_([A-Za-z0-9_]+?)_\d+(?=[/.]|$)")
_NOWHERE: Mapping[str, str] = MappingProxyType({})


def of_path(path: str) -> dict[str, str]:
    """The model (endpoint) that the name of an exported dataset tells; empty if none."""
    found = _path.search(path)
    return {"model": found[1]} if found else {}


def read(message: Message, declared: Declared) -> Adapted:
    """Read logged calls; see `Adapter`."""
    return each_row(message, lambda raw: row(raw, declared))


def row(
    raw: bytes, declared: Declared, place: Mapping[str, str] = _NOWHERE, _received_us: int = 0
) -> Adapted:
    """Read one row of a file at `place`, as `of_path` tells; raises `CollectorError`."""
    line = object_of(raw)
    if not line.get("logging_time"):
        raise Invalid(
            "the row has no time",
            field="/logging_time",
            remedy="Export the table with all its columns.",
        )
    call = Call(
        id=identified(line.get("request_id"), "request_id"),
        moment=times.of_value(line["logging_time"], "UTC"),
        request=_side(line.get("request_payload")),
        response=_side(line.get("response_payload")),
        model=_text(line.get("endpoint")),
        version=_text(line.get("deployed_model_id")),
        place=place,
        origin=origin_of("vertex", verified=False),
    )
    if call.request is None and call.response is None:
        raise Invalid(
            "the row holds no payload",
            field="/request_payload",
            remedy="Export the table with its payload columns.",
        )
    return adapted(call, declared, raw)


def _side(value: Any) -> Part | None:
    if isinstance(value, str):
        return part_of(value_of(value.encode()))
    if not isinstance(value, list) or not value:
        return None
    return part_of(Lines(_instance(each) for each in value))


def _instance(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    read_value = value_of(value.encode())
    # What is no JSON is the text itself.
    return value if isinstance(read_value, dict) and read_value.keys() == {"text"} else read_value


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


ADAPTER = Adapter(name="vertex", read=read, row=row, of_path=of_path, options=calls.OPTIONS)
"""Unverified."""
