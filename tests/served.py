"""A real `modelwitness serve` beside a test: started, waited for, stopped."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

BIN = Path(sys.executable).parent


@contextlib.contextmanager
def serving(words: list[str], port: int, folder: Path, **environment: str) -> Iterator[Path]:
    """`modelwitness WORDS` during the block, ready before it begins; gives its log file."""
    told = folder / "told"
    with (
        told.open("wb") as output,
        subprocess.Popen(
            [BIN / "modelwitness", *words],
            cwd=folder,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        ) as server,
    ):
        try:
            wait_ready(server, port)
            yield told
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(30)


def wait_ready(server: subprocess.Popen[bytes], port: int) -> None:
    """Wait until a server answers that it is ready; it must not end before."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        assert server.poll() is None, "serve stopped by itself"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    pytest.fail("serve was not ready within a minute")
