"""Bodies of business systems: JSON and XML from senders that nobody vouches for.

Decides that XML has no DTD, no entities and a bounded shape, and that whatever is wrong with a
body is `Malformed` (or `TooLarge`). Hides the parsers.
"""

from collections.abc import Callable
from io import BytesIO
from typing import Any, TypeVar
from xml.etree.ElementTree import Element, ParseError

import msgspec
from defusedxml import DefusedXmlException  # type: ignore[import-untyped]  # publishes none
from defusedxml.ElementTree import iterparse  # type: ignore[import-untyped]  # publishes none

from collector.errors import Invalid, Malformed, TooLarge

T = TypeVar("T")

_DEEPEST = 32
_MOST = 100_000
_raws = msgspec.json.Decoder(list[msgspec.Raw]).decode
_object = msgspec.json.Decoder(dict[str, Any]).decode


def json_of(raw: bytes | msgspec.Raw, decode: Callable[[bytes | msgspec.Raw], T]) -> T:
    """Decode JSON; raises `Malformed` for what is none, `Invalid` for another shape."""
    try:
        return decode(raw)
    except msgspec.ValidationError as error:
        # The message names expected and found types, never values.
        what, _, path = str(error).partition(" - at `")
        raise Invalid(
            f"the body has not the shape of this sender: {what}",
            field=path.rstrip("`").removeprefix("$").replace(".", "/")[:128],
            remedy="Check that the integration's adapter is the one of this sender.",
        ) from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        raise Malformed(
            "the body is not valid JSON",
            remedy="Send JSON in UTF-8; where a template makes it, quote the placeholders as JSON.",
        ) from None


def object_of(raw: bytes | msgspec.Raw) -> dict[str, Any]:
    """Decode a JSON object; raises as `json_of` does."""
    return json_of(raw, _object)


def parts_of(body: bytes) -> list[bytes]:
    """The items of a JSON array as they were written, or the one object of a body."""
    if body.lstrip(b" \t\r\n\xef\xbb\xbf").startswith(b"["):
        return [bytes(each) for each in json_of(body, _raws)]
    return [body]


def xml_of(body: bytes) -> Element:
    """Parse XML; raises `Malformed`, for a DTD or an entity too, and `TooLarge`."""
    depth = count = 0
    root: Element | None = None
    try:
        for event, element in iterparse(
            BytesIO(body), events=("start", "end"), forbid_dtd=True, forbid_entities=True
        ):
            if event == "end":
                depth -= 1
                continue
            root = element if root is None else root
            depth += 1
            count += 1
            if depth > _DEEPEST or count > _MOST:
                raise TooLarge(
                    f"the XML is deeper than {_DEEPEST} or has more than {_MOST} elements",
                    remedy="Select fewer fields, or send fewer records in a message.",
                )
    except DefusedXmlException:
        raise Malformed(
            "the XML has a document type or entities",
            remedy="Send XML without DOCTYPE; senders of this kind never need one.",
        ) from None
    except (ParseError, ValueError, LookupError):
        root = None
    if root is None:
        raise Malformed("the body is not well-formed XML", remedy="Send one whole XML document.")
    return root


def local(tag: str) -> str:
    """The name of an element without its namespace."""
    return tag.rpartition("}")[2]
