"""The two databases under a ledger, and the few statements that must be fast on both.

Decides how a connection is set up, what a write lock is (`BEGIN IMMEDIATE` in SQLite, a
transaction-scoped advisory lock in PostgreSQL), how many rows go in at once (multi-row VALUES,
binary COPY) and how a read is cut short that takes too long. Hides drivers: the ledger sees
`insert`, `lookup`, `add_counts` and SQLAlchemy connections.
"""

import os
import sqlite3
import struct
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL, Connection, Engine, Table, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError

from audit.errors import Busy, Rejected, Tampered, TooSlow

Row = Sequence[int | bytes | str | None]
_WRITER_LOCK = 0x6D77_6C65_6467  # "mwledg": one writer per database
_SQLITE_ROWS = (1024, 256, 64, 32, 16, 8, 4, 2, 1)
_SQLITE_KEYS = 512
_SQLITE_STEPS = 1_000_000
"""Steps of a statement between looks at the clock: some hundredths of a second. Each look waits for
Python's lock."""


class Database(ABC):
    """One database: an engine plus what SQLite and PostgreSQL do differently."""

    engine: Engine

    @contextmanager
    def reading(self, *, unlimited: bool = False) -> Iterator[Connection]:
        """Yield a connection on one snapshot.

        Raises `Busy` where the database is away, and `TooSlow` where it works longer than reads
        may, unless this one is `unlimited`.
        """
        with _translated(), self.engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """Yield a connection that holds the write lock; commits on exit, else rolls back.

        Raises `Busy` if the lock or the database cannot be had.
        """
        with _translated(), self.engine.connect() as connection, connection.begin():
            self._lock(connection)
            yield connection

    @abstractmethod
    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        """Insert rows, each in the order of the table's columns."""

    @abstractmethod
    def lookup(
        self, connection: Connection, table: str, columns: str, key: str, keys: Sequence[Any]
    ) -> list[Any]:
        """Return the rows of `columns` whose `key` is one of `keys`, in no order."""

    @abstractmethod
    def add_counts(self, connection: Connection, rows: Sequence[tuple[int, int, int, int]]) -> None:
        """Add (series, minute, bucket, count) to the rollup."""

    @abstractmethod
    def damage(self, connection: Connection) -> str | None:
        """Return what the database itself finds wrong with its pages and indexes, if it can."""

    @abstractmethod
    def reindex(self, connection: Connection) -> None:
        """Make every index anew, where whoever connects may do so."""

    @abstractmethod
    def _lock(self, connection: Connection) -> None: ...


