"""A real `modelwitness consume` over declared files, and rows that can be told apart afterwards."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tests.collector.streams.counted import Consuming


class Watching(Consuming):
    """`modelwitness consume` over one declaration of files."""

    def __init__(
        self,
        folder: Path,
        data: Path,
        *,
        before: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
        what: Sequence[str] = (),
        **more: Any,
    ) -> None:
        """`what` stands in place of the file of the declaration.

        `before` is what the command is run by; it is followed by `python -m modelwitness`.
        """
        lines = {
            "kind": "files",
            "name": "drop",
            "integration": "scoring",
            "rows": "predictions",
            "every": "1s",
            "session": "1s",
            **more,
        }
        self.text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in lines.items())
        self._what = str(folder / "drop.yaml")
        Path(self._what).write_text(self.text)
        self._words = what or [self._what]
        self._data = data
        self._log = folder / "drop.log"
        self._log.touch()
        self._process: subprocess.Popen[bytes] | None = None
        self._before = before
        self._environment = {**os.environ, **(environment or {})}

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                [
                    *self._before, sys.executable, "-m", "modelwitness", "consume", *self._words,
                    "--data", self._data,
                ],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                env=self._environment,
            )  # fmt: skip

    @property
    def pid(self) -> int:
        """The process that watches."""
        assert self._process is not None
        return self._process.pid

    def end(self) -> int:
        """Wait until it ends by itself; returns the status."""
        assert self._process is not None
        status = self._process.wait(60)
        self._process = None
        return status


@contextmanager
def watching(folder: Path, data: Path, **more: Any) -> Iterator[Watching]:
    """A running process; killed at the end if it was not stopped."""
    process = Watching(folder, data, **more)
    try:
        process.start()
        yield process
    finally:
        process.kill()


def prediction(id: str) -> dict[str, Any]:
    """A row as JSON lines have it."""
    return {
        "id": id,
        "time": "2026-01-01T00:00:00Z",
        "model": {"name": "m", "version": "1"},
        "inputs": {"text": id * 10},
        "output": 1,
    }


def line(id: str) -> bytes:
    """The same with its end."""
    return json.dumps(prediction(id)).encode() + b"\n"


def write_parquet(path: Path, ids: Sequence[str], group: int = 2_500) -> None:
    """The same as columns with dotted names."""
    table: dict[str, list[Any]] = {
        "id": list(ids),
        "time": ["2026-01-01T00:00:00Z"] * len(ids),
        "model.name": ["m"] * len(ids),
        "model.version": ["1"] * len(ids),
        "inputs.text": [id * 10 for id in ids],
        "output": [1] * len(ids),
    }
    pq.write_table(pa.table(table), path, row_group_size=group)
