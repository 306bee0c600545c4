"""References to secrets: the same rule in every room."""

from pathlib import Path

import pytest

from audit.errors import Rejected
from audit.references import ENVIRONMENT, MOST_BYTES, PATTERN, resolve, revealed


def test_a_file_counts_but_for_its_last_line_break(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    for written, meant in (
        (b"a secret \n", b"a secret "),
        (b" two\nlines\r\n", b" two\nlines"),
        (b"bare", b"bare"),
        (b"\n", b""),
        (b"x" * MOST_BYTES + b"\r\n", b"x" * MOST_BYTES),
        (b"x" * (MOST_BYTES + 1), b""),
    ):
        path.write_bytes(written)
        assert resolve(f"file:{path}", {}) == meant
    assert resolve(f"file:{path}.gone", {}) == b""
    assert resolve(f"file:{tmp_path}", {}) == b""
    assert resolve("file:a\0b", {}) == b""


def test_a_variable_counts_as_it_is() -> None:
    environment = {"A": " x ", "LONG": "x" * (MOST_BYTES + 1), "BYTES": "\udcff"}
    assert resolve("env:A", environment) == b" x "
    assert resolve("env:LONG", environment) == resolve("env:B", environment) == b""
    assert resolve("env:BYTES", environment) == b"\xff"


def test_what_is_no_reference_stands_for_itself_and_what_is_empty_is_refused_by_name() -> None:
    assert revealed("broker:9092", {}) == "broker:9092"
    assert revealed("env:A", {"A": "x"}) == "x"
    for environment in ({}, {"A": "\udcff"}):
        with pytest.raises(Rejected, match="env:A holds nothing"):
            revealed("env:A", environment)


def test_a_reference_has_no_blanks_and_no_strange_names() -> None:
    assert PATTERN.fullmatch("env:KEY_1")
    assert PATTERN.fullmatch("file:/run/secrets/key")
    for text in ("env:1", "env:A B", "file:", "file:a b", "hunter2", "ENV:A"):
        assert not PATTERN.fullmatch(text), text
    assert not ENVIRONMENT.fullmatch("file:/run/secrets/key")
