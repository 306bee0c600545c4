"""Environments of other programs for the tests, each apart from ours and from the others.

Decides that one is made from its lock once, below var/environments, with every file checked
against its hash, and is there again at once as long as the lock stays. Where it cannot be made
(no index is reached), the test skips with pip's last words, and fails in CI.
"""

import fcntl
import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

from tests.conftest import ROOT, missing

_SECONDS = 240


def environment(name: str) -> Path:
    """The folder of programs of an environment; made where it is not there yet."""
    lock = ROOT / "tests" / "environments" / f"{name}.lock"
    folder = ROOT / "var" / "environments" / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    wanted = f"{hashlib.sha256(lock.read_bytes()).hexdigest()} {sys.version}"
    stamp = folder / "installed"
    with (folder.parent / f"{name}.making").open("w") as making:
        fcntl.flock(making, fcntl.LOCK_EX)  # tests run side by side
        if not stamp.is_file() or stamp.read_text() != wanted:
            venv.create(folder, with_pip=True, symlinks=True, clear=folder.exists())
            _install(name, folder, lock)
            stamp.write_text(wanted)
    return folder / "bin"


def _install(name: str, folder: Path, lock: Path) -> None:
    command = [
        *(str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-input"),
        *("--disable-pip-version-check", "--progress-bar", "off", "--no-compile"),
        *("--no-deps", "--require-hashes", "--only-binary", ":all:", "--retries", "1"),
        *("-r", str(lock)),
    ]
    bare = {k: v for k, v in os.environ.items() if k not in {"PYTHONPATH", "PYTHONHOME"}}
    try:
        made = subprocess.run(
            command, env=bare, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        missing(f"the environment {name} was not made within {_SECONDS} s")
    if made.returncode:
        missing(f"the environment {name} cannot be made: {made.stderr.strip()[-300:]}")
