"""Arrow columns → about how many bytes of JSON each row would be, before any of it is made.

Decides nothing; `collector.files.rows` does. A few bytes of a Parquet file may mean gigabytes: one
long text that a thousand rows repeat stands there once, and is a thousand only as JSON. So lengths
are counted where values still stand once. Escapes are not counted: a text may be six times longer.
"""

from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Lengths = npt.NDArray[np.int64]
_PLAIN: Final = 24
"""Of a number, a truth, a time or what is missing, with its comma."""


def lengths(batch: pa.RecordBatch) -> Lengths:
    """Return the bytes of each row of a batch."""
    found = np.full(batch.num_rows, 2, np.int64)
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        found += _of(column) + len(name.encode()) + 4
    return found


def _of(array: Any) -> Lengths:
    kind = array.type
    found: Lengths
    if isinstance(kind, pa.BaseExtensionType):
        return _of(array.storage)
    if pa.types.is_dictionary(kind):
        found = _repeated(array)
    elif _is_bytes(kind):
        found = np.asarray(pc.fill_null(pc.binary_length(array), 0), np.int64) * 4 // 3 + 4
    elif pa.types.is_struct(kind):
        found = np.full(len(array), 2, np.int64)
        for at, each in enumerate(array.flatten()):
            found += _of(each) + len(kind.field(at).name.encode()) + 4
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind):
        found = _listed(array)
    elif pa.types.is_fixed_size_list(kind):
        each = _of(array.values.slice(array.offset * kind.list_size, len(array) * kind.list_size))
        found = each.reshape(len(array), kind.list_size).sum(axis=1) + 2
    elif pa.types.is_fixed_size_binary(kind) or pa.types.is_decimal(kind):
        found = np.full(len(array), max(_PLAIN, kind.byte_width * 3), np.int64)
    elif pa.types.is_primitive(kind) or pa.types.is_null(kind):
        found = np.full(len(array), _PLAIN, np.int64)
    else:
        found = np.full(len(array), 4 * array.nbytes + _PLAIN, np.int64)  # any may be all of it
    return found


def _is_bytes(kind: Any) -> bool:
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_binary(kind)
        or pa.types.is_large_binary(kind)
    )


def _repeated(array: Any) -> Lengths:
    each = np.append(_of(array.dictionary), 4)  # the last is of what is missing
    found: Lengths = each[np.asarray(pc.fill_null(array.indices.cast(pa.int64()), -1))]
    return found


def _listed(array: Any) -> Lengths:
    offsets = np.asarray(array.offsets)
    first, last = (int(offsets[0]), int(offsets[-1])) if len(offsets) else (0, 0)
    if pa.types.is_map(array.type):
        inner = _of(array.keys.slice(first, last - first))
        inner = inner + _of(array.items.slice(first, last - first))
    else:
        inner = _of(array.values.slice(first, last - first))
    before = np.append(0, np.cumsum(inner))
    found: Lengths = before[offsets[1:] - first] - before[offsets[:-1] - first] + 2
    return found
