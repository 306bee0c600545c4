"""OTLP/HTTP, traces and logs: `POST /v1/traces`, `POST /v1/logs`, and messages of streams.

Decides what a span or record becomes: a prediction with its outcomes, outcomes alone, or nothing
of our business (counted, never rejected: exporters send all their spans). Whether a body holds
spans or records is told by its address; elsewhere by the option `signal`.

What was said in a call stands on its span, or, with instrumentations that are set so, in log
records. The option `messages: logs` says the latter: then a span without content waits for its
records (`collector.adapters.wire.Half`), and is a prediction without them when it has waited long
enough. Without it, such records are none of our business, and the answer says so as a warning.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec

from audit.errors import Rejected
from audit.events import Event, event_of
from collector.adapters.wire import Adapted, Adapter, Half, Message, Refused
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared
from collector.otlp import answers, binary, genai, judgements, openinference, text
from collector.otlp.calls import ADAPTER as NAME
from collector.otlp.calls import prediction
from collector.otlp.records import Item, Part, Record, Signal, Span, prediction_id

_LOST = "records with messages of model calls were not kept: declare the option messages: logs"
_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read(message: Message, declared: Declared) -> Adapted:
    """What a request holds; raises `CollectorError` where it is none."""
    media = answers.media_of(message)
    found = _Found()
    signal = signal_of(message, declared)
    if signal is Signal.TRACES:
        read_spans = text.spans if media == answers.JSON else binary.spans
        _each(read_spans(message.unpacked), found, lambda span: _span(span, declared, found))
    else:
        read_records = text.log_records if media == answers.JSON else binary.log_records
        _each(
            read_records(message.unpacked), found, lambda record: _record(record, declared, found)
        )
    warning = ""
    if _waits(declared):
        found.halves += [_said(key, records) for key, records in found.said.items()]
    elif found.said:
        warning = _LOST
        found.unrelated += sum(map(len, found.said.values()))
    why = str(found.refused[0].error) if found.refused else warning
    reply = answers.taken(media, signal, len(found.refused), why)
    return Adapted(found.events, found.refused, found.halves, reply, found.unrelated)


def signal_of(message: Message, declared: Declared) -> Signal:
    """What a message carries: by the end of its address, else as declared."""
    last = message.url.partition("?")[0].rstrip("/").rpartition("/")[2]
    if last in {each.value for each in Signal}:
        return Signal(last)
    return Signal.LOGS if declared.options.get("signal") == Signal.LOGS.value else Signal.TRACES


def join(one: Half, other: Half | None, declared: Declared) -> Adapted:
    """The prediction of a span and what was said in it; a span alone is one without content."""
    halves = {half.side: _decode(half.body) for half in (one, other) if half is not None}
    body = halves.get("request")
    if body is None:
        raise Invalid(
            "messages of a model call came without its span",
            remedy="Export traces of the same service to /v1/traces.",
        )
    said = halves.get("response", {})
    for key, place in (("input", "inputs"), ("instructions", "inputs"), ("output", "output")):
        if key in said:
            name = "instructions" if key == "instructions" else "messages"
            body[place] = {**(body.get(place) or {}), name: said[key]}
    try:
        return Adapted(events=[event_of("PredictionLogged", declared.name, body)])
    except Rejected as error:
        raise Invalid(str(error), field=error.field, remedy=error.remedy) from None


@dataclass(slots=True)
class _Found:
    """What of a request was read so far; `said` are messages of calls, by prediction."""

    events: list[Event] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    halves: list[Half] = field(default_factory=list)
    said: dict[str, list[Record]] = field(default_factory=dict)
    unrelated: int = 0


def _each(parts: Iterable[Part[Item]], found: _Found, take: Callable[[Item], None]) -> None:
    for part in parts:
        try:
            take(part.read())
        except CollectorError as error:
            found.refused.append(Refused(part.alone(), error))
        except Rejected as error:
            wrong = Invalid(str(error), field=error.field, remedy=error.remedy)
            found.refused.append(Refused(part.alone(), wrong))


def _span(span: Span, declared: Declared, found: _Found) -> None:
    convention = openinference if openinference.is_ours(span) else genai
    call = convention.call_of(span)
    before = len(found.events)
    if call is not None:
        body = prediction(span, call, declared)
        event = event_of("PredictionLogged", declared.name, body)
        if call.silent and _waits(declared):
            found.halves.append(Half(key=span.id, side="request", body=_encode(body)))
        else:
            found.events.append(event)
    for each in judgements.of_span(span):
        found.events.append(judgements.event_from(each, declared))
    if call is None and len(found.events) == before:
        found.unrelated += 1


def _record(record: Record, declared: Declared, found: _Found) -> None:
    name = record.name or str(record.attributes.get("event.name", ""))
    if name == judgements.RESULT:
        found.events.append(judgements.event_from(judgements.of_record(record), declared))
    elif name in genai.MESSAGES and record.trace and record.span:
        found.said.setdefault(prediction_id(record.trace, record.span), []).append(record)
    else:
        found.unrelated += 1


def _waits(declared: Declared) -> bool:
    return declared.options.get("messages") == "logs"


def _said(key: str, records: list[Record]) -> Half:
    """What the records of one call say; those of one request together."""
    records.sort(key=lambda each: each.time_ns)
    said = [(each.name or str(each.attributes["event.name"]), _facts(each)) for each in records]
    return Half(key=key, side="response", body=_encode(genai.messages_of(said)))


def _facts(record: Record) -> dict[str, Any]:
    return {**record.attributes, **(record.body if isinstance(record.body, dict) else {})}


ADAPTER = Adapter(
    name=NAME,
    read=read,
    failing=answers.failing,
    join=join,
    wait_seconds=60,
    options={
        "messages": "logs: what was said in a call comes in log records, not on its span",
        "signal": "traces or logs: what messages hold that come without an address",
    },
)
