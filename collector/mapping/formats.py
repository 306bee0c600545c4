"""A body in JSON, CSV or XML → the items that a mapping looks at.

Decides what an item is: an element of a JSON array or a line of JSON, a row of CSV by its header,
an XML document as nested members. XML: children by their local names, repeated ones as a list,
attributes as `@name`, text beside them as `#text`. Values of CSV and XML are texts.
"""

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from xml.etree.ElementTree import Element

import msgspec

from collector.adapters.texts import json_of, local, parts_of, xml_of
from collector.errors import Malformed, TooLarge

FORMATS: Final = ("json", "csv", "xml")
_MOST: Final = 100_000
_COLUMNS: Final = 2_000
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Body:
    """A whole body, and its items with the bytes that quarantine keeps of each."""

    whole: Any
    items: list[tuple[bytes, Any]]

    def encode(self, item: Any) -> bytes:
        """Return bytes of an item that a path found."""
        return _encode(item)


def body_of(format: str, raw: bytes) -> Body:
    """Read a body; raises `Malformed` or `TooLarge`."""
    readers: dict[str, Callable[[bytes], Body]] = {"json": _json, "csv": _csv, "xml": _xml}
    return readers[format](raw)


def _json(raw: bytes) -> Body:
    stripped = raw.strip(b" \t\r\n")
    if not stripped.startswith(b"[") and b"\n" in stripped:
        lines = [line for line in stripped.split(b"\n") if line.strip()]
        if all(line.lstrip().startswith(b"{") for line in lines) and _is_json(lines[0]):
            if len(lines) > _MOST:
                raise _too_many()
            items = [(line, json_of(line, _decode)) for line in lines]
            return Body([item for _, item in items], items)
    parts = parts_of(raw)
    if len(parts) > _MOST:
        raise _too_many()
    items = [(part, json_of(part, _decode)) for part in parts]
    whole = [item for _, item in items] if stripped.startswith(b"[") else items[0][1]
    return Body(whole, items)


def _is_json(line: bytes) -> bool:
    try:
        _decode(line)
    except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
        return False
    return True


def _csv(raw: bytes) -> Body:
    try:
        text = raw.decode("utf-8-sig")
        rows = csv.reader(io.StringIO(text, newline=""), strict=True)
        names = next(rows, [])
        if not names or len(names) > _COLUMNS or len(set(names)) != len(names):
            raise Malformed(
                "the CSV has no header line with different names",
                remedy="Send a first line that names each column once.",
            )
        items: list[tuple[bytes, Any]] = []
        for row in rows:
            if len(items) >= _MOST:
                raise _too_many()
            if row:
                item = dict(zip(names, row, strict=False))
                items.append((_encode(item), item))
    except (UnicodeDecodeError, csv.Error):
        raise Malformed(
            "the body is not valid CSV", remedy="Send CSV in UTF-8 with a header line."
        ) from None
    return Body([item for _, item in items], items)


def _xml(raw: bytes) -> Body:
    root = xml_of(raw)
    whole = {local(root.tag): _member(root)}
    return Body(whole, [(raw, whole)])


def _member(element: Element) -> Any:
    found: dict[str, Any] = {f"@{local(name)}": value for name, value in element.attrib.items()}
    for child in element:
        name, value = local(child.tag), _member(child)
        if name not in found:
            found[name] = value
        elif isinstance(found[name], list):
            found[name].append(value)
        else:
            found[name] = [found[name], value]
    text = (element.text or "").strip()
    if not found:
        return text
    if text:
        found["#text"] = text
    return found


def _too_many() -> TooLarge:
    return TooLarge(f"the body has more than {_MOST} items", remedy="Send fewer in one message.")
