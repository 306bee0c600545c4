"""Strict reading of a YAML declaration: every key is known, every value has its type.

Decides what a declaration file may look like at all: one document, plain mappings, no tags,
anchors or repeated keys, times kept as text. Hides PyYAML. Whatever is wrong becomes
BadDeclaration with the dotted place and the remedy; values are never repeated, for they may be
secrets.
"""

import difflib
import math
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

import msgspec
import msgspec.structs
import yaml

from audit.errors import BadDeclaration, Rejected
from audit.events import micros

MAX_BYTES: Final = 1_048_576
MAX_CHARACTERS: Final = 262_144
MAX_DEPTH: Final = 12
UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
_duration = re.compile(r"([1-9][0-9]{0,6})([smhdw])")


class _Loader(yaml.SafeLoader):
    """SafeLoader without times, anchors or repeated keys: a declaration says each thing once."""

    # Times stay text, so that a time without a zone is refused instead of guessed.
    yaml_implicit_resolvers = {  # noqa: RUF012  (PyYAML reads it from the class)
        first: [(tag, pattern) for tag, pattern in pairs if tag != "tag:yaml.org,2002:timestamp"]
        for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]  # the stubs leave it untyped
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            raise BadDeclaration("", "anchors and aliases are not read", "write the value out")
        return super().compose_node(parent, index)


def load(text: str) -> dict[str, Any]:
    """The one mapping in `text`; BadDeclaration when it is anything else."""
    if len(text) > MAX_CHARACTERS:
        raise BadDeclaration(
            "", "the file is too long", f"keep it under {MAX_CHARACTERS} characters"
        )
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is not None:
            _inspect(node, "", 0)
        found = None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = "" if mark is None else f" at line {mark.line + 1}, column {mark.column + 1}"
        raise BadDeclaration("", f"this is not YAML{place}", "correct the syntax there") from error
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        raise BadDeclaration("", "this is not YAML", "correct the syntax") from error
    except RecursionError as error:
        raise BadDeclaration("", "the file is nested too deeply", "flatten it") from error
    if not isinstance(found, dict):
        raise BadDeclaration("", "the file holds no mapping", "start it with 'kind: …'")
    return found


def read(path: Path) -> str:
    """The text of a declaration file; BadDeclaration when there is none."""
    try:
        raw = path.read_bytes()
        text = raw.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise BadDeclaration(
            "", "the file cannot be read", "give a UTF-8 file that exists"
        ) from error
    if len(raw) > MAX_BYTES:
        raise BadDeclaration("", "the file is too long", "keep it under 1 MiB")
    return text


def kind_of(text: str, kinds: Iterable[str]) -> str:
    """Which of these kinds the one mapping in `text` is."""
    return Section(load(text), "").one_of("kind", kinds)


def _inspect(node: yaml.Node, path: str, depth: int) -> None:
    if depth > MAX_DEPTH:
        raise BadDeclaration(path, "nested too deeply", "flatten it")
    if isinstance(node, yaml.SequenceNode):
        for position, child in enumerate(node.value):
            _inspect(child, f"{path}[{position}]", depth + 1)
    if not isinstance(node, yaml.MappingNode):
        return
    seen: set[str] = set()
    for key, child in node.value:
        if key.tag == "tag:yaml.org,2002:null" and key.value == "null":
            key.tag = "tag:yaml.org,2002:str"  # the fault of that name, as people write it
        if not isinstance(key, yaml.ScalarNode) or key.tag != "tag:yaml.org,2002:str":
            raise BadDeclaration(path, "a key is not text", "put it in quotes")
        if key.value in seen:
            raise BadDeclaration(_join(path, key.value), "stands there twice", "keep one of them")
        seen.add(key.value)
        _inspect(child, _join(path, key.value), depth + 1)


def _join(path: str, key: str) -> str:
    shown = key if len(key) <= 64 and key.isprintable() else f"{ascii(key[:24])[1:-1]}…"
    return f"{path}.{shown}" if path else shown


