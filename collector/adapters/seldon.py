"""Seldon Core v1's request logger, over HTTP or from its Kafka topic.

Decides which two messages are one call, and what feedback means. The executor sends CloudEvents,
but not always valid ones (no id, no time), so attributes are taken as they are:

    HTTP     ce-type, ce-requestid, ce-modelid, ce-inferenceservicename, ce-namespace, ce-endpoint
    Kafka    type, content-type, requestid, modelid … without a prefix and without id and time

    io.seldon.serving.inference.request | …response   the call; joined by `requestid`
    io.seldon.serving.feedback                        {"request", "response", "truth", "reward"}

Feedback becomes an outcome for each instance of `truth`, else one of the reward. It names the
prediction by the puid in its response or request, else by its own `requestid`. The messages of
outlier and drift detectors are no predictions and are refused.
"""

import hashlib
from collections.abc import Mapping
from typing import Any

from audit.events import Event
from collector.adapters import calls, times
from collector.adapters.bodies import object_of
from collector.adapters.calls import arrival, identified, origin_of, small
from collector.adapters.changes import event_from
from collector.adapters.halves import Both, Side, half, joined
from collector.adapters.instances import Part, output_of, part_of
from collector.adapters.kserve import side_of
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Adapter, Half, Message
from collector.cloudevents import of_headers
from collector.errors import Invalid, Malformed
from collector.integrations.declaration import Declared

_NAMES = ("inferenceservicename", "modelid", "namespace", "endpoint")
_KEPT = ("requestid", "id", "source", "protocol", *_NAMES)
_FEEDBACK = "io.seldon.serving.feedback"
OPTIONS: Mapping[str, str] = {
    **calls.OPTIONS,
    "ids": "`node` puts the name of the graph's node before each id, where several nodes log.",
    "version": "`image` takes the version from the image in the response's meta.requestPath.",
}


def read(message: Message, declared: Declared) -> Adapted:
    """Read one logged request, response or feedback; see `Adapter`."""
    told = _attributes(message)
    time = times.of_text(told["time"]) if told.get("time") else None
    if told.get("type") == _FEEDBACK:
        return Adapted(events=_outcomes(told, time, message, declared))
    side = side_of(told.get("type", ""))
    request = identified(told.get("requestid") or told.get("id"), "ce-requestid")
    waiting = Side(
        attributes={**{key: told[key] for key in _KEPT if told.get(key)}, "requestid": request},
        body=message.unpacked,
        media=message.header("content-type") or "",
        us=None if time is None else time.us,
        time_text="" if time is None else time.text,
        received_us=message.received_us,
    )
    parts = [request, *(told.get(name, "") for name in _NAMES)]
    key = hashlib.sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return Adapted(halves=[half(key, side, waiting)])


def join(one: Half, other: Half | None, declared: Declared) -> Adapted:
    """Make predictions of a call; see `Adapter`."""
    return joined(one, other, declared, _call)


def _attributes(message: Message) -> dict[str, str]:
    """The attributes, under their plain names; raises `Malformed` for one that is sent twice."""
    known = {name for name, _ in message.headers}
    if {b"ce-specversion", b"ce-id", b"ce-source", b"ce-type"} <= known:
        cloud = of_headers(message.headers, message.unpacked)
        return {key: str(each) for key, each in cloud.attributes.items()}
    prefix = next((each for each in (b"ce-", b"ce_") if each + b"type" in known), b"")
    told: dict[str, str] = {}
    for name, value in message.headers:
        plain = name.removeprefix(prefix).decode("latin-1")
        if not name.startswith(prefix) or plain not in {"type", "time", *_KEPT}:
            continue
        if plain in told:
            raise Malformed(
                "an attribute is given twice", field=name.decode("latin-1"), remedy="Send it once."
            )
        told[plain] = value.decode("utf-8", "replace")
    return told


def _call(pair: Both, declared: Declared) -> Mapping[str, Any]:
    attribute = pair.attribute
    request, node = attribute("requestid"), attribute("modelid")
    told: dict[str, Any] = {
        "id": _id(request, node, declared),
        "model": attribute("inferenceservicename") or node,
        "segment": {name: attribute(name) for name in ("modelid", "namespace", "endpoint")},
        "origin": origin_of("seldon", event=request, source=attribute("source")),
    }
    if pair.response is not None:
        meta = pair.response.part().meta or {}
        told["wire"] = {"meta": meta} if meta else {}
        path = meta.get("requestPath")
        images = list(path.values()) if isinstance(path, dict) else []
        if declared.options.get("version") == "image" and len(images) == 1:
            told["version"] = str(images[0])
    return told


def _outcomes(
    told: dict[str, str], time: Moment | None, message: Message, declared: Declared
) -> list[Event]:
    body = object_of(message.unpacked)
    truth = part_of(body["truth"]) if isinstance(body.get("truth"), dict) else Part(None)
    reward = body.get("reward")
    puid = _puid(body.get("response")) or _puid(body.get("request"))
    request = identified(puid or told.get("requestid") or told.get("id"), "ce-requestid")
    about = _id(request, told.get("modelid", ""), declared)
    if truth.whole is None and reward is None:
        raise Invalid(
            "the feedback holds neither truth nor reward",
            remedy="Send `truth`, or a `reward`, with the feedback.",
        )
    # Without an id of its own, the same feedback sent again is told by what it says.
    digest = hashlib.sha256(about.encode("utf-8", "surrogatepass") + message.unpacked).hexdigest()
    event = told.get("id") or f"feedback:{digest[:32]}"
    rows = truth.rows if truth.rows is not None and truth.certain else None
    if truth.whole is None:
        found: list[Any] = [{"reward": reward}]
    else:
        found = [truth.whole] if rows is None else [output_of(row, truth) for row in rows]
    made = []
    for position, outcome in enumerate(found):
        suffix = "" if len(found) == 1 else f"/{position}"
        origin = origin_of("seldon", event=told.get("id", ""), request=request)
        origin.update({"time": "received"} if time is None else {})
        if wire := small({"reward": reward}):
            origin["wire"] = wire
        entry: dict[str, Any] = {
            "id": event + suffix,
            "time": arrival(message.received_us) if time is None else time.rfc3339,
            "prediction": {"id": about + suffix},
            "outcome": outcome,
            "label_source": "seldon:feedback",
            "origin": origin,
        }
        facts = {key: each for key, each in entry.items() if key != "time" or time is not None}
        made.append(event_from("OutcomeObserved", declared.name, entry, facts))
    return made


def _puid(side: Any) -> str:
    meta = side.get("meta") if isinstance(side, dict) else None
    puid = meta.get("puid") if isinstance(meta, dict) else None
    return puid if isinstance(puid, str) else ""


def _id(request: str, node: str, declared: Declared) -> str:
    return f"{node}:{request}" if declared.options.get("ids") == "node" and node else request


ADAPTER = Adapter(name="seldon", read=read, join=join, options=OPTIONS)
"""Seldon Core v1; version 2 sends protobuf and has no adapter."""
