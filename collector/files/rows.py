"""A file → its rows as JSON objects, in batches, from any row on.

Decides how rows are told in JSON lines, CSV and Parquet, plain or gzip, and how much of a file
from a stranger is believed: a line, a row group, a number of columns have limits, and what a
Parquet file claims of itself is looked at before it is read. Columns with dotted names are nested
members (`model.name`). A last line without its end is left alone until the file is final.

A row that is none (a line that is no JSON is for its adapter to refuse) never ends the file; a file
that is none raises `Unreadable`.
"""

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from collector.errors import Malformed
from collector.files import columns
from collector.files.lengths import lengths
from collector.mapping.expressions import plain

BATCH_ROWS: Final = 1_000
BATCH_BYTES: Final = 4 * 1024 * 1024
LONGEST_LINE: Final = 1024 * 1024
LONGEST_ROW: Final = LONGEST_LINE
LONGEST_FIXED: Final = 1024
TOO_LONG: Final = b""
"""Stands for a row longer than `LONGEST_ROW`, which is refused and not kept."""
MOST_COLUMNS: Final = 2_000
LARGEST_GROUP: Final = 1024 * 1024 * 1024
"""Bytes of a row group before compression, as its file claims."""
_encode = msgspec.json.Encoder(enc_hook=str).encode


class Unreadable(Malformed):
    """The file is not what its name says, or is beyond the limits."""


class Batch(NamedTuple):
    """Rows, the number of the first, and where the next one begins (bytes, plain lines only)."""

    first: int
    rows: list[bytes]
    position: int


def format_of(path: str, declared: str) -> tuple[str, bool]:
    """Return format and whether the file is gzip; raises `Unreadable`."""
    name = path.lower()
    packed = name.endswith(".gz")
    if declared:
        return declared, packed
    name = name.removesuffix(".gz")
    for format, endings in (
        ("jsonl", (".jsonl", ".ndjson", ".json", ".log")),
        ("csv", (".csv",)),
        ("parquet", (".parquet", ".pq")),
    ):
        if name.endswith(endings):
            return format, packed
    raise Unreadable("the ending says no format", remedy="Declare format: jsonl, csv or parquet.")


def batches(
    file: BinaryIO,
    format: str,
    packed: bool,
    *,
    row: int,
    position: int,
    final: bool,
    numbered: bool = False,
) -> Iterator[Batch]:
    """Yield what follows the first `row` rows; raises `Unreadable`.

    `position` is where that row begins, if `file` is plain JSON lines; `final` says that the file
    will not grow; `numbered` rows of CSV and Parquet have their number as member `@row`.
    """
    try:
        if format == "parquet":
            yield from _parquet(file, row, numbered)
        elif packed:
            with gzip.GzipFile(fileobj=file) as unpacked:
                plain_file = io.BufferedReader(unpacked)
                yield from _text(plain_file, format, row, 0, final, numbered)
        else:
            if format == "jsonl":
                file.seek(position)
            yield from _text(file, format, row, position, final, numbered)
    except (EOFError, zlib.error, gzip.BadGzipFile):
        if final:
            raise Unreadable(
                "the gzip file is cut off or damaged", remedy="Write it anew."
            ) from None
    except (pa.ArrowException, UnicodeDecodeError, csv.Error, OSError) as error:
        raise Unreadable(
            f"the file is no readable {format}: {type(error).__name__}", remedy="Write it anew."
        ) from None


def _text(
    file: "BinaryIO | io.BufferedReader",
    format: str,
    row: int,
    position: int,
    final: bool,
    numbered: bool,
) -> Iterator[Batch]:
    if format == "csv":
        return _gathered(_csv(file, final, numbered), row, skip=row)
    return _gathered(_lines(file, position, final), row, skip=0 if position else row)


def _gathered(rows: Iterator[tuple[bytes, int]], row: int, *, skip: int) -> Iterator[Batch]:
    gathered: list[bytes] = []
    size = end = 0
    for at, (raw, position) in enumerate(rows):
        if at < skip:
            continue
        gathered.append(_bounded(raw))
        size, end = size + len(gathered[-1]), position
        if len(gathered) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield Batch(row, gathered, end)
            row, gathered, size = row + len(gathered), [], 0
    if gathered:
        yield Batch(row, gathered, end)


