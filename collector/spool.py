"""The spool: events of one program on disk, until the collector has them.

Decides what survives what. An event is in a SQLite file before the caller goes on, in WAL mode
with synchronous=NORMAL: it survives a killed process, but the last ones may not survive a power
loss; with `power_safe` (synchronous=FULL) each call waits for the disk and they do. A spool has a
size bound; beyond it the newest event is dropped and counted, so that what is there stays without
holes and the sequence number of what was dropped is seen to be missing.

Hides SQLite, threads and forks: several threads, and processes that were forked, share one file.
"""

import logging
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_BUSY_SECONDS = 0.1
"""Longest wait for another process that writes; then the event waits in memory."""
_LATE = 1_000
_REFUSED = 1_000

_log = logging.getLogger("modelwitness.client")

_SCHEMA = """
CREATE TABLE IF NOT EXISTS event (n INTEGER PRIMARY KEY, path TEXT NOT NULL, body BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS refused (n INTEGER PRIMARY KEY, path TEXT, body BLOB, reason TEXT);
CREATE TABLE IF NOT EXISTS lease (id INTEGER PRIMARY KEY, holder TEXT, until REAL);
"""


SpoolError = sqlite3.Error
"""The file cannot be read or written: the disk is full, or it was taken away."""


class Waiting(NamedTuple):
    """An event of the spool: its number, the address that it goes to, and its JSON."""

    n: int
    path: str
    body: bytes


