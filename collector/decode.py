"""From the bytes of a body to the bytes of its items.

Decides what a body may be (one JSON object, an array of them, or lines of JSON; plain or gzip)
and how much of it is taken. Hides decompression and splitting. Items are not parsed here: the
limits on nesting and keys are checked on raw bytes, so that a hostile item costs a scan and
never a structure in memory.
"""

import re
import zlib
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache

import msgspec

from collector.errors import Malformed, TooLarge, UnsupportedEncoding, UnsupportedMedia
from collector.limits import Limits

_split_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_blank = b" \t\r\n"
_bom = b"\xef\xbb\xbf"
# Possessive, and with an optional end, so that it matches at every quote and never backtracks:
# a hostile item costs one pass.
_strings = re.compile(rb'"(?:[^"\\]++|\\.)*+\\?"?', re.DOTALL)
_innermost = re.compile(rb"\{[^{}\[\]]*+\}|\[[^{}\[\]]*+\]")
_not_structure = bytes(set(range(256)) - set(b"{}[]:,"))
_COMMAS = 100
"""Commas per permitted item up to which an array is split without counting its items first."""
_MEMBERS = 64
"""Each costs a copy of what follows it, so their number is bounded as their size is."""
_media_type = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+/[!#$%&'*+.^_`|~0-9a-z-]+")
_line_types = frozenset({"application/x-ndjson", "application/ndjson", "application/jsonl"})
_charsets = frozenset({"utf-8", "utf8", "us-ascii"})

_REMEDY_MEDIA = "Send Content-Type: application/json or application/x-ndjson, in UTF-8."
_REMEDY_JSON = "Send one JSON object, an array of objects, or lines of objects, in UTF-8."


class Format(Enum):
    """How the items of a body are written."""

    JSON = "json"
    LINES = "lines"


@dataclass(frozen=True, slots=True)
class Items:
    """The items of one body, as they came; `many` says that a list was sent, of any length."""

    raw: list[bytes]
    many: bool


@lru_cache(maxsize=256)
def format_of(content_type: str | None) -> Format:
    """The format that a Content-Type names; raises `UnsupportedMedia`."""
    media, _, parameters = (content_type or "").partition(";")
    media = media.strip().lower()
    require_utf8(parameters)
    if is_json(media):
        return Format.JSON
    if media in _line_types:
        return Format.LINES
    what = "no content type was sent" if not media else "the content type is not read here"
    raise UnsupportedMedia(what, field="Content-Type", remedy=_REMEDY_MEDIA)


def is_json(media: str) -> bool:
    """Whether a media type, in lower case and without parameters, means JSON (RFC 6839)."""
    return media == "application/json" or (
        media.endswith("+json") and _media_type.fullmatch(media) is not None
    )


def require_utf8(parameters: str) -> None:
    """Raise `UnsupportedMedia` when the parameters of a media type name another charset."""
    for each in parameters.lower().split(";"):
        name, _, charset = each.partition("=")
        if name.strip() == "charset" and charset.strip().strip('"') not in _charsets:
            raise UnsupportedMedia(
                "the body is not in UTF-8", field="Content-Type", remedy=_REMEDY_MEDIA
            )


def unpack(body: bytes, encoding: str | None, limits: Limits) -> bytes:
    """The body without its Content-Encoding, of which gzip is the one supported.

    Raises `UnsupportedEncoding`, `Malformed` for what is no whole gzip, and `TooLarge` as soon
    as more than `limits.unpacked_bytes` come out, before the rest is decompressed.
    """
    if encoding is None:
        return body
    coding = encoding.strip().lower()
    if coding in {"", "identity"}:
        return body
    if coding not in {"gzip", "x-gzip"}:
        raise UnsupportedEncoding(
            "the content encoding is not read here",
            field="Content-Encoding",
            remedy="Send the body plain or with Content-Encoding: gzip.",
        )
    unpacked = bytearray()
    rest = body
    for _ in range(_MEMBERS):  # gzip files may be concatenated
        member = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)
        try:
            unpacked += member.decompress(rest, limits.unpacked_bytes + 1 - len(unpacked))
        except zlib.error:
            raise _not_gzip() from None
        if len(unpacked) > limits.unpacked_bytes:
            raise TooLarge(
                f"the body is longer than {limits.unpacked_bytes} bytes after decompression",
                remedy="Send fewer items in one request.",
            )
        if not member.eof:
            raise _not_gzip()
        rest = member.unused_data
        if not rest:
            return bytes(unpacked)
    raise TooLarge(
        f"the body has more than {_MEMBERS} gzip members",
        remedy="Compress the body in one piece.",
    )


