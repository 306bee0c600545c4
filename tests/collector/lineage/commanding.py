"""Commands of modelwitness, as a person types them in a folder."""

import re
import subprocess
import sys
from pathlib import Path


def run(folder: Path, *words: str) -> str:
    """What a command prints."""
    done = subprocess.run(
        [Path(sys.executable).parent / "modelwitness", *words],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return re.sub(r"\x1b\[[0-9;]*m", "", done.stdout)
