"""What the tests of the log share: the folder of published test vectors."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def vectors() -> Path:
    """Folder `vectors`, kept beside the project and not inside it."""
    folder = Path(__file__).parents[3] / "shared" / "vectors"
    if not folder.is_dir():
        reason = "the folder shared/vectors is not beside the project"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return folder
