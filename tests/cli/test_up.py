"""`modelwitness up`: however it ends, its three children end too."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_children_end_with_their_parent(
    number: signal.Signals, free_port: Callable[[], int], tmp_path: Path
) -> None:
    port, pages = free_port(), free_port()
    words = ["--data", "data", "--port", str(port), "--dashboard-port", str(pages)]
    with subprocess.Popen(
        [sys.executable, "-m", "modelwitness", "up", *words],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        try:
            assert parent.stdout is not None
            assert any("Stop with Ctrl-C" in line for line in parent.stdout)
            children = psutil.Process(parent.pid).children(recursive=True)
            assert len(children) >= 3
            assert not is_free(port)
            assert not is_free(pages)
        finally:
            parent.send_signal(number)
        parent.wait(60)
        assert parent.returncode == (0 if number == signal.SIGTERM else -signal.SIGKILL)
        deadline = time.monotonic() + 20
        while not (is_free(port) and is_free(pages)):
            assert time.monotonic() < deadline, "the ports are still taken"
            time.sleep(0.05)
        # A judge that is just loading Evidently is let finish, for as long as a child may take.
        _, alive = psutil.wait_procs(children, timeout=60)
        assert alive == []
