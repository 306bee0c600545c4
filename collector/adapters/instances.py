"""One side of a call of a model → its instances, one for each prediction that was made.

Decides which bodies hold several instances and how they are told apart:

    V1           {"instances": […]}                       {"predictions": […]}
    V2, OIP      {"inputs": [{name, shape, datatype, data}]}   {"outputs": […]}: the first dimension
    Seldon       {"data": {"names", "ndarray" | "tensor"}}, jsonData, strData
    pandas       {"dataframe_split" | "dataframe_records" | "input_data": …}, {"data": [[…]]}
    lines        CSV, JSON lines; a bare JSON array

A body that is none of these is one instance. Where the rows of request and response do not agree
in number nothing is guessed: the call is one prediction with both bodies whole.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import chain
from math import prod
from typing import Any

from collector.adapters.bodies import Lines
from collector.errors import Invalid

MOST_ROWS = 10_000
"""A call with more instances is kept whole."""
_MOST_POSITIONS = 1_000
"""A longer list stays a list: a picture is no row of features."""
_MOST_NAMES = 32 * 1024 * 1024
"""Bytes that column names may take when they are repeated in every row."""


@dataclass(frozen=True, slots=True)
class Part:
    """A request or a response.

    `rows` is None where the body is one instance, or too many (`cut`); they count without the
    other side's consent only if `certain`. `names` are of the columns of each row. `error` is what
    the server reported instead of a result.
    """

    whole: Any
    rows: list[Any] | None = None
    certain: bool = True
    cut: bool = False
    names: tuple[str, ...] = ()
    tensor: str = ""
    id: str = ""
    model: str = ""
    version: str = ""
    meta: dict[str, Any] | None = None
    error: Any = None


def part_of(value: Any) -> Part:
    """The instances in what `bodies.value_of` read."""
    part = _part(value)
    if part.rows is None:
        return part
    repeated = len(part.rows) * (sum(map(len, part.names)) + len(part.tensor))
    if not part.rows or len(part.rows) > MOST_ROWS or repeated > _MOST_NAMES:
        return replace(part, rows=None, cut=bool(part.rows))
    return part


def paired(request: Part | None, response: Part | None) -> list[tuple[Any, Any]] | None:
    """The instances of both sides, together; None where they are to be kept whole."""
    if request is None or response is None:
        alone = request or response
        if alone is None or alone.rows is None or not alone.certain:
            return None
        return [(row, None) if response is None else (None, row) for row in alone.rows]
    one, two = request.rows, response.rows
    if one is not None and two is not None and len(one) == len(two):
        return list(zip(one, two, strict=True))
    if one is not None and two is None and len(one) == 1:
        return [(one[0], response.whole)]
    if one is None and two is not None and len(two) == 1:
        return [(request.whole, two[0])]
    return None


def inputs_of(row: Any, part: Part, features: tuple[str, ...]) -> dict[str, Any]:
    """One instance as named inputs: by the body's names, the declared `features`, or by position.

    Raises `Invalid` where there are not as many values as declared features.
    """
    if isinstance(row, dict):
        return row
    if not isinstance(row, list) or len(row) > _MOST_POSITIONS or not _flat(row):
        return {part.tensor or "instance": row}
    if _fits(part.names, row):
        return dict(zip(part.names, row, strict=True))
    if not features:
        return {str(position): each for position, each in enumerate(row)}
    if not _fits(features, row):
        raise Invalid(
            f"an instance has {len(row)} values, and {len(set(features))} features are declared",
            field="/inputs",
            remedy="Correct `options: {features: …}` of the integration.",
        )
    return dict(zip(features, row, strict=True))


def output_of(row: Any, part: Part) -> Any:
    """One result: named where the body names it, a single value by itself."""
    if not isinstance(row, list) or not _flat(row):
        return row
    if _fits(part.names, row):
        return dict(zip(part.names, row, strict=True))
    return row[0] if len(row) == 1 else row


def binary_tensor(value: Any) -> bool:
    """Whether a V2 body says that the data of a tensor follows it in binary form."""
    sides = [value.get(key) for key in ("inputs", "outputs")] if isinstance(value, dict) else []
    tensors = chain.from_iterable(each for each in sides if isinstance(each, list))
    return any(
        isinstance(each, dict)
        and isinstance(each.get("parameters"), dict)
        and "binary_data_size" in each["parameters"]
        for each in tensors
    )


def _part(value: Any) -> Part:
    if isinstance(value, Lines):
        return Part({"rows": list(value)}, list(value))
    if isinstance(value, list):
        return Part(value, value, certain=any(isinstance(each, dict | list) for each in value))
    return _of_members(value) if isinstance(value, dict) else Part(value)


def _of_members(value: dict[str, Any]) -> Part:
    for key in ("inputs", "outputs"):
        tensors = value.get(key)
        if isinstance(tensors, list) and tensors and all(map(_is_tensor, tensors)):
            return _of_tensors(value, tensors)
    for key in ("instances", "predictions", "dataframe_records", "inputs", "outputs"):
        if isinstance(rows := value.get(key), list):
            return Part(value, rows, certain=key not in {"inputs", "outputs"})
    for key in ("dataframe_split", "input_data"):
        if (found := _of_frame(value, value.get(key))) is not None:
            return found
    if any(key in value for key in ("data", "jsonData", "strData", "binData")):
        return _of_seldon(value)
    error = value.get("error")
    return Part(value, error=error if isinstance(error, str) and len(value) <= 2 else None)


def _of_frame(value: dict[str, Any], frame: Any) -> Part | None:
    """pandas in orientation split, or its rows alone."""
    if isinstance(frame, dict) and isinstance(rows := frame.get("data"), list):
        return Part(value, rows, names=_names(frame.get("columns")))
    return Part(value, frame) if isinstance(frame, list) else None


def _of_seldon(value: dict[str, Any]) -> Part:
    """A message of Seldon's first protocol, or the {"data": […]} of a scoring script."""
    known = value.get("meta")
    meta = known if isinstance(known, dict) else {}
    puid = _text(meta.get("puid"))
    part = Part(value, id=puid, meta=meta or None)
    content = value.get("data")
    if isinstance(content, list):
        return replace(part, rows=content)
    if isinstance(content, dict):
        names, rows = _names(content.get("names")), content.get("ndarray")
        tensor = content.get("tensor")
        if isinstance(tensor, dict):
            rows = _reshaped(tensor.get("values"), tensor.get("shape"))
        if isinstance(rows, list):
            # One flat list is one instance: rows are lists inside a list.
            certain = all(isinstance(each, list) for each in rows)
            return replace(part, rows=rows if certain else [rows], names=names)
        return part
    if isinstance(plain := value.get("jsonData"), dict):
        return replace(part, whole=plain)
    return replace(part, whole={key: each for key, each in value.items() if key != "meta"})


