"""`make bench`: measures what the design promises and writes it down.

Prints a table and writes var/bench/<name>.json, a list of {"what","value","unit","baseline",
"ratio","budget","met"}. Every figure is of this machine in this run; where a baseline stands, it
was measured in the same run. `--only` runs one benchmark, `--entries` sizes the reading ones.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from rich.console import Console  # noqa: E402 - after the path to its neighbours
from rich.table import Table  # noqa: E402 - the same

from tests.benchmarks import client, files, ingest, judging, reading, streams  # noqa: E402 - the same
from tests.benchmarks.figures import Figure  # noqa: E402 - the same

BENCHMARKS: dict[str, Callable[[int], Iterator[Figure]]] = {
    "ingest": ingest.run,
    "reading": reading.run,
    "judging": judging.run,
    "streams": streams.run,
    "files": files.run,
    "client": client.run,
}


def main() -> int:
    """Run the wanted benchmarks; returns 0 whether or not budgets are met: figures judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=BENCHMARKS, help="run one benchmark")
    parser.add_argument("--entries", type=int, default=200_000, help="entries to read back")
    wanted = parser.parse_args()
    console = Console()
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    for name, benchmark in BENCHMARKS.items():
        if wanted.only not in {None, name}:
            continue
        table = Table(title=name)
        for heading in ("what", "value", "unit", "baseline", "ratio", "budget", "met"):
            table.add_column(heading)
        figures = []
        for figure in benchmark(wanted.entries):
            figures.append(figure)
            console.print(f"[dim]{figure.what}: {_text(figure.value)} {figure.unit}[/]")
            table.add_row(*(_text(value) for value in figure.row().values()))
        console.print(table)
        rows = [figure.row() for figure in figures]
        (folder / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    return 0


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return str(value)


if __name__ == "__main__":
    sys.exit(main())
