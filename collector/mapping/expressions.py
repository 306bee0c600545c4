"""An expression of a mapping: where a value comes from and what it is turned into.

Decides the language; see collector/README.md for it in use.

    path                               JMESPath on the item: the shortest way to say {path: …}
    {path: P}  {body: P}               JMESPath on the item, on the whole body
    {header: NAME}                     a header of the request
    {const: VALUE}                     always this
    {join: [E, E], with: ":"}          texts put together; nothing where one is missing
    {object: {NAME: E}}  {list: [E]}   made of others; members without a value are left out

Beside path, body, header and join may stand, applied in this order:

    values: {Closed Won: won}          this for that; anything else stays as it is
    as: text|number|integer|boolean|json
    decimal: ","                       of numbers that are written 1.234,5
    time: rfc3339|s|ms|us|ns|FORMAT    to RFC 3339 in UTC; FORMAT as strptime takes it
    zone: Europe/Berlin                of times without one
    default: VALUE                     where there is nothing
    required: true                     nothing is an error

An expression is compiled once and is then a pure function. Raises `BadDeclaration` when it is
compiled, `Invalid` when a value does not fit; neither ever repeats a value.
"""

import math
import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, cast

import jmespath  # type: ignore[import-untyped]  # publishes none
import msgspec
from jmespath.exceptions import JMESPathError  # type: ignore[import-untyped]  # the same

from audit.declared import Section, text_of
from audit.errors import BadDeclaration
from collector.adapters import times
from collector.adapters.wire import Message
from collector.errors import Invalid

SOURCES: Final = ("path", "body", "header", "const", "join", "object", "list")
_TURNS: Final = ("values", "as", "decimal", "time", "zone", "default", "required")
_UNITS: Final = ("s", "ms", "us", "ns")
_PRIVATE: Final = frozenset({"authorization", "cookie", "proxy-authorization"})
_TRUE, _FALSE = (
    frozenset({"true", "yes", "1", "y", "on"}),
    frozenset({"false", "no", "0", "n", "off"}),
)
_LONGEST: Final = 2_000
_whole = re.compile(r"[+-]?\d{1,64}")
_decode = msgspec.json.Decoder().decode


class Scope(NamedTuple):
    """What an expression may look at."""

    item: Any
    body: Callable[[], Any]
    message: Message


Expression = Callable[[Scope], Any]


def compiled(value: object, place: str) -> Expression:
    """Return the expression that `value` of a declaration is; raises `BadDeclaration`."""
    if isinstance(value, str):
        return _path(value, place, whole=False)
    found = Section(value, place, *SOURCES, "with", *_TURNS)
    named = [name for name in SOURCES if found.has(name)]
    if len(named) != 1:
        raise BadDeclaration(
            place, "says not exactly one source", f"write one of {', '.join(SOURCES)}"
        )
    source = _source(found, named[0], place)
    if not any(found.has(name) for name in _TURNS):
        return source
    return _turned(source, found)


def _source(found: Section, name: str, place: str) -> Expression:
    value, at = found.take(name), found.at(name)
    match name:
        case "const":
            return lambda _: value
        case "header":
            return _header(text_of(value, at).lower(), at)
        case "join":
            parts = [compiled(each, f"{at}[{n}]") for n, each in enumerate(_listed(value, at))]
            return _joined(parts, found.text("with", "") or "")
        case "list":
            parts = [compiled(each, f"{at}[{n}]") for n, each in enumerate(_listed(value, at))]
            return lambda scope: [each(scope) for each in parts]
        case "object":
            members = {
                key: compiled(each, f"{at}.{key}") for key, each in Section(value, at).items()
            }
            return lambda scope: {
                key: made for key, each in members.items() if (made := each(scope)) is not None
            }
        case _:
            if not isinstance(value, str):
                raise BadDeclaration(at, "is not text", "put it in quotes")
            return _path(value, at, whole=name == "body")


def _path(text: str, place: str, *, whole: bool) -> Expression:
    if len(text) > _LONGEST:
        raise BadDeclaration(place, "is too long", "split it")
    try:
        search = jmespath.compile(text).search
    except JMESPathError:
        raise BadDeclaration(
            place, "is no JMESPath", "write member.member, or quote names with other characters"
        ) from None

    def find(scope: Scope) -> Any:
        try:
            return search(scope.body() if whole else scope.item)
        except (JMESPathError, RecursionError):
            raise _unfit(place, "the path does not fit what is there") from None

    return find


def _header(name: str, place: str) -> Expression:
    if name in _PRIVATE:
        raise BadDeclaration(place, "holds a credential", "take another header")
    return lambda scope: scope.message.header(name)