class Spool:
    """Safe to share between threads; a forked process gets a connection of its own."""

    def __init__(self, path: Path, most_bytes: int, *, power_safe: bool = False) -> None:
        """Open or create the file. Raises `OSError` or `sqlite3.Error` where that fails."""
        self._path = path
        self._most_bytes = most_bytes
        self._synchronous = "FULL" if power_safe else "NORMAL"
        self._forgotten: list[sqlite3.Connection] = []
        self.dropped = 0
        path.parent.mkdir(0o700, parents=True, exist_ok=True)
        # Not through a link that somebody put there, and for nobody else from now on.
        descriptor = os.open(path, os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
        os.fchmod(descriptor, 0o600)
        os.close(descriptor)
        self._start()

    def _start(self) -> None:
        self._lock = threading.Lock()
        self._late: deque[tuple[str, bytes]] = deque()
        self._pid = os.getpid()
        self._connection = self._connect()
        self._connection.executescript(_SCHEMA)
        self.recount()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={self._synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint=0")  # never in a caller: see `tidy`
        return connection

    def after_fork(self) -> None:
        """Go on in a forked process, which may not touch what it inherited of SQLite."""
        self._forgotten.append(self._connection)  # closing it here could damage the parent's
        self._start()

    def put(self, path: str, body: bytes, *, always: bool = False) -> bool:
        """Keep an event; False says that the spool is full and it was dropped.

        `always` is for the few that tell of what was dropped.
        """
        if os.getpid() != self._pid:
            self.after_fork()
        with self._lock:
            if self._bytes + len(body) > self._most_bytes and not always:
                self.dropped += 1
                return False
            self._late.append((path, body))
            if not self._write_late() and len(self._late) > _LATE:
                self._late.pop()
                self.dropped += 1
                return False
            self._bytes += len(body)
            self._count += 1
            return True

    def _write_late(self) -> bool:
        """Write what waits in memory, with the lock held; False where the file cannot be written.

        Another process writes, or the disk is full.
        """
        try:
            while self._late:
                self._connection.execute(
                    "INSERT INTO event (path, body) VALUES (?, ?)", self._late[0]
                )
                self._late.popleft()
        except sqlite3.OperationalError:
            return False
        return True

    def first(self, most: int, most_bytes: int) -> list[Waiting]:
        """Return the oldest event and those after it that go to the same address, in order.

        Events for other addresses are passed over: what is sent may come in any order, while one
        request for each change of address would never catch up.
        """
        found: list[Waiting] = []
        size = 0
        with self._lock:
            self._write_late()
            rows = self._connection.execute(
                "SELECT n, path, body FROM event"
                " WHERE path = (SELECT path FROM event ORDER BY n LIMIT 1) ORDER BY n LIMIT ?",
                (most,),
            ).fetchall()
        for row in rows:
            each = Waiting(*row)
            size += len(each.body)
            if found and size > most_bytes:
                break
            found.append(each)
        return found

    def done(self, sent: Sequence[Waiting], refused: Sequence[tuple[Waiting, str]] = ()) -> None:
        """Give up events that the collector has, and keep the newest of those that it refuses."""
        with self._lock:
            run = self._connection.execute
            run("BEGIN IMMEDIATE")
            try:
                self._connection.executemany(
                    "DELETE FROM event WHERE n = ?", [(each.n,) for each in sent]
                )
                for each, reason in refused:
                    run(
                        "INSERT INTO refused (path, body, reason) VALUES (?, ?, ?)",
                        (each.path, each.body, reason),
                    )
                if refused:
                    run(
                        "DELETE FROM refused WHERE n <= (SELECT max(n) FROM refused) - ?",
                        (_REFUSED,),
                    )
            except BaseException:
                run("ROLLBACK")
                raise
            run("COMMIT")
            self._count -= len(sent)
            self._bytes -= sum(len(each.body) for each in sent)

    def lease(self, holder: str, seconds: float) -> bool:
        """Let one of several processes send; True where it is `holder`.

        A holder's name begins with the number of its process: one that is gone holds nothing.
        """
        now = time.time()
        with self._lock:
            row = self._connection.execute("SELECT holder FROM lease").fetchone()
            if row is not None and row[0] != holder and _is_gone(str(row[0])):
                self._connection.execute("DELETE FROM lease WHERE holder = ?", (row[0],))
            changed = self._connection.execute(
                "INSERT INTO lease VALUES (1, ?, ?) ON CONFLICT (id) DO UPDATE"
                " SET holder = excluded.holder, until = excluded.until"
                " WHERE holder = excluded.holder OR until < ? OR until > ?",
                (holder, now + seconds, now, now + 3_600),
            )
            return changed.rowcount == 1

    def release(self, holder: str) -> None:
        """Let another process send at once."""
        with self._lock:
            self._connection.execute("DELETE FROM lease WHERE holder = ?", (holder,))

    def recount(self) -> None:
        """Count again what waits, since other processes share the file."""
        with self._lock:
            row = self._connection.execute(
                "SELECT count(*), coalesce(sum(length(body)), 0) FROM event"
            ).fetchone()
            self._count, self._bytes = int(row[0]) + len(self._late), int(row[1])

    def tidy(self) -> None:
        """Move what is committed from the write-ahead log into the file; waits for nobody."""
        connection = self._connect()
        try:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
        finally:
            connection.close()

    @property
    def waiting(self) -> int:
        """Events that the collector does not have yet, as far as this process knows."""
        return self._count

    @property
    def bytes(self) -> int:
        """Bytes of their JSON."""
        return self._bytes

    def refused(self) -> list[tuple[str, str]]:
        """Return address and reason of the newest events that the collector refused."""
        with self._lock:
            rows = self._connection.execute("SELECT path, reason FROM refused ORDER BY n")
            return [(str(path), str(reason)) for path, reason in rows]

    def close(self) -> None:
        """Close the file; what waits is sent by whoever opens it next."""
        with self._lock:
            if not self._write_late():
                self.dropped += len(self._late)
                _log.warning("the spool cannot be written: %d events are lost", len(self._late))
            self._connection.close()


def _is_gone(holder: str) -> bool:
    """Whether the process that a holder's name begins with has ended."""
    number = holder.partition("-")[0]
    if not number.isdecimal():
        return False
    try:
        os.kill(int(number), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False
