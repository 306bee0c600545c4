"""kill -9 of the server under load, over SQLite."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.crash.rounds import run


@pytest.mark.timeout(600)
def test_what_was_acknowledged_survives_a_killed_server(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    counts = run(tmp_path, "", 20, 1, free_port)
    assert counts["acknowledged"] > 100


@pytest.mark.soak
@pytest.mark.timeout(0)
def test_what_was_acknowledged_survives_500_kills(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    counts = run(tmp_path, "", 500, 2, free_port)
    assert counts["acknowledged"] > 2500