def _is_tensor(each: Any) -> bool:
    return isinstance(each, dict) and "name" in each and ("shape" in each or "datatype" in each)


def _of_tensors(value: dict[str, Any], tensors: list[Any]) -> Part:
    part = Part(
        value,
        id=_text(value.get("id")),
        model=_text(value.get("model_name")),
        version=_text(value.get("model_version")),
    )
    names = tuple(_text(each["name"]) for each in tensors)
    columns = [_reshaped(each.get("data"), each.get("shape")) for each in tensors]
    first = columns[0]
    if first is None or len(set(names)) != len(names):
        return part
    if len(first) > MOST_ROWS or len(first) * sum(map(len, names)) > _MOST_NAMES:
        return part
    if any(each is None or len(each) != len(first) for each in columns):
        return part
    # A vector may be one instance or many: that is known once the other side agrees.
    certain = all(len(each["shape"]) > 1 for each in tensors)
    if len(columns) == 1:
        return replace(part, rows=first, certain=certain, tensor=names[0])
    known = [each for each in columns if each is not None]
    rows = [
        {name: _single(column[at]) for name, column in zip(names, known, strict=True)}
        for at in range(len(first))
    ]
    return replace(part, rows=rows, certain=certain)


def _single(value: Any) -> Any:
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _reshaped(values: Any, shape: Any) -> list[Any] | None:
    """A tensor as nested lists, of which the outermost holds the rows; None if that cannot be."""
    if not isinstance(values, list) or not isinstance(shape, list) or not 0 < len(shape) <= 16:
        return None
    if not all(isinstance(each, int) and each > 0 for each in shape):
        return None
    rows: list[Any] = values
    if rows and isinstance(rows[0], list):  # already nested
        return rows if len(rows) == shape[0] else None
    if prod(shape) != len(rows):
        return None
    for size in reversed(shape[1:]):
        rows = list(_chunks(rows, size))
    return rows


def _chunks(values: list[Any], size: int) -> Iterator[list[Any]]:
    return (values[at : at + size] for at in range(0, len(values), size))


def _fits(names: tuple[str, ...], row: list[Any]) -> bool:
    return 0 < len(names) == len(row) == len(set(names))


def _flat(row: list[Any]) -> bool:
    return not any(isinstance(each, list | dict) for each in row)


def _names(value: Any) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) and _flat(value) else ()


def _text(value: Any) -> str:
    """Text or a whole number as text; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    return str(value)
