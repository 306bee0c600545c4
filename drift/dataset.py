"""Labelled predictions as one Parquet file, made in memory.

Decides its columns: entry, time, the columns that the policy names (numbers as float64, all else
as text), label, label_source; that labels are booleans or numbers where all of them are, and text
otherwise; and that lineage stands in the file's metadata under "modelwitness". Hides Arrow.
"""

import io
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from drift.errors import TooLarge
from drift.policy import ColumnRule, Policy

BATCH = 1_000
_compact = msgspec.json.Encoder(order="deterministic").encode


class Labelled(Struct, frozen=True):
    """A prediction with its label: `source` is outcome or correction, `said` the entry of it."""

    index: int
    event_us: int
    prediction: dict[str, Any]
    label: Any
    source: str
    said: int


class DataSet:
    """Collects labelled predictions as Arrow arrays; raises `TooLarge` beyond `most_bytes`."""

    def __init__(self, policy: Policy, most_bytes: int) -> None:
        self._rules = policy.columns
        self._most = most_bytes
        self._batches: list[pa.Table] = []
        self._labels: set[type] = set()
        self._bytes = 0
        self.indexes: list[int] = []
        self.sources: dict[str, int] = {}

    @property
    def rows(self) -> int:
        return len(self.indexes)

    def add(self, rows: Iterator[Labelled]) -> None:
        while batch := list(islice(rows, BATCH)):
            table = self._arrays(batch)
            self._batches.append(table)
            self._bytes += table.nbytes
            if self._bytes > self._most:
                raise TooLarge(
                    "the labelled data set needs more memory than this service gives one",
                    remedy="Raise MODELWITNESS_DRIFT_EXPORT_BYTES, or name fewer columns.",
                )

    def parquet(self, lineage: dict[str, Any]) -> bytes:
        """The file: equal rows and lineage give equal bytes."""
        table = pa.concat_tables(self._batches)
        place = table.schema.get_field_index("label")
        table = table.set_column(place, "label", self._typed(table.column("label")))
        table = table.replace_schema_metadata({"modelwitness": _compact(lineage)})
        sink = io.BytesIO()
        pq.write_table(table, sink, compression="zstd")
        return sink.getvalue()

    def _arrays(self, batch: Sequence[Labelled]) -> pa.Table:
        self.indexes += [each.index for each in batch]
        for each in batch:
            self.sources[each.source] = self.sources.get(each.source, 0) + 1
            self._labels.add(type(each.label))
        arrays: dict[str, Any] = {
            "entry": pa.array([each.index for each in batch], pa.int64()),
            "time": pa.array([each.event_us for each in batch], pa.timestamp("us", "UTC")),
        }
        for rule in self._rules:
            arrays[rule.name] = _column(rule, batch)
        arrays["label"] = pa.array([_compact(each.label).decode() for each in batch], pa.string())
        arrays["label_source"] = pa.array([each.source for each in batch], pa.string())
        return pa.table(arrays)

    def _typed(self, labels: "pa.ChunkedArray[Any]") -> "pa.Array[Any]":
        """Labels as what they all are: booleans, numbers, or else text."""
        values: list[Any] = [msgspec.json.decode(str(label)) for label in labels.to_pylist()]
        if self._labels == {bool}:
            return pa.array(values, pa.bool_())
        if self._labels <= {int, float}:
            return pa.array([float(value) for value in values], pa.float64())
        return pa.array([_text(value) for value in values], pa.string())


def _column(rule: ColumnRule, batch: Sequence[Labelled]) -> "pa.Array[Any]":
    values = [_at(each.prediction, rule.path) for each in batch]
    if rule.kind == "numeric":
        return pa.array([_number(value) for value in values], pa.float64())
    return pa.array([_text(value) for value in values], pa.string())


def _at(body: Any, path: Sequence[str]) -> Any:
    for part in path:
        body = body.get(part) if isinstance(body, dict) else None
    return body


def _number(value: Any) -> float | None:
    good = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if good else None


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return _compact(value).decode()
