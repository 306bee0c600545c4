"""A body in JSON, CSV or XML → the items that a mapping looks at.

Decides what an item is: an element of a JSON array or a line of JSON, a row of CSV by its header,
an XML document as nested members. XML: children by their local names, repeated ones as a list,
attributes as `@name`, text beside them as `#text`. Values of CSV and XML are texts.
"""

import csv
import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any, Final
from xml.etree.ElementTree import Element

import msgspec

from collector.adapters.texts import json_of, local, parts_of, xml_of
from collector.errors import Malformed, TooLarge

FORMATS: Final = ("json", "csv", "xml")
_MOST: Final = 100_000
_COLUMNS: Final = 2_000
_NAME: Final = 200
_CELLS: Final = 1_000_000
_TOLD: Final = 64 * 1024 * 1024
"""Characters of all rows of CSV with their columns' names, as an event of each would tell them."""
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


Raw = Callable[[], bytes]
"""Makes the bytes that quarantine keeps of an item, which only one that is refused needs."""


@dataclass(frozen=True, slots=True)
class Body:
    """A body: `whole()` is all of it, `items()` yields each with its bytes, nothing kept of them.

    Both read it anew, and raise what `body_of` raises.
    """

    whole: Callable[[], Any]
    items: Callable[[], Iterable[tuple[Raw, Any]]]

    def encode(self, item: Any) -> bytes:
        """Return bytes of an item that a path found."""
        return _encode(item)


def body_of(format: str, raw: bytes, delimiter: str = ",") -> Body:
    """Read a body; raises `Malformed` or `TooLarge`. `delimiter` parts the columns of CSV."""
    if format == "csv":
        return _csv(raw, delimiter)
    return _json(raw) if format == "json" else _xml(raw)


def _json(raw: bytes) -> Body:
    stripped = raw.strip(b" \t\r\n")
    many = stripped.startswith(b"[")
    parts = []
    if not many and b"\n" in stripped:
        lines = [line for line in stripped.split(b"\n") if line.strip()]
        if all(line.lstrip().startswith(b"{") for line in lines) and _is_json(lines[0]):
            many, parts = True, lines
    parts = parts or parts_of(raw)
    if len(parts) > _MOST:
        raise _too_many()

    def items() -> Iterator[tuple[Raw, Any]]:
        return ((partial(bytes, part), json_of(part, _decode)) for part in parts)

    def whole() -> Any:
        return [item for _, item in items()] if many else json_of(parts[0], _decode)

    return Body(cache(whole), items)


def _is_json(line: bytes) -> bool:
    try:
        _decode(line)
    except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
        return False
    return True


def _csv(raw: bytes, delimiter: str) -> Body:
    def items() -> Iterator[tuple[Raw, Any]]:
        return _rows(raw, delimiter)

    return Body(cache(lambda: [item for _, item in items()]), items)


def _rows(raw: bytes, delimiter: str) -> Iterator[tuple[Raw, Any]]:
    count = cells = told = 0
    try:
        with io.TextIOWrapper(io.BytesIO(raw), "utf-8-sig", newline="") as text:
            rows = csv.reader(text, strict=True, delimiter=delimiter)
            names = _named(next(rows, []))
            all_names = sum(map(len, names))
            for row in rows:
                if not row:
                    continue
                count, cells = count + 1, cells + len(row)
                told += all_names + sum(map(len, row))
                if count > _MOST or cells > _CELLS or told > _TOLD:
                    raise _too_many()
                yield partial(_written, delimiter, names, row), dict(zip(names, row, strict=False))
    except (UnicodeDecodeError, csv.Error):
        raise Malformed(
            "the body is not valid CSV", remedy="Send CSV in UTF-8 with a header line."
        ) from None


def _named(names: list[str]) -> list[str]:
    if not names or len(names) > _COLUMNS or len(set(names)) != len(names):
        raise Malformed(
            "the CSV has no header line with different names",
            remedy="Send a first line that names each column once.",
        )
    if max(map(len, names)) > _NAME:
        raise Malformed(
            f"the CSV has a column whose name is longer than {_NAME} characters",
            remedy="Shorten the names in the first line.",
        )
    return names


def _written(delimiter: str, *rows: list[str]) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(rows)
    return text.getvalue().encode()


def _xml(raw: bytes) -> Body:
    root = xml_of(raw)
    whole = {local(root.tag): _member(root)}
    return Body(lambda: whole, lambda: [(lambda: raw, whole)])


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
    return TooLarge(
        f"the body has more than {_MOST} items, or rows of too many columns together",
        remedy="Send fewer in one message.",
    )