def split(body: bytes, form: Format, limits: Limits) -> Items:
    """The items of a body; raises `Malformed` or `TooLarge` when it cannot be split.

    An item may still be anything: what it holds is read, and refused, by itself.
    """
    if body.startswith(_bom):
        body = body[len(_bom) :]
    if form is Format.LINES:
        if body.count(b"\n") > 2 * limits.items:
            raise _too_many(limits)
        return _counted([line for line in body.split(b"\n") if line.strip(_blank)], limits)
    first = body[:1] if body[:1] in {b"{", b"["} else body.lstrip(_blank)[:1]
    if first == b"{":
        return Items([body], many=False)
    if first != b"[":
        what = "the body is empty" if not first else "the body is no JSON object or array"
        raise Malformed(what, remedy=_REMEDY_JSON)
    # The decoder makes an object of every item before anyone can count them.
    if body.count(b",") > _COMMAS * limits.items and _breadth(body, limits) > limits.items:
        raise _too_many(limits)
    try:
        parts = _split_array(body)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        raise Malformed("the body is not valid JSON", remedy=_REMEDY_JSON) from None
    return _counted([bytes(part) for part in parts], limits)


def require_shape(item: bytes, limits: Limits) -> None:
    """Raise `TooLarge` when an item is longer, deeper or wider than the limits.

    Counting brackets bounds depth from above at the price of a memory scan; only an item with
    more brackets than the limit, wherever they stand, is looked at closely.
    """
    size = len(item)
    if size > limits.item_bytes:
        raise TooLarge(
            f"the item is longer than {limits.item_bytes} bytes",
            remedy="Send a reference to large content instead of the content.",
        )
    few_brackets = item.count(b"{") + item.count(b"[") <= limits.depth
    # A key takes at least five bytes: "":0,
    few_keys = size <= 5 * limits.keys or item.count(b":") <= limits.keys
    if few_brackets and few_keys:
        return
    structure = _structure(item)
    if structure.count(b":") > limits.keys:
        raise TooLarge(
            f"the item has more than {limits.keys} keys", remedy="Send fewer fields in one event."
        )
    if _depth(structure, limits.depth) > limits.depth:
        raise TooLarge(
            f"the item is nested deeper than {limits.depth} levels",
            remedy="Flatten the item, or send the nested part as text.",
        )


def _depth(structure: bytes, enough: int) -> int:
    """The deepest nesting of brackets, or the first depth found beyond `enough`."""
    depth = deepest = 0
    for each in structure:
        if each in b"{[":
            depth += 1
            if depth > deepest:
                deepest = depth
                if deepest > enough:
                    break
        elif each in b"}]":
            depth -= 1
    return deepest


def _breadth(body: bytes, limits: Limits) -> int:
    """An upper bound of the items of an array, exact when none is nested beyond the limit."""
    inside = _structure(body)[1:]
    for _ in range(limits.depth):
        flatter = _innermost.sub(b"", inside)
        if len(flatter) == len(inside):
            break
        inside = flatter
    return inside.count(b",") + 1


def _structure(text: bytes) -> bytes:
    """The brackets, colons and commas of a JSON text that stand outside its strings."""
    return _strings.sub(b"", text).translate(None, _not_structure)


def _counted(items: list[bytes], limits: Limits) -> Items:
    if len(items) > limits.items:
        raise _too_many(limits)
    return Items(items, many=True)


def _too_many(limits: Limits) -> TooLarge:
    return TooLarge(
        f"the body holds more than {limits.items} items",
        remedy="Send the items in several requests.",
    )


def _not_gzip() -> Malformed:
    return Malformed(
        "the body is not a whole gzip stream",
        field="Content-Encoding",
        remedy="Compress the body with gzip, or leave Content-Encoding out.",
    )