class Sqlite(Database):
    """SQLite in WAL mode with `synchronous=FULL`: a commit is on disk before it returns."""

    def __init__(self, url: str, read_seconds: float | None = None) -> None:
        self._read_seconds = read_seconds
        self.engine = create_engine(
            url,
            connect_args={"check_same_thread": False, "timeout": 30.0, "cached_statements": 512},
            pool_size=16,
            max_overflow=32,
        )
        self._path = Path(make_url(url).database or "")
        self._identity: tuple[int, int] | None = None
        # Threads of this process queue here; SQLite's own busy handler polls and may starve one.
        self._one_writer = threading.Lock()
        event.listen(self.engine, "do_connect", _make_private)
        event.listen(self.engine, "connect", _prepare_sqlite)
        event.listen(self.engine, "begin", _begin_sqlite)

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        # One statement for many rows: each step of SQLite gives up Python's lock, so 256 rows in
        # one step let other threads run meanwhile, where 256 steps would queue for it each time.
        width = len(table.columns)
        execute = connection.connection.cursor().execute
        start = 0
        for chunk in _SQLITE_ROWS:
            while len(rows) - start >= chunk:
                part = rows[start : start + chunk]
                execute(_values(table.name, width, chunk), [value for row in part for value in row])
                start += chunk

    def lookup(
        self, connection: Connection, table: str, columns: str, key: str, keys: Sequence[Any]
    ) -> list[Any]:
        cursor = connection.connection.cursor()
        found: list[Any] = []
        for start in range(0, len(keys), _SQLITE_KEYS):
            part = list(keys[start : start + _SQLITE_KEYS])
            size = next(size for size in (1, 8, 32, 128, 512) if size >= len(part))
            part += [part[-1]] * (size - len(part))  # few statement texts: all stay prepared
            cursor.execute(_select_in(table, columns, key, size), part)
            found += cursor.fetchall()
        return found

    def add_counts(self, connection: Connection, rows: Sequence[tuple[int, int, int, int]]) -> None:
        execute = connection.connection.cursor().execute
        start = 0
        for chunk in _SQLITE_ROWS:
            while len(rows) - start >= chunk:
                part = rows[start : start + chunk]
                execute(
                    _values("rollup", 4, chunk)
                    + " ON CONFLICT DO UPDATE SET count = count + excluded.count",
                    [value for row in part for value in row],
                )
                start += chunk

    def _lock(self, connection: Connection) -> None:
        """Nothing: `begin` of a writing connection is already BEGIN IMMEDIATE."""

    @contextmanager
    def reading(self, *, unlimited: bool = False) -> Iterator[Connection]:
        with super().reading() as connection:
            self._require_same_file()
            if unlimited or self._read_seconds is None:
                yield connection
                return
            driver: Any = connection.connection.driver_connection
            until = time.monotonic() + self._read_seconds
            driver.set_progress_handler(lambda: time.monotonic() > until, _SQLITE_STEPS)
            try:
                yield connection
            finally:
                driver.set_progress_handler(None, 0)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        with self._one_writer, _translated(), self.engine.connect() as connection:
            writer = connection.execution_options(modelwitness_writes=True)
            with writer.begin():
                self._require_same_file()
                yield writer

    def _require_same_file(self) -> None:
        """Raise `Tampered` where the path leads to another file than the one that is open.

        What is committed into a file that was unlinked is durable for nobody.
        """
        try:
            found = self._path.stat()
        except OSError:
            raise Tampered("the database file is gone while it is open") from None
        identity = found.st_dev, found.st_ino
        self._identity = self._identity or identity
        if identity != self._identity:
            raise Tampered("the database file was replaced while it is open: stop and look")

    def damage(self, connection: Connection) -> str | None:
        found = connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar()
        return None if found == "ok" else "a page, or an index that is not that of its table"

    def reindex(self, connection: Connection) -> None:
        connection.exec_driver_sql("REINDEX")


class Postgres(Database):
    """PostgreSQL 15 or later; `synchronous_commit` is on whatever the server's default is."""

    def __init__(self, url: URL, read_seconds: float | None = None) -> None:
        self._is_bounded = read_seconds is not None
        # Of the connection, since it would cost a round trip to set it for each read.
        bound = "" if read_seconds is None else f" -c statement_timeout={read_seconds * 1000:.0f}"
        self.engine = create_engine(
            url,
            pool_size=16,
            max_overflow=32,
            pool_pre_ping=True,
            isolation_level="READ COMMITTED",
            connect_args={
                "options": "-c synchronous_commit=on -c timezone=UTC -c lock_timeout=10000" + bound
            },
        )

    @contextmanager
    def reading(self, *, unlimited: bool = False) -> Iterator[Connection]:
        with _translated(), self.engine.connect() as connection:
            # Read committed would show each statement another state of the tree and its keys.
            reader = connection.execution_options(isolation_level="REPEATABLE READ")
            if unlimited and self._is_bounded:
                reader.exec_driver_sql("SET LOCAL statement_timeout = 0")
            yield reader

    def insert(self, connection: Connection, table: Table, rows: Sequence[Row]) -> None:
        if not rows:
            return
        driver: Any = connection.connection.driver_connection
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        with (
            driver.cursor() as cursor,
            cursor.copy(f'COPY "{table.name}" ({columns}) FROM STDIN (FORMAT BINARY)') as copy,
        ):
            copy.write(_binary_copy(table, rows))

    def lookup(
        self, connection: Connection, table: str, columns: str, key: str, keys: Sequence[Any]
    ) -> list[Any]:
        if not keys:
            return []
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor:
            cursor.execute(f"SELECT {columns} FROM {table} WHERE {key} = ANY(%s)", (list(keys),))  # noqa: S608 - names are ours, not input
            return list(cursor.fetchall())

    def add_counts(self, connection: Connection, rows: Sequence[tuple[int, int, int, int]]) -> None:
        if not rows:
            return
        driver: Any = connection.connection.driver_connection
        with driver.cursor() as cursor:
            cursor.execute(
                "INSERT INTO rollup AS r SELECT * FROM"
                " unnest(%s::bigint[], %s::bigint[], %s::smallint[], %s::bigint[])"
                " ON CONFLICT (series, minute, bucket)"
                " DO UPDATE SET count = r.count + excluded.count",
                [list(column) for column in zip(*rows, strict=True)],
            )

    def damage(self, connection: Connection) -> str | None:
        return None  # amcheck is an extension that only a superuser may add: run it beside fsck

    def reindex(self, connection: Connection) -> None:
        """Nothing: only the owner of the tables may, and serving never connects as the owner."""

    def _lock(self, connection: Connection) -> None:
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")


