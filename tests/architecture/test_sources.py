"""Rules that hold for every file: names, sizes, addresses, and a reason for every exception."""

import importlib.metadata
import os
import re
import sys
import tokenize
from fnmatch import fnmatch
from functools import cache
from pathlib import Path

from tests.conftest import ROOT

ROOMS = ("audit", "collector", "drift", "dashboard", "migrations")
OURS = {*ROOMS, "tests", "modelwitness"}
LONGEST = 400
LONGER = {"audit/verify.py": "one file by design: a stranger gets it alone, and reads it whole"}
NOT_WRITTEN_BY_HAND = {"requirements.lock", "LICENSE"}
SIZED = {".py", ".md", ".toml", ".sql", ".yaml", ".yml", ".css", ".js", ""}

# Taken apart, so that this file does not find itself.
INDEXES = "|".join(
    ("py" + "pi", "python" + "hosted", "mir" + "ror", "artif" + "actory", "dev" + "pi")
)
INDEX_ADDRESS = re.compile(rf"https?://[^/\s\"'`]*(?:{INDEXES})|/sim" + r"ple/")
MACHINE_PATH = re.compile(r"(?<![\w.}>*/-])/(?:root|home|work|Users)/[\w.]")
IGNORE = re.compile(
    r"#\s*(?:noqa|type:\s*ignore)(?::\s*[A-Z]+\d+(?:\s*,\s*[A-Z]+\d+)*|\[[^\]]*\])?"
)
REASON = re.compile(r"\w+\W+\w+")


@cache
def files() -> tuple[Path, ...]:
    """Every file of the project that .gitignore does not name; git itself may be absent."""
    ignored = [line.rstrip("/") for line in (ROOT / ".gitignore").read_text().split()]
    found: list[Path] = []
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [n for n in folders if n != ".git" and not _matches(n, ignored)]
        found += [Path(folder) / name for name in names if not _matches(name, ignored)]
    return tuple(sorted(found))


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch(name, pattern) for pattern in patterns)


def texts() -> list[tuple[str, str]]:
    """Name and text of every file that is text."""
    told = []
    for path in files():
        try:
            told.append((str(path.relative_to(ROOT)), path.read_text()))
        except UnicodeDecodeError:
            continue
    return told


def modules() -> list[Path]:
    return [path for path in files() if path.suffix == ".py"]


def test_no_top_level_name_is_that_of_a_dependency_or_of_the_standard_library() -> None:
    taken = set(sys.stdlib_module_names) | {
        name
        for name, distributions in importlib.metadata.packages_distributions().items()
        if set(distributions) != {"modelwitness"}
    }
    assert OURS.isdisjoint(taken), OURS & taken


def test_no_file_of_the_dashboard_shadows_a_dependency_the_standard_library_or_a_room() -> None:
    """Streamlit puts `dashboard/` first on sys.path: its files are top-level names there."""
    taken = set(sys.stdlib_module_names) | set(importlib.metadata.packages_distributions()) | OURS
    found = {path.stem for path in (ROOT / "dashboard").iterdir() if path.stem[0] not in "._"}
    assert found.isdisjoint(taken), found & taken


def test_no_file_names_a_package_index() -> None:
    assert [name for name, text in texts() if INDEX_ADDRESS.search(text)] == []


def test_no_file_names_a_path_of_somebodys_machine() -> None:
    assert [
        (name, found.group()) for name, text in texts() if (found := MACHINE_PATH.search(text))
    ] == []


def test_no_file_is_too_long_to_read() -> None:
    lengths = {
        name: text.count("\n")
        for name, text in texts()
        if Path(name).suffix in SIZED and name not in NOT_WRITTEN_BY_HAND
    }
    too_long = {name: lines for name, lines in lengths.items() if lines > LONGEST}
    assert too_long.keys() == LONGER.keys(), too_long


def test_every_ignore_carries_its_reason() -> None:
    bare = []
    for path in modules():
        with path.open("rb") as source:
            comments = {
                token.start[0]: token.string
                for token in tokenize.tokenize(source.readline)
                if token.type == tokenize.COMMENT
            }
        for line, comment in comments.items():
            if not IGNORE.search(comment):
                continue
            above = comments.get(line - 1, "")
            if not REASON.search(IGNORE.sub("", comment)) and not REASON.search(
                IGNORE.sub("", above)
            ):
                bare.append(f"{path.relative_to(ROOT)}:{line}")
    assert bare == []


def test_no_folder_of_tests_is_a_package() -> None:
    """`tests/audit/__init__.py` would shadow `audit`."""
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_the_lock_names_hashes_and_no_address() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = [line for line in lines if "==" in line]
    assert len(pins) > 100
    assert all(line.endswith("\\") for line in pins)
    assert not [line for line in lines if "://" in line or line.startswith("-")]
