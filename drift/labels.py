"""Labels: what really happened to predictions, joined to them whenever it was said.

Decides that the truth observed (an outcome) goes before a person's correction, and the newest of
each before older ones; that a data set holds the columns which the policy names, the label and
the entry's index, and nothing else of a prediction; and what is on the ledger before it leaves:
the access to each window, then LabelsExported with digest, rows, query and entries, by which an
erasure later finds what was delivered. The data set is made in memory and never lies on a disk.
Hides Parquet.
"""

import hashlib
import io
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Protocol

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
from msgspec import Struct

from audit.clock import Clock
from audit.events import SYSTEM, event_of, micros, rfc3339
from audit.reader import Opened, Reader
from audit.roles import Principal
from audit.rootkey import Random
from audit.store import Store
from drift.apply import in_force
from drift.cases import Case, Span
from drift.duty import LOGGED
from drift.errors import TooLarge, Unknown
from drift.policy import ColumnRule, Policy, parse

BATCH = 1_000
_compact = msgspec.json.Encoder(order="deterministic").encode


class Recorder(Protocol):
    """The part of `audit.access.Access` that reading predictions needs."""

    def record(
        self, principal: Principal, action: str, *, filter: Mapping[str, Any] | None = None
    ) -> None: ...


class Labelled(Struct, frozen=True):
    """A prediction with its label: `source` is outcome or correction, `said` the entry of it."""

    index: int
    event_us: int
    prediction: dict[str, Any]
    label: Any
    source: str
    said: int


@dataclass(frozen=True, slots=True)
class Export:
    """A data set as it leaves: `digest` is "sha256:" and hex of `parquet`."""

    name: str
    parquet: bytes
    digest: str
    rows: int

    @property
    def repr_digest(self) -> str:
        """The digest as the header of RFC 9530 has it."""
        raw = bytes.fromhex(self.digest.removeprefix("sha256:"))
        return f"sha-256=:{b64encode(raw).decode()}:"


class _Said(Struct, frozen=True):
    """What outcomes and oversight say about a prediction."""

    outcome: Any = None
    action: str = ""
    final_output: Any = None


class _Known(Struct, frozen=True):
    id: str


def labelled(
    reader: Reader, model: str, version: str, start_us: int, end_us: int
) -> Iterator[Labelled]:
    """Yield the labelled predictions of a window by event time; those without a label are left out.

    Records no access: whoever calls this has.
    """
    window = reader.window(LOGGED, model, version, start_us, end_us)
    while batch := list(islice(window, BATCH)):
        yield from _joined(reader, [each for each in batch if not each.erased])


def _joined(reader: Reader, predictions: Sequence[Opened]) -> Iterator[Labelled]:
    about = [
        reader.about(each.leaf.integration, msgspec.json.decode(each.body, type=_Known).id)
        for each in predictions
    ]
    wanted = sorted({index for indexes in about for index in indexes})
    said = dict(zip(wanted, reader.open(wanted), strict=True))
    for prediction, indexes in zip(predictions, about, strict=True):
        found = _label(said[index] for index in indexes)
        if found is not None:
            label, source, index = found
            yield Labelled(
                prediction.leaf.index,
                prediction.leaf.event_us,
                msgspec.json.decode(prediction.body),
                label,
                source,
                index,
            )


def _label(said: Iterable[Opened]) -> tuple[Any, str, int] | None:
    best: tuple[tuple[int, int, int], tuple[Any, str, int]] | None = None
    for each in said:
        if each.erased:
            continue
        leaf = each.leaf
        if leaf.type == "OutcomeObserved":
            label, source = msgspec.json.decode(each.body, type=_Said).outcome, "outcome"
        elif leaf.type == "OversightRecorded" and leaf.status in {"correct", "override"}:
            label, source = msgspec.json.decode(each.body, type=_Said).final_output, "correction"
        else:
            continue
        rank = (int(source == "outcome"), leaf.event_us, leaf.index)
        if label is not None and (best is None or rank > best[0]):
            best = (rank, (label, source, leaf.index))
    return None if best is None else best[1]


def export(
    store: Store,
    access: Recorder,
    principal: Principal,
    case: Case,
    *,
    most_bytes: int,
    clock: Clock,
    random: Random,
) -> Export:
    """Return the labelled data set of a case's windows, when all of it is on the ledger.

    Raises `Unknown` where no prediction has a label yet, `TooLarge` beyond `most_bytes`.
    """
    document = in_force(store, case.model)
    if document is None:
        raise Unknown("no policy is in force for the model of the case")
    policy = parse(document.text)
    size = store.reader.size()
    table = _Table(policy, most_bytes)
    for span in merged(case.windows):
        access.record(principal, "labelled_export", filter=_asked(case, span))
        table.add(
            labelled(store.reader, case.model, case.version, micros(span.start), micros(span.end))
        )
    if not table.rows:
        raise Unknown("no prediction in the windows of the case has a label yet")
    query = {
        "windows": [msgspec.to_builtins(span) for span in merged(case.windows)],
        "columns": [rule.name for rule in policy.columns],
    }
    lineage = {
        "case": case.id,
        "model": {"name": case.model, "version": case.version},
        "policy": {"name": document.model, "revision": document.revision},
        "log": store.ledger.origin,
        "tree_size": size,
        "query": query,
    }
    parquet = table.parquet(lineage)
    digest = f"sha256:{hashlib.sha256(parquet).hexdigest()}"
    body = {
        **lineage,
        "id": random(16).hex(),
        "time": rfc3339(clock()),
        "dataset": f"labels/{case.id}",
        "digest": digest,
        "rows": table.rows,
        "sources": table.sources,
        "entries": _ranges(table.indexes),
        "actor": principal.actor,
        "references": {"actor": principal.actor, "case": case.id},
    }
    store.ledger.append([event_of("LabelsExported", SYSTEM, body)])
    return Export(f"labels/{case.id}", parquet, digest, table.rows)


def merged(windows: Sequence[Span]) -> list[Span]:
    """Return the windows by time, those that touch or overlap made one."""
    spans: list[Span] = []
    for window in sorted(windows, key=lambda each: micros(each.start)):
        if spans and micros(window.start) <= micros(spans[-1].end):
            end = max(spans[-1].end, window.end, key=micros)
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(window)
    return spans


class _Table:
    """Collects batches of labelled predictions as Arrow arrays."""

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
                    remedy="Raise export_bytes, or name fewer columns in the policy.",
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


def _ranges(indexes: Sequence[int]) -> list[list[int]]:
    """Sorted entry numbers as [first, last] pairs."""
    ranges: list[list[int]] = []
    for index in sorted(indexes):
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return ranges


def _asked(case: Case, span: Span) -> dict[str, Any]:
    return {
        "type": LOGGED,
        "model": case.model,
        "version": case.version,
        "from": span.start,
        "to": span.end,
        "case": case.id,
    }
