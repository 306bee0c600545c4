"""Bodies that model servers log: bytes of any, wrong or no content type → a value JSON can carry.

Decides how much of a body is read at all (bytes, values, nesting, before anything is built), and
what it is taken for. A logger repeats the request's content type on the response, so the bytes
count for more than the header:

    text/csv                   rows of numbers and text, without a header line
    application/jsonlines      rows, one JSON value a line
    JSON, whatever is said     the value; NaN and Infinity, which Python writes, become text
    UTF-8                      {"text": …}
    anything else              {"base64": …}: binary tensors, images, NumPy files, protobuf
"""

import csv
import json
import re
from base64 import b64encode
from typing import Any

import msgspec

from collector.decode import require_shape
from collector.errors import Malformed, TooLarge
from collector.limits import MIB, Limits

MOST_BYTES = 16 * MIB
MOST_VALUES = 1_000_000
MOST_NESTED = 200_000

_SHAPE = Limits.model_construct(item_bytes=MOST_BYTES, depth=32, keys=MOST_NESTED)
_bom = b"\xef\xbb\xbf"
_begins_json = re.compile(rb'[ \t\r\n]*+[{\["0-9tfnNI-]')
_any = msgspec.json.Decoder().decode
_whole = re.compile(r"-?(?:0|[1-9]\d{0,17})", re.ASCII)
_decimal = re.compile(r"-?\d{1,30}(?:\.\d{0,30})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_lines = frozenset(
    {"application/jsonlines", "application/jsonl", "application/x-ndjson", "application/ndjson"}
)
_REMEDY = "Log fewer instances in one call, or a reference to large content."


class Lines(list[Any]):
    """Rows that a line format told apart; a JSON array is no such thing."""


def require_bounded(raw: bytes) -> None:
    """Raise `TooLarge` for a body that is longer, wider or deeper than is read."""
    if len(raw) > MOST_BYTES:
        raise TooLarge(f"the body is longer than {MOST_BYTES} bytes", remedy=_REMEDY)
    if raw.count(b",") + raw.count(b"\n") > MOST_VALUES:
        raise TooLarge(f"the body has more than {MOST_VALUES} values", remedy=_REMEDY)
    if raw.count(b"[") + raw.count(b"{") > MOST_NESTED:
        raise TooLarge(f"the body has more than {MOST_NESTED} lists or objects", remedy=_REMEDY)
    require_shape(raw, _SHAPE)


def json_of(raw: bytes) -> Any:
    """The value of a JSON text; raises `Malformed` and `TooLarge`."""
    require_bounded(raw)
    value = _json(raw)
    if value is _NONE:
        raise Malformed("the body is not valid JSON", remedy="Send JSON in UTF-8.")
    return value


def object_of(raw: bytes) -> dict[str, Any]:
    """The members of a JSON object; raises `Malformed` and `TooLarge`."""
    value = json_of(raw)
    if not isinstance(value, dict):
        raise Malformed("the item is no JSON object", remedy="Send one object for each item.")
    return value


def value_of(raw: bytes, content_type: str = "") -> Any:
    """What a body holds, `Lines` for the rows of a line format; None for nothing.

    Raises `TooLarge` and nothing else: what cannot be read is kept as text or base64.
    """
    if not raw:
        return None
    require_bounded(raw)
    media = content_type.partition(";")[0].strip().lower()
    if media in {"text/csv", "application/csv"} and (rows := _csv(raw)) is not None:
        return rows
    if media in _lines and (rows := _json_lines(raw)) is not None:
        return rows
    if _begins_json.match(raw.removeprefix(_bom)) and (value := _json(raw)) is not _NONE:
        return value
    try:
        return {"text": raw.decode()}
    except UnicodeDecodeError:
        return {"base64": b64encode(raw).decode()}


class _Nothing:
    """What no JSON text means, unlike None."""


_NONE = _Nothing()


def _json(raw: bytes) -> Any:
    raw = raw.removeprefix(_bom)
    try:
        return _any(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        if b"NaN" not in raw and b"Infinity" not in raw:
            return _NONE
    try:
        # Numbers beyond a float, which would become Infinity, are kept as their text too.
        value = json.loads(raw.decode(), parse_constant=str, parse_float=_number)
        msgspec.json.encode(value)  # half characters and the like, which no event can hold
    except (ValueError, OverflowError, RecursionError):
        return _NONE
    return value


def _number(text: str) -> float | str:
    value = float(text)
    return text if value in {float("inf"), float("-inf")} else value


def _csv(raw: bytes) -> Lines | None:
    try:
        text = raw.decode()
        return Lines([_cell(cell) for cell in row] for row in csv.reader(text.splitlines()) if row)
    except (UnicodeDecodeError, csv.Error):
        return None


def _cell(cell: str) -> Any:
    cell = cell.strip()
    if _whole.fullmatch(cell):
        return int(cell)
    return float(cell) if _decimal.fullmatch(cell) else cell


def _json_lines(raw: bytes) -> Lines | None:
    rows = Lines(_json(line) for line in raw.split(b"\n") if line.strip())
    return None if any(each is _NONE for each in rows) else rows
