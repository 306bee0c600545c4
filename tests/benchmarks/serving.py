"""A server under measurement: `modelwitness serve` on a free port, over SQLite or PostgreSQL."""

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Server:
    """A running server, where its store is and a token to send with."""

    port: int
    data: Path
    database: str
    token: str
    process: psutil.Process

    def load(self, requests: Sequence[bytes], connections: int) -> dict[str, float]:
        """Send the requests from another process; returns seconds, p50_ms and p99_ms."""
        path = self.data / "requests"
        path.write_bytes(b"".join(len(each).to_bytes(4) + each for each in requests))
        done = subprocess.run(
            [sys.executable, HERE / "load.py", "127.0.0.1", str(self.port), str(connections), path],
            capture_output=True,
            text=True,
            check=True,
            timeout=300,
        )
        found: dict[str, Any] = json.loads(done.stdout)
        statuses = found.pop("statuses")
        if set(statuses) - {"200", "201"}:
            raise RuntimeError(f"the server refused some requests: {statuses}")
        return found

    def memory_mb(self) -> float:
        """Return the resident memory of the server and of the process that holds its ledger."""
        both = [self.process, *self.process.children(recursive=True)]
        return float(sum(each.memory_info().rss for each in both)) / 1e6

    def post(self, path: str, body: bytes) -> bytes:
        """Return a request to `path`."""
        head = (
            f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {self.token}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body

    def get(self, path: str, token: str) -> bytes:
        """Return a request for `path`."""
        return (
            f"GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {token}\r\n\r\n"
        ).encode()


@contextmanager
def serving(data: Path, database: str = "") -> Iterator[Server]:
    """Start a server whose store is in `data` (and `database`); stop it afterwards."""
    store = ["--data", str(data), *(["--database", database] if database else [])]
    command = [sys.executable, "-m", "modelwitness"]
    if database:
        subprocess.run([*command, "migrate", *store], check=True, capture_output=True)
    token = create_token(data, database, "integration", "--integration", "crm")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with subprocess.Popen([*command, "serve", *store, "--port", str(port)]) as process:
        try:
            _await(f"http://127.0.0.1:{port}/readyz")
            yield Server(port, data, database, token, psutil.Process(process.pid))
        finally:
            process.terminate()


def create_token(data: Path, database: str, role: str, *more: str) -> str:
    """Return a new token."""
    store = ["--data", str(data), *(["--database", database] if database else [])]
    made = subprocess.run(
        [sys.executable, "-m", "modelwitness", "tokens", "create", "--role", role, *more, *store],
        check=True,
        capture_output=True,
        text=True,
    )
    return made.stdout.strip()


def _await(address: str) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    raise RuntimeError("the server did not start")
