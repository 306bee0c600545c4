"""Arrow columns → rows as JSON objects, without an object of Python for each of them.

Decides what a value becomes: numbers, truths and texts as they are, lists and structs as lists and
objects, times with a zone as RFC 3339 in UTC; anything else as Arrow itself would say it. Columns
with dotted names are members of objects. A missing value (and a number that is none) is null
inside `inputs`, where null says something; elsewhere the member is left out, and so is an object
without any.

Hides how: each column becomes the JSON of its values at once, and a row is put together from
those. What is made for a row is one tuple and one text, which spares the garbage collector.
"""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

_INPUTS: Final = "inputs"
_NULL: Final = b"null"
_NOTHING: Final = b""
"""Of an object: none of its members is there."""
Tree = dict[str, "Tree | int"]
_encoder = msgspec.json.Encoder(enc_hook=str)


def rows(batch: pa.RecordBatch) -> list[bytes]:
    """Return the rows of a batch."""
    if not batch.num_columns:
        return [b"{}"] * batch.num_rows
    columns = [texts(column) for column in batch.columns]
    return [each or b"{}" for each in _objects(_tree(batch.schema.names), columns, "")]


def texts(array: Any) -> list[bytes]:
    """Return the values of an Arrow array as JSON."""
    kind = array.type
    found: list[bytes]
    if pa.types.is_dictionary(kind):
        values = [*texts(array.dictionary), _NULL]  # a text that rows repeat is there once
        found = [values[at] for at in array.indices.cast(pa.int64()).fill_null(-1).to_pylist()]
    elif pa.types.is_struct(kind) and kind.num_fields:
        found = _structs(array)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        found = _lists(array)
    elif pa.types.is_timestamp(kind) and kind.tz is not None:
        utc: Any = array.cast(pa.timestamp("us", "UTC"))
        found = texts(pc.strftime(utc, format="%Y-%m-%dT%H:%M:%SZ"))
    elif pa.types.is_string(kind) or pa.types.is_large_string(kind):
        found = _each(array.to_numpy(zero_copy_only=False).tolist())
    elif pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        found = _numbers(array)
    else:
        found = _each(array.to_pylist())
    return found


def _each(values: list[Any]) -> list[bytes]:
    """The JSON of each value; a line break inside of one would be escaped."""
    return _encoder.encode_lines(values).split(b"\n")[:-1]


def _numbers(array: Any) -> list[bytes]:
    missing: Any = False if pa.types.is_boolean(array.type) else 0
    filled = array.fill_null(missing) if array.null_count else array
    return _masked(_each(filled.to_numpy(zero_copy_only=False).tolist()), array)


def _structs(array: Any) -> list[bytes]:
    names = [array.type.field(at).name for at in range(array.type.num_fields)]
    form = b"{" + b",".join(_key(name) + b"%b" for name in names) + b"}"
    members = [texts(each) for each in array.flatten()]
    return _masked([form % each for each in zip(*members, strict=True)], array)


def _lists(array: Any) -> list[bytes]:
    offsets = array.offsets.to_numpy().tolist()
    first = offsets[0] if offsets else 0
    inner = texts(array.values.slice(first, (offsets[-1] if offsets else 0) - first))
    found = [
        b"[" + b",".join(inner[start - first : end - first]) + b"]"
        for start, end in pairwise(offsets)
    ]
    return _masked(found, array)


def _masked(found: list[bytes], array: Any) -> list[bytes]:
    if array.null_count == 0:
        return found
    there = array.is_valid().to_numpy(zero_copy_only=False).tolist()
    return [value if ok else _NULL for value, ok in zip(found, there, strict=True)]


def _tree(names: Sequence[str]) -> Tree:
    """Return columns by the parts of their names; one that stands in another's way is not split."""
    plain = set(names)
    tree: Tree = {}
    for number, name in enumerate(names):
        parts = name.split(".")
        parents = {".".join(parts[:end]) for end in range(1, len(parts))}
        if "" in parts or parents & plain:
            tree[name] = number
            continue
        inner = tree
        for part in parts[:-1]:
            below = inner.setdefault(part, {})
            inner = cast(Tree, below)  # no column is the parent of another
        inner[parts[-1]] = number
    return tree


def _objects(tree: Tree, columns: list[list[bytes]], name: str) -> list[bytes]:
    """The JSON of each row's object at `name`, `_NOTHING` where it has no members."""
    form, members = [], []
    for key, below in tree.items():
        if isinstance(below, int):
            found, missing = columns[below], _NULL
        else:
            found = _objects(below, columns, f"{name}.{key}" if name else key)
            missing = _NOTHING
        start = b"," + _key(key)
        if missing not in found:
            form.append(start + b"%b")
        elif name == _INPUTS:
            form.append(start + b"%b")
            found = [value or _NULL for value in found]
        else:
            form.append(b"%b")
            start = start.replace(b"%%", b"%")
            found = [_NOTHING if value == missing else start + value for value in found]
        members.append(found)
    joined = b"".join(form)
    found = [(joined % each)[1:] for each in zip(*members, strict=True)]
    return [b"{%b}" % each if each else _NOTHING for each in found]


def _key(name: str) -> bytes:
    """A member's name as it stands in a form."""
    return _encoder.encode(name).replace(b"%", b"%%") + b":"
