"""A store for each test, copied from one that was just made: faster than making it anew."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from audit.store import Store
from tests.drift.governance import HandClock, opened


@pytest.fixture(scope="session")
def new_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a store that nothing was logged to."""
    folder = tmp_path_factory.mktemp("new") / "data"
    opened(folder, HandClock()).close()
    return folder


@pytest.fixture
def clock() -> HandClock:
    """A clock that stands until the test moves it."""
    return HandClock()


@pytest.fixture
def data(tmp_path: Path, new_store: Path) -> Path:
    """The directory of this test's own new store."""
    return Path(shutil.copytree(new_store, tmp_path / "data"))


@pytest.fixture
def store(data: Path, clock: HandClock) -> Iterator[Store]:
    """This test's own new store, open."""
    found = opened(data, clock)
    yield found
    found.close()
