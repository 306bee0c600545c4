"""The built wheel, installed by itself and used from outside the checkout.

    python check_wheel.py CHECKOUT     (with the python of the wheel's own environment)

The checkout is only read for the list of files that the wheel must carry.
"""

import contextlib
import importlib
import importlib.metadata
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

ROOMS = ("audit", "collector", "drift", "dashboard")
COMMAND = Path(sys.executable).parent / "modelwitness"
PREDICTION = {
    "id": "order-1001",
    "time": "2026-01-05T10:00:00Z",
    "model": {"name": "fraud", "version": "3"},
    "inputs": {"amount": 129.5, "country": "NO"},
    "output": "accept",
    "score": 0.03,
    "latency_ms": {"total": 12.4},
}


def main(checkout: Path) -> None:
    """Every check in turn; the first that fails ends the program with status 1."""
    site = Path(str(importlib.metadata.distribution("modelwitness").locate_file(""))).resolve()
    folder = Path.cwd().resolve()
    assert not folder.is_relative_to(checkout), "run this from outside the checkout"
    assert not site.is_relative_to(checkout), "the wheel is not installed, the checkout is"
    the_names_are_ours_alone(site)
    nothing_is_left_behind(site, checkout)
    told = run("--help")
    assert "serve" in told
    with tempfile.TemporaryDirectory() as data, serving(Path(data)) as (url, log):
        a_prediction_gets_a_receipt_that_verifies(url, data, log)
    print("wheel: installed alone, it serves, answers with a receipt, and verifies")


def the_names_are_ours_alone(site: Path) -> None:
    """A second package with one of our top-level names would overwrite ours without a word."""
    owners = importlib.metadata.packages_distributions()
    for name in (*ROOMS, "modelwitness"):
        assert set(owners[name]) == {"modelwitness"}, f"{name} belongs to {owners[name]}"
        module = importlib.import_module(name)
        assert Path(str(module.__file__)).resolve().is_relative_to(site), f"{name} is not installed"
    for name in ("migrations", "tests"):
        assert name not in owners, f"{name} must not be a top-level name of the wheel"


def nothing_is_left_behind(site: Path, checkout: Path) -> None:
    """Templates, styles, policies, pictures and migrations travel with the code."""
    places = {room: room for room in ROOMS} | {"migrations": "audit/_migrations"}
    for source, target in places.items():
        for path in (checkout / source).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                copied = site / target / path.relative_to(checkout / source)
                assert copied.is_file(), f"the wheel lacks {path.relative_to(checkout)}"


def a_prediction_gets_a_receipt_that_verifies(url: str, data: str, log: Path) -> None:
    """The shortest way through the product, as the README tells it."""
    token = made(run("tokens", "create", "--data", data, "--role", "integration",
                     "--integration", "shop"))  # fmt: skip
    headers = {"Authorization": f"Bearer {token}"}
    answer = httpx.post(f"{url}/v1/predictions", json=PREDICTION, headers=headers, timeout=30)
    assert answer.status_code == 201, f"{answer.status_code} {answer.text}\n{log.read_text()}"
    receipt = answer.json()
    assert receipt["tree_size"] > receipt["index"] >= 0
    assert receipt["duplicate"] is False
    reader = made(run("tokens", "create", "--data", data, "--role", "audit", "--actor", "checker"))
    described = httpx.get(f"{url}/v1/log", headers={"Authorization": f"Bearer {reader}"})
    assert described.status_code == 200, described.text
    vkey = json.loads(described.text)["vkey"]
    run("verify", f"{url}/log/main", "--vkey", vkey)


def made(told: str) -> str:
    """The token in what `tokens create` printed."""
    found = re.search(r"mw_[A-Za-z0-9_-]{43}", told)
    assert found, "tokens create printed no token"
    return found.group()


def run(*arguments: str) -> str:
    """What the installed command prints; a failure ends the check."""
    done = subprocess.run(
        [COMMAND, *arguments], capture_output=True, text=True, check=False, timeout=120
    )
    words = " ".join(arguments[:2])
    assert done.returncode == 0, f"modelwitness {words} gave {done.returncode}: {done.stderr}"
    return done.stdout


@contextlib.contextmanager
def serving(data: Path) -> Iterator[tuple[str, Path]]:
    """`modelwitness serve` alone over a new folder: its address and the file of its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", data / "serve.log"
    command = [str(COMMAND), "serve", "--data", str(data), "--port", str(port)]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output) as server,
    ):
        try:
            deadline = time.monotonic() + 60
            while not ready(url):
                assert server.poll() is None, f"serve stopped by itself:\n{log.read_text()}"
                assert time.monotonic() < deadline, f"serve was not ready:\n{log.read_text()}"
                time.sleep(0.1)
            yield url, log
        finally:
            server.terminate()
            server.wait(30)


def ready(url: str) -> bool:
    """Whether the server says that its database answers."""
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.TransportError:
        return False


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
