"""The event: an immutable fact, in the form that the ledger appends.

Decides which parts of a body become clear fields of the leaf, which become blind-indexed terms,
what counts as the same content, and what the canonical form of a body is (JSON, keys sorted,
compact). Hides how bodies are validated: whoever holds bytes gets an `Event` or `Rejected`.
"""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, cast

import msgspec

from audit.amiss import amiss
from audit.errors import Rejected
from audit.schema import (
    BODIES,
    NAME_PATTERN,
    About,
    CountsReported,
    Model,
    Prediction,
    SystemBody,
)

SYSTEM = "modelwitness"
"""The integration of the system's own events; no credential may carry this name."""

SYSTEM_TYPES = frozenset(
    {
        "PolicyChanged",
        "IntegrationDeclared",
        "SourceDeclared",
        "DriftMeasured",
        "AlertRaised",
        "AlertAcknowledged",
        "AlertResolved",
        "RetrainingProposed",
        "RetrainingApproved",
        "RetrainingRejected",
        "RetrainingDispatched",
        "RetrainingAcknowledged",
        "CandidateRegistered",
        "ChallengerJudged",
        "RetrainingClosed",
        "LabelsExported",
        "AccessRecorded",
        "TokenIssued",
        "TokenRevoked",
        "ErasureRequested",
        "ErasureCompleted",
        "HoldPlaced",
        "HoldReleased",
        "KeyRotated",
        "SchemaMigrated",
        "ConflictRecorded",
        "QuarantineDiscarded",
        "QuarantineExpired",
    }
)
EVENT_TYPES = SYSTEM_TYPES | BODIES.keys()

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
LATEST_US = int((datetime(9999, 1, 1, tzinfo=UTC) - EPOCH).total_seconds()) * 1_000_000
_name = re.compile(NAME_PATTERN)
_encode = msgspec.json.Encoder(order="deterministic").encode
_decode_any = msgspec.json.Decoder().decode
_volatile = ("traceparent", "tracestate")
_HOUR_US = 3_600_000_000
_LONGEST_US = 31 * 24 * _HOUR_US


