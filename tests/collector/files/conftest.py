"""What tests of files share."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.collector.files.watched import Place


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """A store and a folder of its own."""
    found = Place(tmp_path)
    yield found
    found.store.close()
