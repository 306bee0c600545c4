"""Ingest over HTTP, durable, sealed, indexed, in the tree: batches and single events.

Beside a bare insert of the same JSON into the same database in the same run: one table, one
column, no index but the key, a commit per 500 rows, nothing encrypted or proved.
"""

import socket
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from tests import postgres as private_postgres
from tests.benchmarks.bodies import predictions
from tests.benchmarks.figures import Figure
from tests.benchmarks.serving import Server, serving

BATCH = 500
BATCHES = 120
SINGLES = 30_000
ROUNDS = 3


def run(_: int) -> Iterator[Figure]:
    """Measure SQLite, then PostgreSQL where it is installed."""
    with tempfile.TemporaryDirectory() as folder:
        yield from _measure("SQLite", Path(folder) / "store", "", _bare_sqlite(Path(folder)))
    if private_postgres.binaries() is None:
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        private_postgres.running(_free_port()) as instance,
    ):
        bare = _bare_postgres(instance.create())
        yield from _measure("PostgreSQL", Path(folder) / "store", instance.create(), bare)


def _measure(name: str, data: Path, database: str, bare: float) -> Iterator[Figure]:
    data.mkdir(parents=True)
    with serving(data, database) as server:
        events = predictions(BATCH * BATCHES * ROUNDS)
        raw = sum(map(len, events))
        yield Figure(f"raw JSON of an event ({name})", raw / len(events), "bytes")
        rates = []
        for number in range(ROUNDS):
            part = events[number * BATCH * BATCHES :][: BATCH * BATCHES]
            found = server.load(_batches(server, part), 8)
            rates.append(len(part) / found["seconds"])
        best = sorted(rates)[len(rates) // 2]
        yield Figure(f"batch ingest, {name} (median of {ROUNDS})", best, "events/s", None, 20_000)
        yield Figure(
            f"batch ingest beside a bare insert, {name}",
            best,
            "events/s",
            bare,
            0.25,
            of_ratio=True,
        )
        yield Figure(f"batch answer p99, {name}", found["p99_ms"], "ms")
        memory = server.memory_mb()
        yield Figure(f"memory of serve after batches, {name}", memory, "MB", None, 300, least=False)
        size = _bytes_on_disk(server)
        if size:
            yield Figure(
                f"disk per event, {name}",
                size / len(events),
                "bytes",
                raw / len(events),
                1.2,
                least=False,
                of_ratio=True,
            )
        singles = predictions(SINGLES, seed=2)
        found = server.load([server.post("/v1/predictions", each) for each in singles], 32)
        rate = SINGLES / found["seconds"]
        yield Figure(f"single POST, 32 connections, {name}", rate, "events/s", None, 6_000)
        yield Figure(f"single POST p99, {name}", found["p99_ms"], "ms", None, 25, least=False)
        yield Figure(f"single POST p50, {name}", found["p50_ms"], "ms")
        memory = server.memory_mb()
        yield Figure(f"memory of serve after singles, {name}", memory, "MB", None, 300, least=False)


def _batches(server: Server, events: list[bytes]) -> list[bytes]:
    return [
        server.post("/v1/predictions", b"[" + b",".join(events[at : at + BATCH]) + b"]")
        for at in range(0, len(events), BATCH)
    ]


def _bytes_on_disk(server: Server) -> int:
    if server.database:
        with psycopg.connect(server.database.replace("+psycopg", "")) as connection:
            connection.execute("CHECKPOINT")
            row = connection.execute("SELECT pg_database_size(current_database())").fetchone()
            empty = connection.execute("SELECT pg_database_size('template1')").fetchone()
            return int(row[0] - empty[0]) if row and empty else 0
    path = server.data / "ledger.db"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return path.stat().st_size


def _bare_sqlite(folder: Path) -> float:
    rows = list(enumerate(predictions(BATCH * BATCHES, seed=3)))
    with sqlite3.connect(folder / "bare.db", isolation_level=None) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE event(idx INTEGER PRIMARY KEY, body BLOB)")
        start = time.perf_counter()
        for at in range(0, len(rows), BATCH):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO event VALUES (?, ?)", rows[at : at + BATCH])
            connection.execute("COMMIT")
        return len(rows) / (time.perf_counter() - start)


def _bare_postgres(url: str) -> float:
    rows = list(enumerate(predictions(BATCH * BATCHES, seed=3)))
    with psycopg.connect(url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("CREATE TABLE event(idx bigint PRIMARY KEY, body bytea)")
        start = time.perf_counter()
        for at in range(0, len(rows), BATCH):
            with (
                connection.cursor() as cursor,
                cursor.copy("COPY event FROM STDIN (FORMAT BINARY)") as copy,
            ):
                copy.set_types(["int8", "bytea"])
                for row in rows[at : at + BATCH]:
                    copy.write_row(row)
        return len(rows) / (time.perf_counter() - start)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
