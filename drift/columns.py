"""Bodies of PredictionLogged become columns of arrays, read in one streaming pass.

Decides what a row contributes to each column of a policy: a value, nothing (null or absent), or
something of the wrong type, which is counted and never stops the reading. Hides the decoding:
a structure with just the policy's fields is built once and whole batches are decoded through it;
only a batch that does not fit it is read again row by row, leniently.
"""

import hashlib
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from operator import attrgetter
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

from drift.policy import Policy

MISSING: Final = -1
WRONG: Final = -2
BATCH: Final = 2_048
MAX_CATEGORIES: Final = 10_000
"""Distinct values a column may hold; what comes after them is pooled as OVERFLOW."""
OVERFLOW: Final = "(more values)"
LARGEST: Final = 1e150
"""Beyond this a square overflows and no statistic holds: such a number counts as wrong."""
_LONGEST: Final = 256
_wrong = object()


@dataclass(frozen=True, slots=True)
class Numeric:
    """One value per row: finite, NaN where there was none, infinite where it was no number."""

    values: NDArray[np.float64]

    @property
    def wrong(self) -> int:
        return int(np.count_nonzero(np.isinf(self.values)))

    @property
    def missing(self) -> int:
        return int(np.count_nonzero(np.isnan(self.values)))

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Numeric":
        return Numeric(self.values[chosen])