class Section:
    """One mapping of the declaration, read key by key.

    A key that is not among `known` is refused at once, with the nearest name that exists; without
    `known` the keys are free names.
    """

    __slots__ = ("_values", "path")

    def __init__(self, value: object, path: str, *known: str) -> None:
        if not isinstance(value, dict):
            raise BadDeclaration(path, "must be a mapping", "write it as {key: value}")
        self.path = path
        self._values: dict[str, Any] = value
        for key in value if known else ():
            if key not in known:
                near = difflib.get_close_matches(key[:64], known, 1)
                remedy = f"did you mean '{near[0]}'?" if near else f"known: {', '.join(known)}"
                raise BadDeclaration(self.at(key), "is not a known key", remedy)

    def at(self, key: str) -> str:
        return _join(self.path, key)

    def take(self, key: str) -> object:
        """The raw value of `key`, None where it is absent or null."""
        return self._values.get(key)

    def has(self, key: str) -> bool:
        """Whether `key` stands there, even with nothing."""
        return key in self._values

    def required(self, key: str, remedy: str) -> object:
        value = self.take(key)
        if value is None:
            raise BadDeclaration(self.at(key), "is missing", remedy)
        return value

    def section(self, key: str, *known: str) -> "Section | None":
        value = self.take(key)
        return None if value is None else Section(value, self.at(key), *known)

    def text(self, key: str, default: str | None = None) -> str | None:
        value = self.take(key)
        return default if value is None else text_of(value, self.at(key))

    def one_of(self, key: str, allowed: Iterable[str], default: str | None = None) -> str:
        """One of `allowed`; without a default the key is required."""
        names = list(allowed)
        listed = f"write one of: {', '.join(names)}"
        value = self.take(key) if default is not None else self.required(key, listed)
        if value is None and default is not None:
            return default
        if not isinstance(value, str) or value not in names:
            near = difflib.get_close_matches(str(value)[:64], names, 1)
            raise BadDeclaration(
                self.at(key),
                "is not a known value",
                f"did you mean '{near[0]}'?" if near else listed,
            )
        return value

    def number(self, key: str, low: float, high: float, default: float | None) -> float | None:
        value = self.take(key)
        return default if value is None else number_of(value, self.at(key), low, high)

    def count(self, key: str, low: int, high: int, default: int) -> int:
        value = self.take(key)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            raise BadDeclaration(
                self.at(key), "is out of range", f"write a whole number {low}…{high}"
            )
        return value

    def flag(self, key: str, default: bool) -> bool:
        value = self.take(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise BadDeclaration(self.at(key), "is not a yes or no", "write true or false")
        return value

    def duration(self, key: str, default_us: int | None) -> int | None:
        """A length of time in microseconds, written like "30d"."""
        value = self.take(key)
        return default_us if value is None else duration_of(value, self.at(key))

    def instant(self, key: str) -> int:
        """A point in time in microseconds since the epoch; required."""
        remedy = "write it like 2013-01-01T00:00:00Z"
        value = self.required(key, remedy)
        try:
            return micros(text_of(value, self.at(key)))
        except (Rejected, ValueError, OverflowError) as error:
            raise BadDeclaration(self.at(key), "is not a time with a zone", remedy) from error

    def items(self) -> Iterable[tuple[str, object]]:
        return self._values.items()


def canonical(declared: msgspec.Struct) -> bytes:
    """The one JSON form of what was declared: sorted keys, compact, defaults left out.

    So a later version that knows one more field gives an unchanged file its old digest.
    """
    return msgspec.json.encode(said(declared), order="deterministic")


def said(value: object) -> object:
    """The value as plain data, without fields that equal their default.

    Equality, not identity as with msgspec's own `omit_defaults`: 0.1 read from a file is the
    default too.
    """
    if isinstance(value, msgspec.Struct):
        fields = ((field, getattr(value, field.name)) for field in msgspec.structs.fields(value))
        return {field.name: said(held) for field, held in fields if held != _default(field)}
    return [said(item) for item in value] if isinstance(value, tuple) else value


def _default(field: msgspec.structs.FieldInfo) -> object:
    made = field.default_factory
    return field.default if made is msgspec.NODEFAULT else made()


def text_of(value: object, path: str) -> str:
    if not isinstance(value, str):
        raise BadDeclaration(path, "is not text", "put it in quotes")
    if not value or len(value) > 512 or not value.isprintable():
        raise BadDeclaration(path, "is empty, too long or unprintable", "write 1…512 characters")
    return value


def number_of(value: object, path: str, low: float, high: float) -> float:
    wanted = f"write a number {low:g}…{high:g}, without an exponent"
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise BadDeclaration(path, "is not a number", wanted)
    if not low <= value <= high or math.isnan(value):
        raise BadDeclaration(path, "is out of range", wanted)
    return float(value)


def duration_of(value: object, path: str) -> int:
    match = _duration.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise BadDeclaration(path, "is not a length of time", 'write it like "6h" or "30d"')
    return int(match[1]) * UNITS[match[2]] * 1_000_000
