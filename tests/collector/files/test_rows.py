"""Rows of JSON lines, CSV and Parquet come in batches, from any row on, within limits."""

import contextlib
import gzip
import io
import json
import tracemalloc
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.files import columns, rows
from collector.files.lengths import lengths
from collector.files.rows import Batch, Unreadable, batches, format_of


def read(
    raw: bytes, format: str, *, packed: bool = False, final: bool = True, **where: Any
) -> list[Batch]:
    at = {"row": 0, "position": 0, **where}
    return list(batches(io.BytesIO(raw), format, packed, final=final, **at))


def listed(found: list[Batch]) -> list[Any]:
    return [json.loads(row) for batch in found for row in batch.rows]


def parquet(table: dict[str, list[Any]], **how: Any) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink, **how)
    return sink.getvalue()


LINES = b"".join(b'{"n":%d}\n' % n for n in range(2_500))


def test_lines_come_in_batches_that_tell_where_the_next_one_begins() -> None:
    found = read(LINES, "jsonl")
    assert [(each.first, len(each.rows)) for each in found] == [
        (0, 1_000),
        (1_000, 1_000),
        (2_000, 500),
    ]
    assert found[-1].position == len(LINES)
    again = read(LINES, "jsonl", row=1_000, position=found[0].position)
    assert [each["n"] for each in listed(again)] == list(range(1_000, 2_500))
    assert again[0].first == 1_000


def test_gzip_and_csv_go_on_at_a_row() -> None:
    found = read(gzip.compress(LINES), "jsonl", packed=True, row=2_400)
    assert [each["n"] for each in listed(found)] == list(range(2_400, 2_500))
    text = b"n,model.name\r\n" + b"".join(b'%d,"a\n""b"\r\n' % n for n in range(1_500))
    found = read(text, "csv", row=1_499)
    assert listed(found) == [{"n": "1499", "model": {"name": 'a\n"b'}}]
    assert found[0].first == 1_499


def test_parquet_goes_on_at_a_row_inside_a_group() -> None:
    raw = parquet({"n": list(range(5_000)), "inputs.x": [0.5] * 5_000}, row_group_size=1_200)
    found = read(raw, "parquet", row=1_300)
    assert listed(found)[0] == {"n": 1_300, "inputs": {"x": 0.5}}
    assert [each["n"] for each in listed(found)] == list(range(1_300, 5_000))
    assert found[0].first == 1_300


@given(st.lists(st.integers(1, 40), min_size=1, max_size=6), st.integers(0, 240), st.booleans())
def test_parquet_goes_on_at_any_row_whatever_the_sizes_of_its_groups(
    sizes: list[int], row: int, numbered: bool
) -> None:
    whole, sink = sum(sizes), io.BytesIO()
    table = pa.table({"n": list(range(whole))})
    with pq.ParquetWriter(sink, table.schema) as writer:
        for at, size in enumerate(sizes):
            writer.write_table(table.slice(sum(sizes[:at]), size))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BATCH_ROWS", 7)
        found = read(sink.getvalue(), "parquet", row=row, numbered=numbered)
    assert [each["n"] for each in listed(found)] == list(range(row, whole))
    if numbered:
        assert [each["@row"] for each in listed(found)] == list(range(row, whole))
    assert [each.first for each in found[:1]] == ([row] if row < whole else [])


def test_numbered_rows_know_their_number() -> None:
    assert listed(read(b"a\n5\n6\n", "csv", numbered=True)) == [
        {"@row": 0, "a": "5"},
        {"@row": 1, "a": "6"},
    ]
    raw = parquet({"a": [1, 2, 3]}, row_group_size=1)
    assert [each["@row"] for each in listed(read(raw, "parquet", row=1, numbered=True))] == [1, 2]


@pytest.mark.parametrize("format", ["jsonl", "csv"])
def test_a_last_line_without_an_end_waits_until_the_file_is_final(format: str) -> None:
    raw = b'{"n":1}\n{"n":2' if format == "jsonl" else b"n\n1\n2"
    assert len(listed(read(raw, format, final=False))) == 1
    found = read(raw, format, final=True)
    assert sum(len(each.rows) for each in found) == 2


def test_a_gzip_file_that_is_still_written_gives_what_is_whole() -> None:
    raw = gzip.compress(LINES)[:-20]
    found = read(raw, "jsonl", packed=True, final=False)
    assert sum(len(each.rows) for each in found) >= 1_000
    with pytest.raises(Unreadable):
        read(raw, "jsonl", packed=True, final=True)


@pytest.mark.parametrize(
    ("raw", "format"),
    [
        (b"no parquet", "parquet"),
        (b"PAR1" + bytes(200) + b"PAR1", "parquet"),
        (b"a,a\n1,2\n", "csv"),
        (b'a\n"open\n', "csv"),
        (b"a\n\xff\xfe\n", "csv"),
        (b"x" * (rows.LONGEST_LINE + 2), "jsonl"),
        (b"x" * (rows.LONGEST_LINE + 2), "csv"),
    ],
)
def test_a_file_that_is_not_what_it_says_is_unreadable(raw: bytes, format: str) -> None:
    with pytest.raises(Unreadable):
        read(raw, format)


def test_a_parquet_file_that_claims_too_much_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rows, "LARGEST_GROUP", 100)
    with pytest.raises(Unreadable, match="row group"):
        read(parquet({"a": list(range(1_000))}), "parquet")
    monkeypatch.setattr(rows, "MOST_COLUMNS", 2)
    with pytest.raises(Unreadable, match="columns"):
        read(parquet({"a": [1], "b": [1], "c": [1]}), "parquet")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("x/a.JSONL", ("jsonl", False)),
        ("a.ndjson.gz", ("jsonl", True)),
        ("a.csv.gz", ("csv", True)),
        ("a.parquet", ("parquet", False)),
    ],
)
def test_the_ending_tells_the_format(path: str, expected: tuple[str, bool]) -> None:
    assert format_of(path, "") == expected


