"""What a schema refuses, in a sentence for whoever sent it.

Decides the words: which field, what it must be, what it is instead, what to do. Takes the message
of msgspec apart, which names expected and found types; a value never comes through.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

import msgspec
from msgspec import inspect

_KINDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "null": "null",
    "datetime": "a time",
    "bytes": "base64 text",
}
_LENGTHS = {
    "text": ("character", "characters"),
    "an array": ("item", "items"),
    "an object": ("member", "members"),
}
_NAMES = "[A-Za-z0-9._:/@-]{1,128}"
_WORDS = {">=": "at least", "<=": "at most", "==": "exactly", ">": "more than", "<": "less than"}
_SCHEMA = "The schema at /schema/openapi.json says how it is written."


class Amiss(NamedTuple):
    """JSON pointer of the field, what is wrong with it, what to do; no value of it."""

    field: str
    what: str
    remedy: str


def amiss(message: str, shape: type[msgspec.Struct] | None = None) -> Amiss:
    """Say what msgspec found; `shape` helps to name the values that a field may have."""
    # The path stands last: what stands before it may quote the value, which may hold anything.
    what, _, path = message.rpartition(" - at `")
    if not what:
        what, path = message, ""
    field = path.rstrip("`").removeprefix("key` in `").removeprefix("$")
    field = re.sub(r"\[(\d+)\]", r"/\1", field.replace("[...]", "/*")).replace(".", "/")
    return said(what, field, shape)


def said(what: str, field: str, shape: type[msgspec.Struct] | None = None) -> Amiss:
    """As `amiss`, for a message whose path was taken off already and is `field`."""
    here = field or "the body"
    if what.startswith("Invalid enum value"):
        return _choice(field, here, shape)
    for pattern, tell in _RULES:
        if found := pattern.search(what):
            return tell(found, field, here)
    return Amiss(field, f"{here} is not what the schema wants", _SCHEMA)


_LONGEST_NAME = 64


def _missing(found: re.Match[str], field: str, _: str) -> Amiss:
    place = f"{field}/{found[1]}"
    return Amiss(place, f"{place} is missing", f"Add {found[1]}.")


def _unknown(found: re.Match[str], field: str, here: str) -> Amiss:
    name = found[1] if len(found[1]) <= _LONGEST_NAME and found[1].isprintable() else "that"
    return Amiss(field, f"{here} has a member that is not known there: {name}", "Leave it out.")


def _time(found: re.Match[str], field: str, here: str) -> Amiss:
    missing = "has no zone" if "timezone" in found.string else "is not a time in RFC 3339"
    return Amiss(field, f"{here} {missing}", "Write times as 2026-01-31T09:30:00Z, with a zone.")


def _type(found: re.Match[str], field: str, here: str) -> Amiss:
    wanted = _kinds(found[1])
    told = f"{here} must be {wanted}, and is {_KINDS.get(found[2], found[2])}"
    return Amiss(field, told, f"Send {wanted} there, or leave it out if it is optional.")


def _length(found: re.Match[str], field: str, here: str) -> Amiss:
    number = int(found[3])
    one, many = _LENGTHS.get(_kinds(found[1]), ("element", "elements"))
    wanted = f"{_WORDS[found[2]]} {number:,} {one if number == 1 else many}"
    return Amiss(field, f"{here} must have {wanted}", f"Send {wanted}.")


def _pattern(found: re.Match[str], field: str, here: str) -> Amiss:
    if _NAMES in found[1]:
        told = f"{here} has a character that names may not have, or is too long"
        return Amiss(field, told, "Use 1 to 128 of A-Z a-z 0-9 . _ : / @ -")
    return Amiss(field, f"{here} is not written as it must be", _SCHEMA)


def _bound(found: re.Match[str], field: str, here: str) -> Amiss:
    wanted = f"{_WORDS[found[2]]} {_plain(found[3])}"
    return Amiss(field, f"{here} must be {wanted}", f"Send a number that is {wanted}.")


_RULES: tuple[tuple[re.Pattern[str], Callable[[re.Match[str], str, str], Amiss]], ...] = (
    (re.compile(r"Object missing required field `(\w+)`"), _missing),
    (re.compile(r"Object contains unknown field `(.*?)`", re.DOTALL), _unknown),
    (re.compile(r"datetime"), _time),
    (re.compile(r"Expected `([^`]+)`, got `(\w+)`"), _type),
    (re.compile(r"Expected `([^`]+)` of length (>=|<=|==) (\d+)"), _length),
    (re.compile(r"Expected `[^`]+` matching regex ('.*')", re.DOTALL), _pattern),
    (re.compile(r"Expected `([^`]+)` (>=|<=|>|<) (\S+)"), _bound),
)
"""What msgspec may say, and who puts it in words; the first that fits."""


def _choice(field: str, here: str, shape: type[msgspec.Struct] | None) -> Amiss:
    values = _values(shape, field) if shape is not None else ()
    remedy = f"Send one of {', '.join(values)}." if values else _SCHEMA
    return Amiss(field, f"{here} is none of the values that it may have", remedy)


def _values(shape: type[msgspec.Struct], field: str) -> tuple[str, ...]:
    """The values that the schema allows at a place, empty where it names none."""
    found: inspect.Type = inspect.type_info(shape)
    for name in field.strip("/").split("/"):
        kinds = found.types if isinstance(found, inspect.UnionType) else (found,)
        structs = [each for each in kinds if isinstance(each, inspect.StructType)]
        fields = [each for struct in structs for each in struct.fields if each.encode_name == name]
        if not fields:
            return ()
        found = fields[0].type
    kinds = found.types if isinstance(found, inspect.UnionType) else (found,)
    literals = [each for each in kinds if isinstance(each, inspect.LiteralType)]
    return tuple(str(value) for each in literals for value in each.values)


def _kinds(names: str) -> str:
    """Types as msgspec joins them, in words; null goes without saying: the field is optional."""
    told = [_KINDS.get(name, name) for name in names.split(" | ") if name != "null"]
    return " or ".join(told) or "null"


def _plain(number: str) -> str:
    """A bound as people write it."""
    try:
        value = float(number)
    except ValueError:
        return number
    return f"{value:,.0f}" if value.is_integer() else number