def _joined(parts: list[Expression], between: str) -> Expression:
    def join(scope: Scope) -> str | None:
        texts = [_text(part(scope)) for part in parts]
        return None if None in texts else between.join(cast(list[str], texts))

    return join


def _turned(source: Expression, found: Section) -> Expression:
    place = found.path
    values = {} if (named := found.section("values")) is None else dict(named.items())
    to = _converter(found)
    default, required = found.take("default"), found.flag("required", default=False)

    def turn(scope: Scope) -> Any:
        value = source(scope)
        if values and isinstance(value, str | int | float | bool):
            value = values.get(_text(value) or "", value)
        if value is not None and value != "" and to is not None:
            value = to(value)
        if value is None or value == "":
            value = default
        if value is None and required:
            raise _unfit(place, "a value that is required is missing")
        return value

    return turn


def _converter(found: Section) -> Callable[[Any], Any] | None:
    place = found.path
    if found.has("time"):
        return _time(
            text_of(found.take("time"), found.at("time")), found.text("zone", "") or "", place
        )
    if not found.has("as"):
        return None
    convert = _CONVERTERS[found.one_of("as", _CONVERTERS)]
    if found.one_of("decimal", (".", ","), ".") == ",":
        return lambda value: convert(_pointed(value), place)
    return lambda value: convert(value, place)


def _pointed(value: Any) -> Any:
    """A number that was written with a decimal comma, as others write it."""
    return value.replace(".", "").replace(",", ".") if isinstance(value, str) else value


def _time(format: str, zone: str, place: str) -> Callable[[Any], str]:
    if zone:
        try:
            times.zone_of(zone)
        except Invalid as error:
            raise BadDeclaration(place, "names no zone", error.remedy) from None
    if "%" not in format and format != "rfc3339" and format not in _UNITS:
        raise BadDeclaration(
            f"{place}.time", "is no format", f"write rfc3339, {', '.join(_UNITS)}, or %Y-%m-%d …"
        )

    def read(value: Any) -> str:
        if "%" not in format:
            unit = cast(times.Unit, format) if format in _UNITS else "ms"
            return times.of_value(value, zone, unit).rfc3339
        try:
            moment = datetime.strptime(value, format)  # noqa: DTZ007 - its zone is below
        except (TypeError, ValueError):
            raise _unfit(place, "a time is not in the declared format") from None
        if moment.tzinfo is None:
            return times.of_text(moment.isoformat(), zone).rfc3339
        return times.of_text(moment.isoformat()).rfc3339

    return read


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int | float):
        return str(value)
    return None


def _required_text(value: Any, place: str) -> str:
    text = _text(value)
    if text is None:
        raise _unfit(place, "a value is no text")
    return text


def _number(value: Any, place: str) -> float:
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise _unfit(place, "a value is no number")
    try:
        number = float(value) if isinstance(value, str) else value
    except (ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise _unfit(place, "a value is no number")
    return number


def _integer(value: Any, place: str) -> int:
    number = int(value) if isinstance(value, str) and _whole.fullmatch(value) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise _unfit(place, "a value is no whole number")
    if isinstance(number, float) and not number.is_integer():  # nor is infinity, nor NaN
        raise _unfit(place, "a value is no whole number")
    return int(number)


def _boolean(value: Any, place: str) -> bool:
    text = (_text(value) or "").casefold()
    if text not in _TRUE | _FALSE:
        raise _unfit(place, "a value is neither true nor false")
    return text in _TRUE


def _json(value: Any, place: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return _decode(value)
    except (msgspec.DecodeError, UnicodeError, ValueError, RecursionError):
        raise _unfit(place, "a text is no JSON") from None


_CONVERTERS: Final[Mapping[str, Callable[[Any, str], Any]]] = {
    "text": _required_text,
    "number": _number,
    "integer": _integer,
    "boolean": _boolean,
    "json": _json,
}


def _listed(value: object, place: str) -> list[object]:
    if not isinstance(value, list):
        raise BadDeclaration(place, "must be a list", "write [a, b]")
    return value


def _unfit(place: str, what: str) -> Invalid:
    return Invalid(
        f"{what} ({place})",
        field=f"/{place.replace('.', '/')}",
        remedy="Compare the body with the mapping: `modelwitness mapping try`.",
    )


def plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return nested members from dotted names: {"model.name": x} is {"model": {"name": x}}."""
    whole: dict[str, Any] = {}
    for name, value in values.items():
        *path, last = name.split(".")
        inner = whole
        for part in path:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return whole
