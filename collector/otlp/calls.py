"""A model call as spans tell of it, whatever the convention, and the prediction that it is.

Decides the body of PredictionLogged. `inputs` are messages (or the value that the sender gave),
the parameters of the request and the number of tokens; `output` likewise with the reasons for
which the model stopped. Model name is the one that was asked for, version the one that answered:
aliases such as "gpt-4" answer as a dated version. Where one of them is missing, the other stands
for both. The person is taken out of the attributes and named as subject only.
"""

import re
from typing import Any

import msgspec

from audit.events import LATEST_US, rfc3339
from collector.adapters.names import leaf_name
from collector.errors import Invalid
from collector.integrations.declaration import Declared
from collector.otlp.records import Attributes, Span

ADAPTER = "otlp"
_MOST_WIRE = 8 * 1024
_MOST_TEXT = 4096
_PERSON = ("enduser.id", "user.id", "enduser.pseudo.id", "user.hash")
_SECRET = re.compile(
    r"authorization|cookie|secret|passw|api[._-]?key|(access|id|refresh|auth|session)[._-]?token",
    re.IGNORECASE,
)
_ENVIRONMENT = ("deployment.environment.name", "deployment.environment")
_encode = msgspec.json.Encoder(order="deterministic").encode


class Call(msgspec.Struct, kw_only=True):
    """One call of a model; what a convention does not tell stays empty."""

    convention: str
    operation: str = ""
    provider: str = ""
    asked: str = ""
    answered: str = ""
    input: Any = None
    output: Any = None
    instructions: Any = None
    parameters: Attributes = {}
    template: Any = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    finish: Any = None
    response: str = ""
    conversation: str = ""
    used: set[str] = set()

    @property
    def silent(self) -> bool:
        """Whether the span tells neither what went in nor what came out."""
        return self.input is None and self.output is None


def prediction(span: Span, call: Call, declared: Declared) -> dict[str, Any]:
    """The body of the prediction that a call is; raises `Invalid` where it names no model."""
    name, version = _model(call, declared)
    body: dict[str, Any] = {
        "id": span.id,
        "time": time_of(span.end_ns or span.start_ns),
        "model": {"name": name, "version": version},
        "inputs": _inputs(call),
        "output": _output(call),
        "references": _references(span, call),
        "context": _context(span, call),
        "origin": _origin(span, call, name, version),
    }
    if call.template is not None:
        body["model"]["lineage"] = {"prompt_template": call.template}
    if span.failed or "error.type" in span.attributes:
        body["status"] = "error"
        body["error"] = _without_none(
            {"type": span.attributes.get("error.type"), "message": span.message or None}
        )
    if span.end_ns >= span.start_ns > 0:
        body["latency_ms"] = {"total": (span.end_ns - span.start_ns) / 1_000_000}
    person = first(span.attributes, *_PERSON)
    if isinstance(person, str | int) and str(person):
        body["subject"] = {"scheme": declared.subject_scheme, "id": str(person)[:512]}
    return body


def time_of(ns: int) -> str:
    """The time of ns since the epoch; raises `Invalid` where there is none."""
    us = ns // 1_000
    if not 0 < us < LATEST_US:
        raise Invalid(
            "the item says no time at which it happened",
            field="/endTimeUnixNano",
            remedy="Send spans that have ended, and log records with a time.",
        )
    return rfc3339(us)


def first(attributes: Attributes, *names: str) -> Any:
    """The value of the first of these attributes that is there."""
    return next((attributes[name] for name in names if attributes.get(name) is not None), None)


def text(attributes: Attributes, *names: str) -> str:
    """The same where it is text, else ""."""
    found = first(attributes, *names)
    return found if isinstance(found, str) else ""


def whole(attributes: Attributes, *names: str) -> int | None:
    """The same where it is a whole number, else None."""
    found = first(attributes, *names)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def structured(value: Any) -> Any:
    """A value that may have been written as JSON in a text: instrumentations do both."""
    if isinstance(value, str) and value[:1] in {"[", "{"}:
        try:
            return _decode(value)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return value
    return value


_decode = msgspec.json.Decoder().decode


def _model(call: Call, declared: Declared) -> tuple[str, str]:
    name = call.asked or call.answered or declared.model.removeprefix("-")
    version = call.answered or declared.version.removeprefix("-") or call.asked or "-"
    if not name:
        raise Invalid(
            "the span of a model call names no model",
            field="/attributes",
            remedy="Record gen_ai.request.model or llm.model_name, or declare the model.",
        )
    return leaf_name(name), leaf_name(version)


def _inputs(call: Call) -> dict[str, Any]:
    found = {
        "messages": call.input,
        "instructions": call.instructions,
        "parameters": call.parameters or None,
        "tokens": call.input_tokens,
    }
    return _without_none(found)


def _output(call: Call) -> dict[str, Any] | None:
    found = {"messages": call.output, "finish_reasons": call.finish, "tokens": call.output_tokens}
    return _without_none(found) or None


def _references(span: Span, call: Call) -> dict[str, str]:
    found = {"trace": span.trace}
    if call.response:
        found["gen_ai.response.id"] = call.response[:_MOST_TEXT]
    if call.conversation:
        found["gen_ai.conversation.id"] = call.conversation[:_MOST_TEXT]
    return found


def _context(span: Span, call: Call) -> dict[str, Any]:
    environment = text(span.resource, *_ENVIRONMENT)
    segment = {
        "operation": call.operation,
        "provider": call.provider,
        "service": text(span.resource, "service.name"),
    }
    return _without_none(
        {
            "environment": environment[:_MOST_TEXT] or None,
            "segment": {key: value[:_MOST_TEXT] for key, value in segment.items() if value} or None,
            "traceparent": f"00-{span.trace}-{span.span}-{span.flags:02x}",
        }
    )


def _origin(span: Span, call: Call, name: str, version: str) -> dict[str, Any]:
    origin: dict[str, Any] = {
        "adapter": ADAPTER,
        "convention": call.convention,
        "trace": span.trace,
        "span": span.span,
        "name": span.name[:_MOST_TEXT],
    }
    if (call.asked and call.asked != name) or (call.answered and call.answered != version):
        origin["model"] = _without_none(
            {"asked": call.asked or None, "answered": call.answered or None}
        )
    wire = {
        key: value
        for key, value in span.attributes.items()
        if key not in call.used and key not in _PERSON and not _SECRET.search(key)
    }
    if wire and len(_encode(wire)) <= _MOST_WIRE:
        origin["wire"] = wire
    return origin


def _without_none(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if value is not None}
