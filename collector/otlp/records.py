"""What OTLP's protobuf and JSON both hold, in one form; and how much of it is read.

Decides the fields of a span and of a log record that this collector looks at, what a valid id is
and the limits. Ids are lower-case hex, times ns since the epoch (0 where the sender gave none),
attributes plain JSON values: bytes are {"base64": …}, numbers that JSON cannot write are text.

Spec: opentelemetry-proto, trace/v1, logs/v1 and common/v1.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

import msgspec

from collector.errors import CollectorError, Invalid, TooLarge

MOST_ITEMS = 10_000
"""Spans or log records of one request."""
MOST_ITEM_BYTES = 1024 * 1024
MOST_ATTRIBUTES = 2_000
"""Attributes, events and links of one item, each; values of one array or map."""
MOST_DEPTH = 16
"""Arrays and maps of an attribute inside each other."""

Attributes = dict[str, Any]


class Signal(Enum):
    """What a request carries; the value is the last part of its address."""

    TRACES = "traces"
    LOGS = "logs"


class Happening(msgspec.Struct, frozen=True):
    """An event of a span: a name, a time, attributes."""

    name: str
    time_ns: int
    attributes: Attributes


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """One span. `failed` is its status; `links` are the trace and span ids it points to."""

    trace: str
    span: str
    name: str
    start_ns: int
    end_ns: int
    attributes: Attributes
    resource: Attributes
    flags: int = 0
    failed: bool = False
    message: str = ""
    events: tuple[Happening, ...] = ()
    links: tuple[tuple[str, str], ...] = ()

    @property
    def id(self) -> str:
        """The key of the prediction that this span is."""
        return prediction_id(self.trace, self.span)


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One log record; ids are empty where it belongs to no span. `digest` names its content."""

    name: str
    time_ns: int
    attributes: Attributes
    resource: Attributes
    body: Any = None
    trace: str = ""
    span: str = ""
    digest: str = ""


Item = TypeVar("Item", Span, Record)


@dataclass(frozen=True, slots=True)
class Part(Generic[Item]):
    """One item of a request, not yet read.

    `read` raises `CollectorError`; `alone` gives a request in the same format with this item only,
    which is what quarantine keeps and a replay reads.
    """

    read: Callable[[], Item]
    alone: Callable[[], bytes]


def prediction_id(trace: str, span: str) -> str:
    """The producer's key of the prediction that a span is; 49 characters."""
    return f"{trace}:{span}"


def id_of(raw: bytes, length: int, what: str) -> str:
    """An id of `length` bytes as hex; raises `Invalid` where it is none."""
    if len(raw) != length or not any(raw):
        raise Invalid(
            f"the {what} id is not {length} bytes",
            field=f"/{what}Id",
            remedy="Send spans to /v1/traces and log records to /v1/logs, with valid ids.",
        )
    return raw.hex()


def optional_id(raw: bytes, length: int) -> str:
    """An id of `length` bytes as hex, "" where there is no valid one."""
    return raw.hex() if len(raw) == length and any(raw) else ""


def require_few(count: int, what: str) -> None:
    """Raise `TooLarge` where one item has more of something than is read."""
    if count > MOST_ATTRIBUTES:
        raise TooLarge(
            f"the item has more than {MOST_ATTRIBUTES} {what}",
            remedy="Set the limits of attributes and events of the SDK.",
        )


def too_deep() -> CollectorError:
    """The refusal of a value that is nested beyond the limit."""
    return TooLarge(
        f"an attribute is nested deeper than {MOST_DEPTH} levels",
        remedy="Send the nested part as text.",
    )


def too_many() -> CollectorError:
    """The refusal of a request with more items than are read."""
    return TooLarge(
        f"the body holds more than {MOST_ITEMS} items",
        remedy="Lower the batch size of the exporter.",
    )


def require_short(raw: bytes | memoryview) -> None:
    """Raise `TooLarge` where one item is longer than is read."""
    if len(raw) > MOST_ITEM_BYTES:
        raise TooLarge(
            f"the item is longer than {MOST_ITEM_BYTES} bytes",
            remedy="Limit the length of attribute values in the SDK.",
        )


def number(value: float) -> float | str:
    """A number as JSON can hold it."""
    return value if math.isfinite(value) else str(value)
