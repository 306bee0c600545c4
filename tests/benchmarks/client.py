"""What logging costs its caller: the client beside `logging` to a file, in one run.

The collector cannot be reached meanwhile; so the sender does what costs the caller most, which is
to try.
"""

import logging
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from collector.client import Client
from tests.benchmarks.figures import Figure

CALLS = 20_000
INPUTS = {f"feature_{n}": n * 0.37 for n in range(12)} | {"region": "north", "channel": "web"}


def run(_entries: int) -> Iterator[Figure]:
    """Yield the cost of a call: at rest and with four threads logging."""
    with tempfile.TemporaryDirectory() as folder:
        baseline = _logged(Path(folder) / "calls.log")
        for threads in (1, 4):
            path = Path(folder) / f"spool-{threads}.db"
            client = Client("http://127.0.0.1:1", "mw_x", path, flush_seconds=0)

            def call(client: Client = client) -> None:
                client.log_prediction("credit", "3", INPUTS, "approve", score=0.91)

            times = _times(call, threads)
            client.close()
            p50 = _percentile(times, 0.5)
            name = f"client call, {threads} thread{'s' * (threads > 1)}"
            budget = 50.0 if threads == 1 else None
            yield Figure(f"{name}, p50", p50, "µs", baseline, budget, least=False)
            yield Figure(f"{name}, p99", _percentile(times, 0.99), "µs")


def _logged(path: Path) -> float:
    """The median cost of one line of the same content through `logging`, in µs."""
    logger = logging.getLogger("benchmark.client")
    handler = logging.FileHandler(path)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    encode = msgspec.json.Encoder().encode

    def call() -> None:
        event = {"model": "credit", "version": "3", "inputs": INPUTS, "output": "approve"}
        logger.info("prediction %s", encode(event).decode())

    found = _percentile(_times(call, 1), 0.5)
    logger.removeHandler(handler)
    handler.close()
    return found


def _times(call: Callable[[], None], threads: int) -> list[float]:
    """The seconds of each of CALLS calls, made by so many threads."""
    for _ in range(500):
        call()
    times: list[float] = []

    def work() -> None:
        mine = []
        for _ in range(CALLS // threads):
            began = time.perf_counter()
            call()
            mine.append(time.perf_counter() - began)
        times.extend(mine)

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return times


def _percentile(times: list[float], share: float) -> float:
    return sorted(times)[int(len(times) * share)] * 1e6
