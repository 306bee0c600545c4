"""Rows of a Parquet file: read to events, and all the way into a ledger.

The file has the 32 columns that the bodies of the other benchmarks have when they are laid flat,
with dotted names. Reading ends at the events that a ledger would take, checked against the schema;
beside it, in the same run, Arrow's own `to_pylist`, which ends at objects of Python. The whole way
is a real `modelwitness consume` into SQLite: durable, sealed, indexed, in the tree, the place in
the file kept; timed from the first twentieth to the last row, so that starting does not count.
"""

import gc
import json
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

import modelwitness
from collector.adapters.wire import Message
from collector.files.reading import native, read_rows
from collector.files.rows import BATCH_ROWS, batches
from collector.integrations.declaration import Declared
from tests.benchmarks.bodies import predictions
from tests.benchmarks.figures import Figure
from tests.collector.files.consumed import Watching, watching
from tests.collector.streams.counted import Ledger

ROUNDS = 3
CHUNK = 20_000
LOOK_SECONDS = 0.02
BUDGET = 30_000


def run(entries: int) -> Iterator[Figure]:
    """Measure so many rows."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        path = folder / "files" / "rows.parquet"
        path.parent.mkdir()
        columns = _write(path, entries)
        rounds = [(_seconds(_listed, path), _seconds(_read, path)) for _ in range(ROUNDS)]
        bare, read = (entries / median(each) for each in zip(*rounds, strict=True))
        yield Figure(
            f"Parquet of {columns} columns read to events, beside to_pylist",
            read, "rows/s", bare, BUDGET,
        )  # fmt: skip
        ledger = Ledger(folder / "data")
        with watching(folder, ledger.data, location=str(path.parent)) as process:
            rate = _rate(ledger.data, entries, process)
            assert process.stop() == 0, process.told()
        yield Figure("Parquet to SQLite, durable", rate, "rows/s", read)


def _write(path: Path, entries: int) -> int:
    """A file of so many rows; returns its columns."""
    writer: pq.ParquetWriter | None = None
    for first in range(0, entries, CHUNK):
        bodies = predictions(min(CHUNK, entries - first), seed=first + 1, first=first)
        table = pa.Table.from_pylist([_flat(json.loads(body)) for body in bodies])
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()
    return len(writer.schema.names)


def _flat(body: dict[str, Any], above: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in body.items():
        name = f"{above}.{key}" if above else key
        found.update(_flat(value, name) if isinstance(value, dict) else {name: value})
    return found


def _seconds(act: Callable[[Path], None], path: Path) -> float:
    gc.collect()
    start = time.perf_counter()
    act(path)
    return time.perf_counter() - start


def _listed(path: Path) -> None:
    for batch in pq.ParquetFile(path).iter_batches(batch_size=BATCH_ROWS):
        batch.to_pylist()


def _read(path: Path) -> None:
    declared, adapter, about = Declared(name="b", adapter="-"), native("predictions"), Message()
    with path.open("rb") as file:
        for batch in batches(file, "parquet", False, row=0, position=0, final=True):
            rows = read_rows(about, batch.rows, declared, adapter, {})
            assert len(rows.events) == len(batch.rows)


def _rate(data: Path, entries: int, process: Watching) -> float:
    with modelwitness.opened(data) as parts:
        reader = parts.store.reader
        begun = reader.size()
        while (first := reader.size() - begun) < entries / 20:
            process.require_running()
            time.sleep(LOOK_SECONDS)
        start = time.perf_counter()
        while reader.size() - begun < entries:
            process.require_running()
            time.sleep(LOOK_SECONDS)
        return (entries - first) / (time.perf_counter() - start)