def test_an_ending_that_tells_nothing_needs_a_declared_format() -> None:
    with pytest.raises(Unreadable):
        format_of("a.bin", "")
    assert format_of("a.bin", "csv") == ("csv", False)


@given(st.binary(max_size=300), st.sampled_from(["jsonl", "csv", "parquet"]), st.booleans())
def test_whatever_the_bytes_are_only_unreadable_escapes(
    raw: bytes, format: str, packed: bool
) -> None:
    for body in (raw, gzip.compress(raw)):
        try:
            found: Iterator[Batch] = batches(
                io.BytesIO(body), format, packed, row=0, position=0, final=True
            )
            for each in found:
                assert each.rows
        except Unreadable:
            pass


@given(st.binary(max_size=60), st.integers(0, 400))
def test_whatever_is_changed_in_a_parquet_file_only_unreadable_escapes(
    noise: bytes, place: int
) -> None:
    raw = parquet({"n": list(range(50)), "t": ["x"] * 50})
    at = place % len(raw)
    changed = raw[:at] + noise + raw[at + len(noise) :]
    with contextlib.suppress(Unreadable):
        read(changed, "parquet")


def test_a_folder_of_the_sample_formats_can_be_listed(tmp_path: Path) -> None:
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(b"a\n1\n"))
    with (tmp_path / "a.csv.gz").open("rb") as file:
        assert listed(list(batches(file, "csv", True, row=0, position=0, final=True))) == [
            {"a": "1"}
        ]


def repeated(length: int, rows: int = 1_000) -> bytes:
    """A short file in which each row repeats one long text."""
    note = pa.DictionaryArray.from_arrays(
        pa.array([0] * rows, pa.int32()), pa.array(["x" * length])
    )
    table: dict[str, Any] = {"n": list(range(rows)), "note": note}
    sink = io.BytesIO()
    pq.write_table(pa.table(table), sink, compression="zstd", store_schema=False)
    return sink.getvalue()


def test_a_text_that_rows_repeat_is_never_there_a_thousand_times() -> None:
    raw = repeated(100_000)
    assert len(raw) < 10_000
    before, most = pa.total_allocated_bytes(), 0
    numbers: list[int] = []
    tracemalloc.start()
    try:
        for batch in batches(io.BytesIO(raw), "parquet", False, row=0, position=0, final=True):
            most = max(most, sum(map(len, batch.rows)), pa.total_allocated_bytes() - before)
            assert batch.first == len(numbers)
            numbers += [json.loads(row)["n"] for row in batch.rows]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert numbers == list(range(1_000))
    assert most <= rows.BATCH_BYTES
    assert peak < 4 * rows.BATCH_BYTES


def test_a_row_that_is_too_long_is_never_made_and_its_neighbours_are_read() -> None:
    values = ["a", "x" * (rows.LONGEST_ROW + 1), "b"]
    arrays: list[Any] = [
        pa.array(values),
        pa.array([[each] for each in values]),
        pa.array([{"w": each} for each in values]),
        pa.array([[("k", each)] for each in values], pa.map_(pa.string(), pa.string())),
        pa.array([each.encode() for each in values]),
        pa.array([[each] for each in values], pa.list_(pa.string(), 1)),
        pa.array(values, pa.large_string()),
        pa.array([[each] for each in values], pa.large_list(pa.string())),
        pa.array(values).dictionary_encode(),
    ]
    for array in arrays:
        sink = io.BytesIO()
        pq.write_table(pa.table({"v": array}), sink)
        found = read(sink.getvalue(), "parquet")
        made = [row for batch in found for row in batch.rows]
        assert [row == rows.TOO_LONG for row in made] == [False, True, False]
        assert [each.first for each in found] == [0, 1, 2]


def test_the_lengths_of_every_kind_of_column_are_near_those_of_its_rows() -> None:
    for array in (
        pa.nulls(3),
        pa.array([1.5, None, 2], pa.float16()),
        pa.array([date(2026, 1, 1)] * 3),
        pa.array([b"abc"] * 3, pa.binary(3)),
        pa.array([Decimal("1." + "1" * 60)] * 3, pa.decimal256(70, 60)),
        pa.array(["z" * 50, None, ""]).dictionary_encode(),
        pa.array([["z" * 50], None, []]),
        pa.array([[1, 2]] * 3, pa.list_(pa.int8(), 2)),
        pa.array([[("k", "z" * 50)], None, []], pa.map_(pa.string(), pa.string())),
        pa.array([True, None, False]),
    ):
        batch = pa.record_batch({"a": array})
        for part in (batch, batch.slice(1, 1), batch.slice(3)):
            told, made = lengths(part).tolist(), [len(row) for row in columns.rows(part)]
            assert len(told) == len(made)
            assert all(a >= b for a, b in zip(told, made, strict=True)), array.type
            assert sum(told) <= sum(made) + 150 * len(made)


def test_a_row_of_csv_that_its_header_makes_too_long_is_told_as_such() -> None:
    long = "y" * 130_000
    text = "a,b\n" + "1,2\n" + ",".join([long] * 2) + "\n"
    names = ",".join(f"{n}{'c' * 100_000}" for n in range(9))
    made = [row for batch in read(text.encode(), "csv") for row in batch.rows]
    assert rows.TOO_LONG not in made
    made = [
        row
        for batch in read(f"{names}\n{','.join([long] * 8)}\n1\n".encode(), "csv")
        for row in batch.rows
    ]
    assert [row == rows.TOO_LONG for row in made] == [True, False]
