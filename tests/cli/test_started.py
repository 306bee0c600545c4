"""What processes say when they start, when they stop, and when they cannot start."""

import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psutil
import pytest

COMMAND = [sys.executable, "-m", "modelwitness"]
LINE = r"data store, database \S+/store/ledger\.db, process \d+\n"


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield int(other.getsockname()[1])


def words(name: str, port: int, pages: int) -> list[str]:
    if name == "dashboard":
        return [name, "--port", str(pages)]
    store = [name, "--data", "store", "--port", str(port)]
    return store if name == "serve" else [*store, "--dashboard-port", str(pages)]


@pytest.mark.parametrize(
    ("name", "option"),
    [
        ("serve", "--port"),
        ("dashboard", "--port"),
        ("up", "--port"),
        ("up", "--dashboard-port"),
        ("demo", "--port"),
        ("demo", "--dashboard-port"),
    ],
)
def test_a_taken_port_is_refused_before_anything_is_started(
    name: str, option: str, taken: int, free_port: Callable[[], int], tmp_path: Path
) -> None:
    pages = name == "dashboard" or option == "--dashboard-port"
    ports = (free_port(), taken) if pages else (taken, free_port())
    asked = subprocess.run(
        [*COMMAND, *words(name, *ports)],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert asked.returncode == 2
    assert asked.stdout == ""
    assert asked.stderr.count("\n") == 1
    assert f"port {taken} of 127.0.0.1 is taken" in asked.stderr
    assert option in asked.stderr
    assert list(tmp_path.iterdir()) == []


def started(folder: Path, *more: str) -> "subprocess.Popen[str]":
    environment = {**os.environ, "MODELWITNESS_DRIFT_TICK": "3"}
    return subprocess.Popen(
        [*COMMAND, *more], cwd=folder, env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_says_where_it_listens_and_that_it_stopped(
    number: signal.Signals, free_port: Callable[[], int], tmp_path: Path
) -> None:
    port = free_port()
    with started(tmp_path, "serve", "--data", "store", "--port", str(port)) as server:
        assert server.stdout is not None
        line = server.stdout.readline()
        assert re.fullmatch(rf"modelwitness serve: http://127\.0\.0\.1:{port}, {LINE}", line)
        assert f"process {server.pid}" in line
        assert httpx.get(f"http://127.0.0.1:{port}/healthz").status_code == 200
        server.send_signal(number)
        assert server.stdout.read() == "modelwitness serve: stopped\n"
        assert server.wait(30) == 0


def test_schedule_says_that_it_runs_and_that_it_stopped(tmp_path: Path) -> None:
    with started(tmp_path, "schedule", "--data", "store") as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert re.fullmatch(rf"modelwitness schedule: every 3 s, {LINE}", line)
        process.send_signal(signal.SIGTERM)
        assert process.stdout.read() == "modelwitness schedule: stopped\n"
        assert process.wait(60) == 0


def test_serve_that_loses_its_ledger_ends_with_an_error(
    free_port: Callable[[], int], tmp_path: Path
) -> None:
    """A supervisor must see that this was no stop that somebody asked for."""
    words = ("serve", "--data", "store", "--port", str(free_port()))
    with started(tmp_path, *words) as server:
        assert server.stdout is not None
        server.stdout.readline()
        [ledger] = psutil.Process(server.pid).children()
        ledger.kill()
        told = server.stdout.read()
        assert "the process that holds the ledger ended" in told
        assert "stopped" not in told
        assert server.wait(30) == 2


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_a_child_that_dies_ends_the_demonstration_with_its_name(
    free_port: Callable[[], int], tmp_path: Path
) -> None:
    words = ["demo", "--data", "store", "--sample", "6000"]
    words += ["--port", str(free_port()), "--dashboard-port", str(free_port())]
    with started(tmp_path, *words) as parent:
        assert parent.stdout is not None
        assert any("2013-02" in line for line in parent.stdout)  # the first month that is judged
        for child in psutil.Process(parent.pid).children():
            if "schedule" in child.cmdline():
                child.kill()
        told = parent.stdout.read()
        assert "schedule ended by signal 9" in told
        assert "signin?code=" not in told
        assert parent.wait(60) == 2
