"""Azure Machine Learning's data collector: structured CloudEvents in lines, or its SDK's requests.

Decides which two messages are one call. Formats: Microsoft Learn, "Collect production data from
models deployed for real-time inferencing"; headers of `azureml-ai-monitoring` 1.0.0, which name
themselves CloudEvents and are none (no id, no source, time in seconds):

    lines   {"type": "azureml.inference.<collection>", "source": …/onlineEndpoints/E/deployments/D,
             "time", "data", "correlationid", "modelversion"?, "contentrange", "datainblob"?}
    SDK     ce-type, ce-time, ce-x-request-id, ce-model-version?; the body is the data

    model_inputs | inputs      with  model_outputs | outputs     what the scoring script collected
    request                    with  response                    what the server logged

Both are joined by the correlation id; a frame of several rows is as many predictions. Where a
deployment collects both kinds, option `collect` must choose one, since they are the same calls.
Model is the endpoint, version the model's version or else the deployment.

**Files**: `modelDataCollector/{endpoint}/{deployment}/{collection}/yyyy/MM/dd/HH/*.jsonl`, final
after their hour; `of_path` reads it. Data over 4 MB or binary is in a blob of its own, whose
address these events carry instead (`datainblob`): they are refused.
"""

import hashlib
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from collector import cloudevents
from collector.adapters import calls, times
from collector.adapters.calls import identified, listed, origin_of
from collector.adapters.halves import Both, Side, half, joined
from collector.adapters.rows import each_row
from collector.adapters.wire import Adapted, Adapter, Half, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

OPTIONS: Mapping[str, str] = {
    **calls.OPTIONS,
    "collect": "`model` reads what the script collected, `payload` what the server logged; "
    "without it both are read.",
    "inputs": "Names, parted by commas, of own collections that hold inputs.",
    "outputs": "Names, parted by commas, of own collections that hold outputs.",
    "unanswered": "`ok` where outputs are not collected, so that inputs alone are no error.",
}
_PREFIX = "azureml.inference."
_KINDS: Mapping[str, tuple[str, str]] = {
    "request": ("payload", "request"),
    "response": ("payload", "response"),
    "model_inputs": ("model", "request"),
    "inputs": ("model", "request"),
    "model_outputs": ("model", "response"),
    "outputs": ("model", "response"),
}
_path = re.compile(
    r"(?:^|/)modelDataCollector/([^/]+)/([^/]+)/([^/]+)/\d{4}/\d\d/\d\d/\d\d/[^/]+$", re.ASCII
)
_source = re.compile(r"/onlineEndpoints/([^/]+)/deployments/([^/]+)", re.IGNORECASE)
_range = re.compile(r"bytes (\d{1,18})-(\d{1,18})/(\d{1,18}|\*)", re.ASCII)
_NOWHERE: Mapping[str, str] = MappingProxyType({})
_KEPT = ("source", "modelversion", "collectdatatype", "agent", "path", "method", "xrequestid")


def of_path(path: str) -> dict[str, str]:
    """The model (endpoint), deployment and collection that a blob's path tells; empty if none."""
    found = _path.search(path)
    if found is None:
        return {}
    return {"model": found[1], "deployment": found[2], "collection": found[3]}


def read(message: Message, declared: Declared) -> Adapted:
    """Read collected lines, or one request of the SDK; see `Adapter`."""
    known = {name for name, _ in message.headers}
    if b"ce-type" in known and b"ce-specversion" not in known:
        return _posted(message, declared)
    return each_row(message, lambda raw: row(raw, declared, received_us=message.received_us))


def row(
    raw: bytes, declared: Declared, place: Mapping[str, str] = _NOWHERE, received_us: int = 0
) -> Adapted:
    """Read one line of a blob at `place`, as `of_path` tells; raises `CollectorError`."""
    cloud = cloudevents.of_json(raw)
    told = {key: str(each) for key, each in cloud.attributes.items()}
    if str(cloud.attributes.get("datainblob", "")).lower() == "true":
        raise Invalid(
            "the data is in a blob of its own, and the event holds only its address",
            field="/data",
            remedy="Send the blob's content with the event's correlation id, or collect less than "
            "4 MB of text in one call.",
        )
    _require_complete(told.get("contentrange", ""))
    correlation = told.get("correlationid") or told.get("xrequestid")
    return _one(told, cloud.data or b"", correlation, declared, place, received_us)


