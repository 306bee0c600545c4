"""A call of a model server → its predictions.

Decides what every model server's adapter shares: the ids of a call's instances, where the name of
the model comes from, what an event says of its origin, and what counts as the same on redelivery.

- One instance has the call's id; of several, each has `<call's id>/<row>`, counted from 0.
- The model that the wire names wins over that of the file's path, and that over the declared one.
- A call without a response is a prediction with status `error`: servers log what they answered.
- What a broker adds on the way (`hop`), and a time that is only that of arrival, are kept but are
  no content, so a redelivery is a duplicate and never a conflict.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from audit.events import Event, rfc3339
from collector.adapters.changes import event_from
from collector.adapters.instances import Part, inputs_of, output_of, paired
from collector.adapters.names import leaf_name
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Refused
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared

OPTIONS: Mapping[str, str] = {
    "features": "Names, parted by commas, of the values of an instance that is sent as a list.",
}
UNANSWERED: Mapping[str, Any] = {"reason": "no response was logged"}
_MOST_WIRE = 8192
_MOST_REPEATED = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a model, as far as its server logged it.

    `moment` is None where the server tells no time; then `received_us` stands in and is marked.
    A `request` or `response` that is None was not logged. `place` is what a file's path tells.
    `wire` are small facts of the sender that have no place of their own, `hop` such that may
    differ between deliveries.
    """

    id: str
    moment: Moment | None
    received_us: int = 0
    request: Part | None
    response: Part | None
    model: str = ""
    version: str = ""
    status: str = "ok"
    error: Any = None
    latency_ms: float | None = None
    segment: Mapping[str, str] = field(default_factory=dict)
    references: Mapping[str, str] = field(default_factory=dict)
    place: Mapping[str, str] = field(default_factory=dict)
    origin: Mapping[str, Any] = field(default_factory=dict)
    wire: Mapping[str, Any] = field(default_factory=dict)
    hop: Mapping[str, Any] = field(default_factory=dict)


def adapted(call: Call, declared: Declared, raw: bytes) -> Adapted:
    """The predictions of a call; instances that are none are refused together, as `raw`.

    Raises `CollectorError` where there is no time at all.
    """
    events: list[Event] = []
    refused: list[Refused] = []
    features = listed(declared.options.get("features", ""))
    shared = _shared(call, declared)  # what is wrong with the call is wrong with all of it
    request, response = call.request or _NOTHING, call.response or _NOTHING
    rows = paired(call.request, call.response)
    if rows is None:
        if any(each.rows is not None or each.cut for each in (request, response)):
            shared["origin"]["rows"] = "whole"
        for name in ("tensor", "output_tensor"):
            shared["origin"].pop(name, None)
        whole = request.whole
        rows = [(whole if isinstance(whole, dict) else {"body": whole}, response.whole)]
    _trim(shared, len(rows))
    for position, (one, two) in enumerate(rows):
        try:
            body = {
                **shared,
                "id": call.id if len(rows) == 1 else f"{call.id}/{position}",
                "inputs": inputs_of(one, request, features) if call.request is not None else {},
            }
            if call.response is not None:
                body["output"] = output_of(two, response)
            events.append(predicted(body, declared, call))
        except CollectorError as error:
            if not refused:
                refused.append(Refused(raw, error))
    return Adapted(events=events, refused=refused)


def predicted(body: dict[str, Any], declared: Declared, call: Call) -> Event:
    """The event of a body, compared on redelivery without what the way added to it."""
    facts = dict(body)
    if call.moment is None:
        facts.pop("time")
    if "hop" in body["origin"]:
        facts["origin"] = {key: each for key, each in body["origin"].items() if key != "hop"}
    return event_from("PredictionLogged", declared.name, body, facts)


