"""The migrations and the tables of `audit` say the same, on both databases."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT


def alembic(database: str, *words: str) -> str:
    asked = subprocess.run(
        [Path(sys.executable).parent / "alembic", *words],
        cwd=ROOT,
        env={**os.environ, "MODELWITNESS_DATABASE": database},
        capture_output=True,
        text=True,
        check=False,
    )
    assert asked.returncode == 0, asked.stdout + asked.stderr
    return asked.stdout


def test_a_new_database_brought_to_head_needs_no_further_migration(database: str) -> None:
    alembic(database, "upgrade", "head")
    assert "No new upgrade operations detected" in alembic(database, "check")


def test_the_history_has_one_head(database: str) -> None:
    assert len(alembic(database, "heads").splitlines()) == 1