def open_database(url: str, read_seconds: float | None = None) -> Database:
    """Return the database behind a SQLAlchemy URL (`sqlite:///…`, `postgresql+psycopg://…`).

    Reads are cut short after `read_seconds`, by default never.

    Raises `Rejected` where it is no such URL; never repeats it, since it may hold a password.
    """
    try:
        backend = make_url(url).get_backend_name()
    except ArgumentError:
        backend = ""
    match backend:
        case "sqlite":
            return Sqlite(url, read_seconds)
        case "postgresql":
            return Postgres(make_url(url).set(drivername="postgresql+psycopg"), read_seconds)
        case _:
            raise Rejected(
                "this is not the URL of a database that can hold a ledger",
                field="database",
                remedy="Write sqlite:///PATH or postgresql+psycopg://USER@HOST/NAME.",
            )


@contextmanager
def _translated() -> Iterator[None]:
    """Turn the drivers' 'not now' into `Busy`; other database errors pass as they are."""
    try:
        yield
    except (OperationalError, sqlite3.OperationalError, psycopg.OperationalError) as error:
        if _is_cut_short(error):
            raise TooSlow from error
        raise Busy("the database did not answer in time or is away") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Busy("the connection to the database was lost") from error
        raise


def _is_cut_short(error: Exception) -> bool:
    inner = getattr(error, "orig", error)
    if isinstance(inner, sqlite3.OperationalError):
        return getattr(inner, "sqlite_errorcode", None) == sqlite3.SQLITE_INTERRUPT
    return isinstance(inner, psycopg.errors.QueryCanceled)


def _make_private(_dialect: object, _record: object, arguments: list[Any], _: object) -> None:
    """Make a database file that is not there yet for this account alone, as its journals will be.

    One that is there is not opened for it: closing it would drop SQLite's locks in this process.
    """
    with suppress(OSError):  # SQLite's own error says it better
        os.close(os.open(arguments[0], os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # transactions are begun by _begin_sqlite, not the driver
    for pragma in (
        "page_size=4096",
        "journal_mode=WAL",
        "synchronous=FULL",
        "recursive_triggers=ON",  # without it INSERT OR REPLACE passes by the DELETE trigger
        "foreign_keys=ON",
        "cache_size=-32768",
        "wal_autocheckpoint=16000",
        "journal_size_limit=134217728",
        "trusted_schema=OFF",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    writes = connection.get_execution_options().get("modelwitness_writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


@lru_cache(maxsize=256)
def _values(table: str, width: int, rows: int) -> str:
    row = f"({','.join('?' * width)})"
    return f'INSERT INTO "{table}" VALUES {",".join([row] * rows)}'  # noqa: S608 - names are ours


@lru_cache(maxsize=256)
def _select_in(table: str, columns: str, key: str, size: int) -> str:
    return f"SELECT {columns} FROM {table} WHERE {key} IN ({','.join('?' * size)})"  # noqa: S608 - names are ours, not input


_int8 = struct.Struct(">iq").pack
_int2 = struct.Struct(">ih").pack
_length = struct.Struct(">i").pack


def _binary_copy(table: Table, rows: Sequence[Row]) -> bytes:
    """Return rows in PostgreSQL's binary COPY format (documentation of COPY, binary format)."""
    width = struct.pack(">h", len(table.columns))
    small = [column.type.__class__.__name__ == "SmallInteger" for column in table.columns]
    encode: list[Callable[[int], bytes]] = [
        (lambda v: _int2(2, v)) if is_small else (lambda v: _int8(8, v)) for is_small in small
    ]
    parts: list[bytes] = [b"PGCOPY\n\xff\r\n\x00" + bytes(8)]
    put = parts.append
    for row in rows:
        put(width)
        for place, value in enumerate(row):
            if value is None:
                put(b"\xff\xff\xff\xff")
            elif isinstance(value, int):
                put(encode[place](value))
            else:
                raw = value.encode() if isinstance(value, str) else value
                put(_length(len(raw)))
                put(raw)
    put(b"\xff\xff")
    return b"".join(parts)