def _lines(
    file: "BinaryIO | io.BufferedReader", position: int, final: bool
) -> Iterator[tuple[bytes, int]]:
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise Unreadable(
                f"a line is longer than {LONGEST_LINE} bytes", remedy="Write one event a line."
            )
        position += len(line)
        if not line.endswith(b"\n") and not final:
            return
        if line.strip():
            yield line.strip(b"\r\n"), position


def _csv(
    file: "BinaryIO | io.BufferedReader", final: bool, numbered: bool
) -> Iterator[tuple[bytes, int]]:
    whole = _whole_lines(file, final)
    rows = csv.reader(
        (line.decode("utf-8-sig" if at == 0 else "utf-8") for at, line in whole), strict=True
    )
    names = next(rows, [])
    if not names:
        return
    if len(set(names)) != len(names) or len(names) > MOST_COLUMNS:
        raise Unreadable("the header names a column twice, or too many", remedy="Name each once.")
    full = (row for row in rows if row)
    for number, row in enumerate(full):
        yield _row(dict(zip(names, row, strict=False)), number if numbered else None), 0


def _whole_lines(file: "BinaryIO | io.BufferedReader", final: bool) -> Iterator[tuple[int, bytes]]:
    at = 0
    while line := file.readline(LONGEST_LINE + 1):
        if len(line) > LONGEST_LINE:
            raise Unreadable(
                f"a line is longer than {LONGEST_LINE} bytes", remedy="Write one row a line."
            )
        if not line.endswith(b"\n") and not final:
            return
        yield at, line
        at += 1


def _parquet(file: BinaryIO, row: int, numbered: bool) -> Iterator[Batch]:
    found = pq.ParquetFile(file, thrift_string_size_limit=16 * 1024 * 1024)
    about, once = found.metadata, _once(found.schema)
    if about.num_columns > MOST_COLUMNS:
        raise Unreadable(
            f"the file has more than {MOST_COLUMNS} columns", remedy="Write fewer columns."
        )
    found = pq.ParquetFile(file, metadata=about, read_dictionary=once)
    groups: list[int] = []
    before = 0
    for number in range(about.num_row_groups):
        group = about.row_group(number)
        if group.total_byte_size > LARGEST_GROUP:
            raise Unreadable("a row group is too large", remedy="Write smaller row groups.")
        if groups or before + group.num_rows > row:
            groups.append(number)
        else:
            before += group.num_rows
    for batch in found.iter_batches(batch_size=BATCH_ROWS, row_groups=groups):
        after = before + batch.num_rows
        if after > row:
            kept = batch.slice(max(0, row - before))
            first = after - kept.num_rows
            if numbered:
                numbers = pa.array(range(first, after))
                kept = kept.add_column(0, "@row", numbers)
            yield from _pieces(kept, first)
        before = after


def _once(schema: Any) -> list[str]:
    """Columns that are read with each of their values once, however often rows repeat it."""
    found = []
    for column in (schema.column(at) for at in range(len(schema))):
        if column.physical_type == "FIXED_LEN_BYTE_ARRAY" and column.length > LONGEST_FIXED:
            raise Unreadable("values of a column are too long", remedy="Write shorter values.")
        if column.physical_type == "BYTE_ARRAY" and column.logical_type.type != "DECIMAL":
            found.append(column.path)
    return found


def _pieces(batch: pa.RecordBatch, first: int) -> Iterator[Batch]:
    """A batch in pieces of `BATCH_BYTES`; a row that is too long is never made."""
    start, size, sizes = 0, 0, lengths(batch).tolist()
    for at, length in enumerate(sizes):
        alone = length > LONGEST_ROW
        if at > start and (alone or size + length > BATCH_BYTES):
            yield Batch(first + start, _short(batch.slice(start, at - start)), 0)
            start, size = at, 0
        if alone:
            yield Batch(first + at, [TOO_LONG], 0)
            start = at + 1
        else:
            size += length
    if start < batch.num_rows:
        yield Batch(first + start, _short(batch.slice(start)), 0)


def _short(batch: pa.RecordBatch) -> list[bytes]:
    return [_bounded(row) for row in columns.rows(batch)]


def _bounded(row: bytes) -> bytes:
    return row if len(row) <= LONGEST_ROW else TOO_LONG


def _row(fields: dict[str, Any], number: int | None) -> bytes:
    if any("." in name for name in fields):
        fields = plain({name: value for name, value in fields.items() if value is not None})
    return _encode(fields if number is None else {"@row": number, **fields})
