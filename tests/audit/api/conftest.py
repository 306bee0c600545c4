"""A read API over a real store, one for each test."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audit.reading import Site, open_site


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store that was just made: copying it is faster than making one for each test."""
    folder = tmp_path_factory.mktemp("new")
    made = open_site(folder)
    made.store.close()
    return folder


@pytest.fixture
def site(tmp_path: Path, new_store: Path) -> Iterator[Site]:
    """A new store with its read API."""
    folder = tmp_path / "data"
    shutil.copytree(new_store, folder)
    found = open_site(folder)
    with found.client:
        yield found
    found.store.close()