@dataclass(frozen=True, slots=True)
class Categorical:
    """One code per row: an index into `categories`, or MISSING, or WRONG."""

    codes: NDArray[np.int32]
    categories: tuple[str, ...]

    @property
    def wrong(self) -> int:
        return int(np.count_nonzero(self.codes == WRONG))

    @property
    def missing(self) -> int:
        return int(np.count_nonzero(self.codes == MISSING))

    def rows(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> "Categorical":
        return Categorical(self.codes[chosen], self.categories)


Column = Numeric | Categorical


@dataclass(frozen=True, slots=True)
class Columns:
    """The rows of one window: plain arrays without keys or connections, picklable.

    `columns` has one entry per column of the policy, by its name; `segments` one per segment
    path of the policy, by that path joined with dots. All have `count` rows in the same order.
    """

    count: int
    columns: Mapping[str, Column]
    segments: Mapping[str, Categorical]

    def rows(self, chosen: NDArray[np.bool_]) -> "Columns":
        """The chosen rows alone, without segments."""
        columns = {name: column.rows(chosen) for name, column in self.columns.items()}
        return Columns(int(np.count_nonzero(chosen)), columns, {})


def read(policy: Policy, bodies: Iterable[bytes]) -> Columns:
    """The columns of `policy` in these bodies; empty bodies (erased) are left out.

    Holds one batch of bodies beside eight bytes (numeric) or four (categorical) per value.
    """
    segments = [".".join(path) for path in policy.segments]
    paths = [rule.path for rule in policy.columns] + list(policy.segments)
    makers: list[_Numbers | _Codes] = [
        _Numbers() if rule.kind == "numeric" else _Codes() for rule in policy.columns
    ]
    makers += [_Codes() for _ in segments]
    shape = _Shape(paths, [type(maker) is _Numbers for maker in makers])
    count = 0
    for batch in _batches(bodies):
        count += len(batch)
        for maker, values in zip(makers, shape.decode(batch), strict=True):
            maker.add(values)
    made = [maker.column() for maker in makers]
    names = [rule.name for rule in policy.columns]
    return Columns(
        count,
        dict(zip(names, made, strict=False)),
        {
            name: column
            for name, column in zip(segments, made[len(names) :], strict=True)
            if isinstance(column, Categorical)
        },
    )


def _batches(bodies: Iterable[bytes]) -> Iterator[list[bytes]]:
    full = iter(body for body in bodies if body)
    while batch := list(islice(full, BATCH)):
        yield batch


class _Shape:
    """Decodes batches of bodies into one list of values per path."""

    def __init__(self, paths: list[tuple[str, ...]], numeric: list[bool]) -> None:
        self._paths = paths
        self._numeric = numeric
        self._lenient = msgspec.json.Decoder()
        self._strict: msgspec.json.Decoder[list[Any]] | None = None
        self._getters: list[attrgetter[Any]] = []
        tree: dict[str, Any] = {}
        for path, number in zip(paths, numeric, strict=True):
            branch = tree
            for part in path[:-1]:
                branch = branch.setdefault(part, {})
                if not isinstance(branch, dict):
                    return  # one path leads through the value of another: lenient reading only
            if path[-1] in branch:
                return  # the same value twice, as different kinds perhaps: lenient reading only
            branch[path[-1]] = float if number else str | int
        kind, places = _structure(tree)
        self._strict = msgspec.json.Decoder(list[kind])  # type: ignore[valid-type]  # built just now
        self._getters = [attrgetter(places[path]) for path in paths]

    def decode(self, batch: list[bytes]) -> list[list[Any]]:
        if self._strict is not None:
            try:
                rows = self._strict.decode(b"[" + b",".join(batch) + b"]")
            except msgspec.MsgspecError:
                pass
            else:
                return [list(map(get, rows)) for get in self._getters]
        trees = [self._tree(body) for body in batch]
        return [
            [_dig(tree, path, number) for tree in trees]
            for path, number in zip(self._paths, self._numeric, strict=True)
        ]

    def _tree(self, body: bytes) -> object:
        try:
            return self._lenient.decode(body)
        except (msgspec.MsgspecError, RecursionError):
            return _wrong


def _structure(tree: dict[str, Any]) -> tuple[type[Struct], dict[tuple[str, ...], str]]:
    """A struct type that reads just this tree, and the attribute that holds each leaf."""
    fields: list[tuple[str, Any, Any]] = []
    places: dict[tuple[str, ...], str] = {}
    names: dict[str, str] = {}
    for position, (key, below) in enumerate(tree.items()):
        attribute = f"f{position}"
        names[attribute] = key
        if isinstance(below, dict):
            kind, deeper = _structure(below)
            fields.append((attribute, kind, msgspec.field(default_factory=kind)))
            for path, place in deeper.items():
                places[(key, *path)] = f"{attribute}.{place}"
        else:
            fields.append((attribute, below | None, None))
            places[(key,)] = attribute
    return msgspec.defstruct("Fields", fields, rename=names, gc=False), places


def _dig(tree: object, path: tuple[str, ...], number: bool) -> object:
    for part in path:
        if tree is None:
            return None
        if not isinstance(tree, dict):
            return _wrong
        tree = tree.get(part)
    if tree is None or tree is _wrong:
        return tree
    return _as_number(tree) if number else _as_category(tree)


def _as_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return _wrong
    try:
        return float(value)
    except OverflowError:
        return _wrong


def _as_category(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        # 1.0 and 1 are the same category: JSON writers disagree about which one to send.
        return int(value) if math.isfinite(value) and value.is_integer() else repr(value)
    return value if isinstance(value, str | int) else _wrong


class _Numbers:
    """Gathers a numeric column batch by batch."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.float64]] = []

    def add(self, values: list[Any]) -> None:
        try:
            part = np.array(values, dtype=np.float64)  # None becomes NaN
        except (TypeError, ValueError):
            part = np.array([math.inf if v is _wrong else v for v in values], dtype=np.float64)
        part[np.abs(part) > LARGEST] = math.inf
        self._parts.append(part)

    def column(self) -> Numeric:
        values = np.concatenate(self._parts) if self._parts else np.empty(0)
        self._parts.clear()
        return Numeric(values)


class _Codes:
    """Gathers a categorical column batch by batch, numbering its values as they come."""

    def __init__(self) -> None:
        self._parts: list[NDArray[np.int32]] = []
        self._known: dict[object, int] = {None: MISSING, _wrong: WRONG}
        self._labels: dict[str, int] = {}

    def add(self, values: list[Any]) -> None:
        for value in sorted(set(values) - self._known.keys(), key=str):
            label = _label(value)
            if label not in self._labels and len(self._labels) >= MAX_CATEGORIES:
                label = OVERFLOW
            code = self._labels.setdefault(label, len(self._labels))
            if label != OVERFLOW:
                self._known[value] = code
        known, other = self._known, self._labels.get(OVERFLOW, WRONG)
        self._parts.append(
            np.fromiter((known.get(v, other) for v in values), np.int32, count=len(values))
        )

    def column(self) -> Categorical:
        codes = np.concatenate(self._parts) if self._parts else np.empty(0, np.int32)
        self._parts.clear()
        return Categorical(codes, tuple(self._labels))


def _label(value: object) -> str:
    text = str(value)
    if len(text) <= _LONGEST:
        return text
    return f"{text[:64]}…{hashlib.sha256(text.encode(errors='replace')).hexdigest()[:16]}"
