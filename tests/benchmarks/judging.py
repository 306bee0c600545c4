"""Judging a window: ours beside Evidently's preset on the same columns, each in its own process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.figures import Figure

HERE = Path(__file__).resolve().parent
ROWS, COLUMNS = 1_000_000, 25


def run(_: int) -> Iterator[Figure]:
    """Compare time and memory at 1,000,000 rows × 25 columns."""
    preset = _measured("preset")
    ours = _measured("ours")
    shape = f"{ROWS:,} × {COLUMNS}"
    yield Figure(
        f"drift verdict, {shape}", ours["seconds"], "s", preset["seconds"], 1 / 20,
        least=False, of_ratio=True,
    )  # fmt: skip
    yield Figure(
        f"memory of the verdict, {shape}", ours["mb"], "MB", preset["mb"], 1 / 2,
        least=False, of_ratio=True,
    )  # fmt: skip


def _measured(which: str) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, HERE / "judge_once.py", which, str(ROWS), str(COLUMNS)],
        check=True,
        capture_output=True,
        text=True,
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found
