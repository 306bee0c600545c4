"""A private PostgreSQL for the tests: own folder, own port, gone at the end.

Hides where the binaries are and that PostgreSQL refuses to run as root: then it runs as an
existing unprivileged account. Durability stays as in production (fsync on), since the crash tests
depend on it.
"""

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg import sql

OWNER = "modelwitness"
START_SECONDS = 60
SETTINGS = {
    "fsync": "on",
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "warning",
    "max_connections": "100",
    "shared_buffers": "64MB",
}


@dataclass(frozen=True, slots=True)
class Postgres:
    """A running instance; every database in it belongs to the superuser `modelwitness`."""

    folder: Path
    port: int
    pid: int

    def url(self, database: str) -> str:
        """The SQLAlchemy address of one database of this instance."""
        return f"postgresql+psycopg://{OWNER}@127.0.0.1:{self.port}/{database}"

    def create(self) -> str:
        """Make an empty database; give its SQLAlchemy address."""
        name = f"t_{uuid.uuid4().hex}"
        self._administer(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database made by `create`, whoever is still connected."""
        name = sql.Identifier(url.rsplit("/", 1)[1])
        self._administer(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(name))

    def _administer(self, statement: sql.Composed) -> None:
        with _connection(self.port) as connection:
            connection.execute(statement)


def binaries() -> Path | None:
    """The folder with initdb and postgres: from PATH, else Debian's newest; or None."""
    if (found := shutil.which("initdb")) and shutil.which("postgres"):
        return Path(found).parent
    versions = sorted(
        Path("/usr/lib/postgresql").glob("*/bin/initdb"),
        key=lambda path: int(path.parts[-3]) if path.parts[-3].isdigit() else 0,
    )
    return versions[-1].parent if versions else None


@contextlib.contextmanager
def running(port: int) -> Iterator[Postgres]:
    """An instance on this port; stopped and its folder removed afterwards.

    Raises RuntimeError with the server's own words when it does not start.
    """
    found = binaries()
    if found is None:
        raise RuntimeError("PostgreSQL is not installed; `make services` installs it")
    # Not under pytest's tmp_path: that is closed to every account but the one running the tests.
    folder = Path(tempfile.mkdtemp(prefix="modelwitness-pg-"))
    account = _unprivileged()
    if account:
        os.chown(folder, account.pw_uid, account.pw_gid)
    try:
        with _started(found, folder, port, account) as server:
            yield server
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _started(
    found: Path, folder: Path, port: int, account: pwd.struct_passwd | None
) -> Iterator[Postgres]:
    uid, gid = (account.pw_uid, account.pw_gid) if account else (None, None)
    groups: list[int] | None = [] if account else None
    cluster = folder / "cluster"
    made = subprocess.run(
        [found / "initdb", "-D", cluster, "-U", OWNER, "-A", "trust", "-E", "UTF8", "--locale=C"],
        cwd=folder, user=uid, group=gid, extra_groups=groups,
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if made.returncode:
        raise RuntimeError(f"initdb failed: {made.stderr}")
    command: list[str | Path] = [found / "postgres", "-D", cluster, "-p", str(port), "-k", folder]
    for name, value in SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    log = folder / "log"
    with (
        log.open("wb") as output,
        subprocess.Popen(
            command, cwd=folder, user=uid, group=gid, extra_groups=groups,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        ) as server,
    ):  # fmt: skip
        try:
            _wait(server, port, log)
            yield Postgres(folder, port, server.pid)
        finally:
            server.send_signal(signal.SIGINT)  # "fast shutdown": does not wait for clients
            try:
                server.wait(30)
            except subprocess.TimeoutExpired:
                server.kill()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            with _connection(port):
                return
        except psycopg.OperationalError as refused:
            if server.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"PostgreSQL did not start: {log.read_text()}") from refused
        time.sleep(0.05)


def _connection(port: int) -> psycopg.Connection:
    return psycopg.connect(
        host="127.0.0.1", port=port, user=OWNER, dbname="postgres", autocommit=True
    )


def _unprivileged() -> pwd.struct_passwd | None:
    """The account to run as when the tests run as root; None keeps the present one."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        with contextlib.suppress(KeyError):
            return pwd.getpwnam(name)
    raise RuntimeError("PostgreSQL refuses to run as root and no account `nobody` exists")