def join(one: Half, other: Half | None, declared: Declared) -> Adapted:
    """Make predictions of a call; see `Adapter`."""
    return joined(one, other, declared, _call)


def _posted(message: Message, declared: Declared) -> Adapted:
    told = {
        "type": message.header("ce-type") or "",
        "time": message.header("ce-time") or "",
        "modelversion": message.header("ce-model-version") or "",
        "collectdatatype": message.header("ce-collect-data-type") or "",
        "agent": message.header("ce-agent") or "",
        "datacontenttype": message.header("content-type") or "",
    }
    correlation = message.header("ce-x-request-id")
    return _one(told, message.unpacked, correlation, declared, _NOWHERE, message.received_us)


def _one(
    told: Mapping[str, str],
    data: bytes,
    correlation: str | None,
    declared: Declared,
    place: Mapping[str, str],
    received_us: int,
) -> Adapted:
    kind, side = _kind(told["type"], declared)
    if declared.options.get("collect", kind) != kind:
        return Adapted(unrelated=1)
    id = identified(correlation, "correlationid")
    found = _source.search(told.get("source", ""))
    endpoint = found[1] if found else place.get("model", "")
    deployment = found[2] if found else place.get("deployment", "")
    time = times.of_value(told["time"], unit="s") if told.get("time") else None
    attributes = {key: told.get(key, "") for key in _KEPT}
    attributes.update(correlationid=id, endpoint=endpoint, deployment=deployment)
    waiting = Side(
        attributes={key: each for key, each in attributes.items() if each},
        body=data,
        media=told.get("datacontenttype", ""),
        us=None if time is None else time.us,
        time_text="" if time is None else time.text,
        received_us=received_us,
    )
    parts = "\0".join((kind, endpoint, deployment, id)).encode("utf-8", "surrogatepass")
    return Adapted(halves=[half(hashlib.sha256(parts).hexdigest(), side, waiting)])


def _kind(type_: str, declared: Declared) -> tuple[str, str]:
    """What was collected, and which side of the call it is; raises `Invalid`."""
    collection = type_.removeprefix(_PREFIX)
    if type_.startswith(_PREFIX):
        for side, option in (("request", "inputs"), ("response", "outputs")):
            if collection in listed(declared.options.get(option, "")):
                return "model", side
        if collection in _KINDS:
            return _KINDS[collection]
    raise Invalid(
        "the collection is not known as inputs or outputs of a model",
        field="/type",
        remedy="Name it in `options: {inputs: …}` or `options: {outputs: …}`.",
    )


def _require_complete(content_range: str) -> None:
    found = _range.fullmatch(content_range)
    if found is None:
        return
    whole = found[3] == "*" or int(found[2]) + 1 == int(found[3])
    if int(found[1]) != 0 or not whole:
        raise Invalid(
            "the line holds a part of a longer body",
            field="/contentrange",
            remedy="Collect less in one call, so that its data stays in one line.",
        )


def _call(pair: Both, declared: Declared) -> Mapping[str, Any]:
    attribute = pair.attribute
    deployment = attribute("deployment")
    wire = {name: attribute(name) for name in ("collectdatatype", "agent", "path", "method")}
    wire["path"] = wire["path"].partition("?")[0]  # a query may hold anything
    told: dict[str, Any] = {
        "id": attribute("correlationid"),
        "model": attribute("endpoint"),
        "version": attribute("modelversion") or deployment,
        "segment": {"deployment": deployment},
        "latency_ms": None,  # both times are whole seconds
        "origin": origin_of(
            "azureml", event=attribute("correlationid"), source=attribute("source")
        ),
        "wire": wire,
    }
    if pair.response is None and declared.options.get("unanswered") == "ok":
        told["status"] = "ok"
    return told


ADAPTER = Adapter(
    name="azureml",
    read=read,
    row=row,
    of_path=of_path,
    join=join,
    wait_seconds=7200,
    options=OPTIONS,
)
"""The wait is two hours: inputs and outputs come in files of their own."""
