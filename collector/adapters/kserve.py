"""KServe's agent: each request and each response that it logged, as binary CloudEvents 1.0.

Decides which two messages are one call and what the call is. KServe's `pkg/logger` sends no
batches and does not retry; both messages carry the same id and the same source, and only calls
that were answered with 200 are logged at all, so a request without response failed or was lost.
The response repeats the request's content type, so bodies are told by their bytes.

    Ce-Type    org.kubeflow.serving.inference.request | …response
    Ce-Id      the caller's own Ce-Id header, else a random one
    Ce-Time, Ce-Source, Ce-Inferenceservicename, Ce-Namespace, Ce-Component, Ce-Endpoint
    Ce-Metadata, Ce-Annotations    JSON text

Where the transformer logs beside the predictor, its predictions carry `transformer:` before the
id: they are about the same call. Files of KServe's blob storage are not read here: they tell no
time.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from collector import cloudevents
from collector.adapters import calls, times
from collector.adapters.calls import origin_of
from collector.adapters.halves import Both, Side, half, joined
from collector.adapters.wire import Adapted, Adapter, Half, Message
from collector.cloudevents import CloudEvent, Mode
from collector.errors import Invalid
from collector.integrations.declaration import Declared

_HOP = ("knativearrivaltime", "knativehistory", "traceparent", "tracestate")
_KEPT = ("metadata", "annotations")
_NAMES = ("inferenceservicename", "namespace", "component", "endpoint")


def read(message: Message, declared: Declared) -> Adapted:
    """Read one logged request or response; see `Adapter`."""
    return Adapted(halves=[_half(_cloud(message), message.received_us)])


def join(one: Half, other: Half | None, declared: Declared) -> Adapted:
    """Make predictions of a call; see `Adapter`."""
    return joined(one, other, declared, _call)


def side_of(type_: str) -> str:
    """Which side of a call an event type names; raises `Invalid`."""
    for side in ("request", "response"):
        if type_.endswith(f".inference.{side}"):
            return side
    raise Invalid(
        "the type of the event is neither an inference request nor a response",
        field="ce-type",
        remedy="Let the logger send requests and responses only (logger mode: all).",
    )


def _cloud(message: Message) -> CloudEvent:
    content_type = message.header("content-type")
    known = any(name == b"ce-specversion" for name, _ in message.headers)
    mode = cloudevents.mode_of(content_type, has_attributes=known)
    if mode is Mode.BINARY:
        return cloudevents.of_headers(message.headers, message.unpacked)
    return cloudevents.of_json(message.unpacked)


def _half(cloud: CloudEvent, received_us: int) -> Half:
    told = {key: str(each) for key, each in cloud.attributes.items()}
    side = side_of(told["type"])
    time = times.of_text(told["time"]) if told.get("time") else None
    # The source is the logger's own address, often the same in every pod: names tell them apart.
    parts = [told["source"], told["id"], *(told.get(name, "") for name in _NAMES)]
    kept = ("id", "source", *_NAMES, *_KEPT, *_HOP)
    waiting = Side(
        attributes={key: told[key] for key in kept if told.get(key)},
        body=cloud.data or b"",
        media=told.get("datacontenttype", ""),
        us=None if time is None else time.us,
        time_text="" if time is None else time.text,
        received_us=received_us,
    )
    return half(hashlib.sha256("\0".join(parts).encode()).hexdigest(), side, waiting)


def _call(pair: Both, _declared: Declared) -> Mapping[str, Any]:
    attribute = pair.attribute
    component = attribute("component")
    own = component in {"", "predictor"}
    return {
        "id": attribute("id") if own else f"{component}:{attribute('id')}",
        "model": attribute("inferenceservicename"),
        "segment": {name: attribute(name) for name in _NAMES[1:]},
        "origin": origin_of("kserve", event=attribute("id"), source=attribute("source")),
        "wire": {name: attribute(name) for name in _KEPT},
        "hop": {name: attribute(name) for name in _HOP},
    }


ADAPTER = Adapter(
    name="kserve",
    read=read,
    join=join,
    options=calls.OPTIONS,
)
