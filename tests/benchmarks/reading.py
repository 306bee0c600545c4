"""Reading back: search, trace, proof, window, verification, fsck, at the size of --entries."""

import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from audit import export, fsck, verify
from audit.catalog import Catalog
from audit.clock import system_clock
from audit.events import event_of_json
from audit.search import Query
from audit.settings import AuditSettings
from audit.store import Store, open_store
from drift.projection import Governance
from tests.benchmarks.bodies import predictions
from tests.benchmarks.figures import Figure
from tests.benchmarks.serving import create_token, serving

FOREVER = 2**62


def run(entries: int) -> Iterator[Figure]:
    """Fill a store with `entries` predictions, then read."""
    sys.setswitchinterval(0.001)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "store"
        store = open_store(
            AuditSettings.of(data), (Catalog(), Governance()), clock=system_clock, random=os.urandom
        )
        yield from _fill(store, entries)
        yield from _read(store, entries)
        vkey = store.ledger.vkey
        export.write(store, Path(folder) / "export")
        store.close()
        yield from _verify(data, Path(folder) / "export", vkey, entries)
        yield from _trace(data, entries)


def _fill(store: Store, entries: int) -> Iterator[Figure]:
    start = time.perf_counter()
    for at in range(0, entries, 10_000):
        events = [
            event_of_json("PredictionLogged", "crm", raw)
            for raw in predictions(min(10_000, entries - at), first=at)
        ]
        pending = [store.ledger.submit(events[i : i + 1000]) for i in range(0, len(events), 1000)]
        for each in pending:
            each.result()
    yield Figure("entries in the ledger", entries, "entries")
    yield Figure("filling it, generation included", entries / (time.perf_counter() - start), "/s")


def _read(store: Store, entries: int) -> Iterator[Figure]:
    reader = store.reader
    source = random.Random(7)
    places = [source.randrange(1, entries) for _ in range(200)]
    opened = reader.open(places)
    events = [event_of_json(each.leaf.type, each.leaf.integration, each.body) for each in opened]
    yield _p("inclusion proof p99", 99, [partial(reader.prove, place) for place in places], 10)
    yield _p(
        "search by subject p95",
        95,
        [partial(reader.search, Query(0, FOREVER, subject=each.subject)) for each in events],
        200,
    )
    yield _p(
        "search by model, range, status p95",
        95,
        [
            partial(
                reader.search,
                Query(each.event_us - 10**9, each.event_us, model=each.model, status="ok"),
            )
            for each in events
        ],
        200,
    )
    start = time.perf_counter()
    count = sum(1 for _ in reader.window("PredictionLogged", "credit-risk", None, 0, FOREVER))
    seconds = time.perf_counter() - start
    yield Figure("window read, opened", count / seconds, "rows/s", None, 50_000)


def _verify(data: Path, exported: Path, vkey: str, entries: int) -> Iterator[Figure]:
    start = time.perf_counter()
    report = verify.verify(verify.Folder(exported), [vkey])
    if report.exit_code:
        raise RuntimeError(report.as_text())
    yield Figure(
        "verification from tiles",
        entries / (time.perf_counter() - start),
        "entries/s",
        None,
        150_000,
    )
    start = time.perf_counter()
    if fsck.run(AuditSettings.of(data), deep=False, earlier=[], report=lambda _: None):
        raise RuntimeError("fsck found something in a sound store")
    yield Figure("fsck", entries / (time.perf_counter() - start), "entries/s", None, 50_000)


def _trace(data: Path, entries: int) -> Iterator[Figure]:
    token = create_token(data, "", "compliance", "--actor", "bench")
    source = random.Random(9)
    with serving(data) as server:
        requests = [
            server.get(f"/v1/entries/{source.randrange(2, entries)}/trace", token)
            for _ in range(300)
        ]
        found = server.load(requests, 1)
    yield Figure("decision trace over HTTP p99", found["p99_ms"], "ms", None, 50, least=False)


def _p(what: str, percent: int, calls: list[Callable[[], object]], budget: float) -> Figure:
    taken = []
    for call in calls:
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    value = sorted(taken)[min(len(taken) - 1, len(taken) * percent // 100)] * 1000
    return Figure(what, value, "ms", None, budget, least=False)
