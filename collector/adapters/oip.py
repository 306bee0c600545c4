"""Open Inference Protocol (V2): calls that a proxy, or the caller itself, logs in pairs.

Decides how a request and its response are sent in one item, for servers that log nothing by
themselves (Triton, MLServer, TorchServe). The two bodies are the protocol's own, unchanged; V1
bodies are read as well. One item, an array of them, or lines:

    {"request": {"id", "inputs": [{name, shape, datatype, data}]},
     "response": {"model_name", "model_version", "id", "outputs": […]},
     "id"?, "time"?, "model_name"?, "model_version"?, "latency_ms"?, "status_code"?}

The call's id is the item's, else the response's, else the request's. The binary tensor extension
puts data behind the JSON, where no log of JSON can hold it: such items are refused.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from collector.adapters import calls, times
from collector.adapters.bodies import object_of
from collector.adapters.calls import UNANSWERED, Call, adapted, identified, origin_of
from collector.adapters.instances import Part, binary_tensor, part_of
from collector.adapters.rows import each_row
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

_NOWHERE: Mapping[str, str] = MappingProxyType({})
_REMEDY = 'Send {"request": …, "response": …} with the protocol\'s bodies.'


def read(message: Message, declared: Declared) -> Adapted:
    """Read logged calls; see `Adapter`."""
    return each_row(message, lambda raw: row(raw, declared, received_us=message.received_us))


def row(
    raw: bytes, declared: Declared, place: Mapping[str, str] = _NOWHERE, received_us: int = 0
) -> Adapted:
    """Read one call, out of a file too; raises `CollectorError`."""
    item = object_of(raw)
    request, response = _side(item, "request"), _side(item, "response")
    if request is None:
        raise Invalid("the item holds no request", field="/request", remedy=_REMEDY)
    code = item.get("status_code")
    failed = response is None or (isinstance(code, int) and code >= 400)
    reason = dict(UNANSWERED) if code is None else {"status_code": code}
    latency = item.get("latency_ms")
    id = item.get("id") or (response.id if response else "") or request.id
    call = Call(
        id=identified(id, "id"),
        moment=times.of_value(item["time"]) if item.get("time") else None,
        received_us=received_us,
        request=request,
        response=response,
        model=_text(item.get("model_name")),
        version=_text(item.get("model_version")),
        status="error" if failed else "ok",
        error=reason if failed else None,
        place=place,
        latency_ms=latency if isinstance(latency, int | float) else None,
        origin=origin_of("oip"),
    )
    return adapted(call, declared, raw)


def _side(item: dict[str, Any], name: str) -> Part | None:
    value = item.get(name)
    if value is None:
        return None
    if not isinstance(value, dict):
        raise Invalid(f"the {name} is no JSON object", field=f"/{name}", remedy=_REMEDY)
    if binary_tensor(value):
        raise Invalid(
            "a tensor is in binary form, which JSON does not hold",
            field=f"/{name}",
            remedy="Ask the server for JSON tensors (parameters.binary_data: false), or log the "
            "decoded values.",
        )
    return part_of(value)


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


ADAPTER = Adapter(name="oip", read=read, row=row, options=calls.OPTIONS)
