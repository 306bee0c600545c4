"""What every test may ask for: a port, a database, a browser, the shared vectors; and no internet.

A missing service skips the test that needs it, with the reason; under CI=true it fails instead, so
that a green run means that everything ran.
"""

import contextlib
import ipaddress
import logging
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from tests import postgres as private_postgres
from tests.postgres import Postgres

os.environ.setdefault("DO_NOT_TRACK", "1")
os.environ.setdefault("STREAMLIT_BROWSER_GATHER_USAGE_STATS", "false")
# One line a request would bury the reason of a failure.
logging.getLogger("httpx").setLevel(logging.WARNING)

ROOT = Path(__file__).resolve().parent.parent
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def missing(reason: str) -> NoReturn:
    """Skip on a laptop, fail in CI."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def _loopback_only(event: str, arguments: tuple[object, ...]) -> None:
    if event not in ("socket.connect", "socket.sendto"):
        return
    address = arguments[1]
    if not isinstance(address, tuple):  # a path: a Unix socket
        return
    host = str(address[0])
    if host == "localhost":
        return
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).is_loopback:
            return
    pytest.fail(f"a test tried to reach {host}; tests speak to this machine only", pytrace=True)


# An audit hook and not a patched socket: it sees every Python socket, however it was imported.
sys.addaudithook(_loopback_only)


@pytest.fixture(scope="session")
def free_port() -> Callable[[], int]:
    """A function that gives a TCP port of 127.0.0.1 which nothing listens on."""

    def free() -> int:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            return int(probe.getsockname()[1])

    return free


@pytest.fixture(scope="session")
def postgres_server(free_port: Callable[[], int]) -> Iterator[Postgres]:
    """A private PostgreSQL for this test process; `create()` gives an empty database's address."""
    if private_postgres.binaries() is None:
        missing("PostgreSQL is not installed; `make services` installs it")
    with private_postgres.running(free_port()) as server:
        yield server


@pytest.fixture
def postgres(postgres_server: Postgres) -> Iterator[str]:
    """The SQLAlchemy address of an empty PostgreSQL database, this test's own."""
    url = postgres_server.create()
    yield url
    postgres_server.drop(url)


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The SQLAlchemy address of an empty database: the test runs once over each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return str(request.getfixturevalue("postgres"))


@pytest.fixture(scope="session")
def chromium() -> Path:
    """The browser that the page tests drive."""
    for name in CHROMIUM:
        if found := shutil.which(name):
            return Path(found)
    missing("Chromium is not installed; `make services` installs it")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of published vectors and sample payloads that lies beside the project."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        missing("the folder ../shared with vectors and samples is absent")
    return folder