def model_of(call: Call, declared: Declared) -> dict[str, str]:
    """The model and version of a call, as a leaf may carry them."""
    named = call.model or _told(call, "model") or call.place.get("model", "")
    version = call.version or _told(call, "version") or call.place.get("version", "")
    return {
        "name": leaf_name(named or declared.model),
        "version": leaf_name(version or declared.version),
    }


def origin_of(adapter: str, *, verified: bool = True, **told: Any) -> dict[str, Any]:
    """What an event says of where it comes from; empty values are left out."""
    origin: dict[str, Any] = {"adapter": adapter}
    if not verified:
        origin["verified"] = False
    origin.update({key: each for key, each in told.items() if each not in ("", None)})
    return origin


def small(wire: Mapping[str, Any]) -> dict[str, Any]:
    """Facts that are small enough to be kept beside the event, else nothing of them."""
    kept = {key: each for key, each in wire.items() if each not in ("", None)}
    return kept if _size(kept) <= _MOST_WIRE else {}


def listed(text: str) -> tuple[str, ...]:
    """The parts of an option that is a list."""
    return tuple(each.strip() for each in text.split(",") if each.strip())


def identified(value: Any, name: str) -> str:
    """An id that a sender wrote, as text; raises `Invalid` where there is none."""
    if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
        return str(value).strip()
    raise Invalid(
        "the item does not say which call it is of",
        field=f"/{name}",
        remedy=f"Let the sender write {name}.",
    )


def arrival(received_us: int) -> str:
    """The time that stands in for one that the sender does not tell; raises `Invalid`."""
    if received_us > 0:
        return rfc3339(received_us)
    raise Invalid(
        "neither the item nor its way tells a time",
        field="/time",
        remedy="Let the sender write the time of each item.",
    )


_NOTHING = Part(None)


def _told(call: Call, what: str) -> str:
    for part in (call.response, call.request):
        if part is not None and (found := str(getattr(part, what))):
            return found
    return ""


def _shared(call: Call, declared: Declared) -> dict[str, Any]:
    moment = call.moment
    origin: dict[str, Any] = dict(call.origin)
    if moment is None:
        origin["time"] = "received"
    elif moment.original is not None:
        origin["received_time_text"] = moment.original
    if call.response is None:
        origin["missing"] = "response"
    elif call.request is None:
        origin["missing"] = "request"
    for part, name in ((call.request, "tensor"), (call.response, "output_tensor")):
        if part is not None and part.tensor:
            origin[name] = part.tensor
    if wire := small(call.wire):
        origin["wire"] = wire
    if hop := small(call.hop):
        origin["hop"] = hop
    error = call.error if call.error is not None else (call.response or _NOTHING).error
    status = "error" if error is not None and call.status == "ok" else call.status
    shared: dict[str, Any] = {
        "time": arrival(call.received_us) if moment is None else moment.rfc3339,
        "model": model_of(call, declared),
        "status": status,
        "origin": origin,
    }
    if error is not None:
        shared["error"] = error
    if call.latency_ms is not None and 0 <= call.latency_ms <= 1e12:
        shared["latency_ms"] = {"total": call.latency_ms}
    if segment := {key: each for key, each in call.segment.items() if each}:
        shared["context"] = {"segment": segment}
    if references := {key: each for key, each in call.references.items() if each}:
        shared["references"] = references
    return shared


def _trim(shared: dict[str, Any], rows: int) -> None:
    """Leave out of every row what would, repeated so often, outgrow the call itself."""
    for key in ("wire", "hop"):
        if rows > 1 and rows * _size(shared) > _MOST_REPEATED:
            shared["origin"].pop(key, None)
    if rows > 1 and rows * _size(shared) > _MOST_REPEATED and "error" in shared:
        shared["error"] = {"reason": "too long to be repeated for each instance"}


def _size(value: Any) -> int:
    try:
        return len(msgspec.json.encode(value))
    except (OverflowError, RecursionError, TypeError, ValueError):
        return _MOST_REPEATED  # no reason to lose the event: it is left out