class Event(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """What the ledger appends.

    `body` is the canonical JSON that is sealed; `content`, where it differs, is the part of it
    whose keyed hash tells a redelivery from a conflict. The other fields are derived from the
    body and stand in the leaf (type … latency_us) or in the blind index (subject, references,
    prediction). `latency_us` is -1 where it is unknown.
    """

    type: str
    integration: str
    id: str
    event_us: int
    body: bytes
    model: str = "-"
    version: str = "-"
    status: str = "ok"
    retention: str = "standard"
    latency_us: int = -1
    content: bytes | None = None
    subject: tuple[str, str] | None = None
    references: tuple[tuple[str, str], ...] = ()
    prediction: tuple[str, str] | None = None


def event_of_json(type: str, integration: str, raw: bytes | msgspec.Raw) -> Event:
    """Return the event that the JSON object `raw` describes.

    Raises `Rejected` naming the field and the remedy; the message holds no value of the body.
    """
    try:
        parsed = _decoder(type)(raw)
        body = cast(dict[str, Any], _decode_any(raw))
    except msgspec.ValidationError as error:
        raise _rejected(type, error) from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        raise Rejected(
            f"{type}: the item is not valid JSON",
            field="",
            remedy="Send one JSON object in UTF-8 with finite numbers.",
        ) from None
    return _event(type, integration, parsed, body)


def event_of(type: str, integration: str, body: dict[str, Any]) -> Event:
    """Return the event that `body` describes; raises `Rejected` as `event_of_json` does."""
    return event_of_json(type, integration, _encode(body))


def _event(type: str, integration: str, parsed: msgspec.Struct, body: dict[str, Any]) -> Event:
    model, version, status, retention, latency_us = "-", "-", "ok", "standard", -1
    prediction = None
    content = None
    facts = cast(Prediction, parsed)
    named: Model | None = getattr(parsed, "model", None)
    if named is not None:
        model, version = named.name, named.version
    if type == "PredictionLogged":
        status = facts.status
        if facts.latency_ms is not None:
            latency_us = round(facts.latency_ms.total * 1000)
    elif isinstance(parsed, About):
        about = parsed.prediction
        prediction = (about.integration or integration, about.id)
        status = getattr(parsed, "action", "ok")
    elif isinstance(parsed, CountsReported):
        _require_range(parsed)
    context = getattr(parsed, "context", None)
    if context is not None:
        retention = context.retention_class or retention
        if context.traceparent is not None:
            kept = {k: v for k, v in body["context"].items() if k not in _volatile}
            content = _encode({**body, "context": kept})
    subject = getattr(parsed, "subject", None)
    references = getattr(parsed, "references", None)
    return Event(
        type=type,
        integration=checked_name(integration),
        id=facts.id,
        event_us=_within_time(_micros(facts.time)),
        body=_encode(body),
        model=model,
        version=version,
        status=status,
        retention=retention,
        latency_us=latency_us,
        content=content,
        subject=(subject.scheme, subject.id) if subject is not None else None,
        references=tuple((k, str(v)) for k, v in references.items()) if references else (),
        prediction=prediction,
    )


def _require_range(report: CountsReported) -> None:
    start_us = _within_time(_micros(report.start), "/from")
    end_us = _within_time(_micros(report.end), "/to")
    if start_us >= end_us:
        raise Rejected("the range is empty", field="/to", remedy="Let `to` be after `from`.")
    if end_us - start_us > _LONGEST_US:
        raise Rejected("the range is too long", field="/to", remedy="Report 31 days at most.")
    if report.producer is not None and (start_us % _HOUR_US or end_us % _HOUR_US):
        raise Rejected(
            "counts of one producer are of whole hours",
            field="/from",
            remedy="Let `from` and `to` be full hours in UTC, or leave `producer` out.",
        )
    numbers = report.numbers
    if numbers is not None and numbers.first > numbers.last:
        raise Rejected(
            "the first number is after the last",
            field="/numbers/first",
            remedy="Tell the first and the last `sequence` that was given out.",
        )


def _within_time(us: int, field: str = "/time") -> int:
    """Return a time that every calendar can write in UTC, else raise `Rejected`."""
    if not 0 <= us < LATEST_US:
        raise Rejected(
            "the time lies outside the years 1970 to 9998",
            field=field,
            remedy="Send the time at which it happened, in RFC 3339 with a zone.",
        )
    return us


@lru_cache(maxsize=4096)
def checked_name(name: str) -> str:
    """Return `name` if it may stand in a leaf, else raise `Rejected`."""
    if not _name.fullmatch(name):
        raise Rejected(
            "a name holds characters that a leaf may not carry",
            field="",
            remedy="Use 1 to 128 of A-Z a-z 0-9 . _ : / @ -",
        )
    return name


def _decoder(type: str) -> Callable[[bytes | msgspec.Raw], msgspec.Struct]:
    decoder = _DECODERS.get(type)
    if decoder is None:
        raise Rejected("the event type is unknown", field="/type", remedy="Use a documented type.")
    return decoder


# Made here and not when first needed: msgspec 0.22 may crash where several threads at once make
# the first decoder of a struct.
_DECODERS: dict[str, Callable[[bytes | msgspec.Raw], msgspec.Struct]] = {
    type: msgspec.json.Decoder(BODIES.get(type, SystemBody)).decode for type in EVENT_TYPES
}


def _rejected(type: str, error: msgspec.ValidationError) -> Rejected:
    """The refusal in words; msgspec's own name expected and found types."""
    found = amiss(str(error), BODIES.get(type, SystemBody))
    return Rejected(f"{type}: {found.what}", field=found.field, remedy=found.remedy)


def micros(text: str) -> int:
    """Return µs since the epoch of an RFC 3339 time with a zone; raises `Rejected`."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise Rejected(
            "a time is not RFC 3339 with a zone",
            field="",
            remedy="Write times as 2026-01-31T09:30:00Z.",
        )
    return _within_time(_micros(moment))


def rfc3339(us: int) -> str:
    """Return the RFC 3339 text in UTC of µs since the epoch, as short as it is exact."""
    seconds, fraction = divmod(us, 1_000_000)
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{fraction:06d}Z" if fraction else f"{text}Z"


def _micros(moment: datetime) -> int:
    since = moment - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds
