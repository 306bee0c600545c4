"""The command line under a user's mistakes: one line that says what to do, and exit code 2."""

import getpass
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import modelwitness
from audit.roles import ROLES

SECRET = "hunter2"
PORT = "a free port"


@pytest.fixture
def run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command in an empty folder; gives exit code, output, errors."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["modelwitness"])

    def run(*words: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            modelwitness.main(words)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


Run = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tokens", "create"], "integration, data_scientist, ops"),
        (["tokens", "create", "--role", "king"], "integration, data_scientist, ops"),
        (["tokens", "create", "--role", "integration"], "Name the integration"),
        (["tokens", "revoke", "00"], "`list` beside"),
        (["signin", "ann", "--role", "king"], "integration, data_scientist, ops"),
        (["quarantine", "replay", "none"], "`list` beside"),
        (["cases", "approve", "none", "--reason", "yes"], "`list` beside"),
        (["cases", "reject", "none", "--reason", "no"], "`list` beside"),
        (["cases", "retry", "none"], "`cases dead`"),
        (["apply", "none.yaml"], "give a UTF-8 file that exists"),
        (["apply", "cut.yaml"], "not YAML at line 2"),
        (["apply", "half.yaml"], "model: is missing; name the model"),
        (["apply", "noise.yaml"], "give a UTF-8 file"),
        (["tokens", "list", "--data", "cut.yaml"], "Give --data a directory"),
        (["serve", "--port", PORT, "--data", "cut.yaml/below"], "Give --data a directory"),
        (["export", "--to", "cut.yaml/below"], "Check the name"),
        (["anchor", "--to", "cut.yaml/below"], "Check the name"),
        (["tokens", "list", "--database", SECRET], "Write sqlite:///PATH or postgresql"),
        (["tokens", "list", "--database", f"mysql://u:{SECRET}@h/d"], "Write sqlite:///PATH"),
        (
            ["serve", "--port", PORT, "--database", f"postgresql://u:{SECRET}@127.0.0.1:9/d"],
            "--database",
        ),
        (["keys", "show", "--database", "sqlite:////none/ledger.db"], "--database"),
    ],
)
def test_a_mistake_is_told_in_one_line_with_its_remedy(
    run: Run, tmp_path: Path, free_port: Callable[[], int], words: list[str], said: str
) -> None:
    words = [str(free_port()) if word == PORT else word for word in words]
    (tmp_path / "cut.yaml").write_text("kind: policy\nmodel: [")
    (tmp_path / "half.yaml").write_text("kind: policy\n")
    (tmp_path / "noise.yaml").write_bytes(b"\xff\xfe\x00")
    code, _, told = run(*words)
    assert code == 2, told
    assert told.startswith("modelwitness: ")
    assert told.count("\n") == 1
    assert said in told
    assert SECRET not in told


@pytest.mark.parametrize(
    "words",
    [
        ["nonsense"],
        ["serve", "--port", "many"],
        ["dashboard", "--port", "65536"],
        ["keys", "rotate", "all"],
        ["apply"],
        ["anchor"],
    ],
)
def test_a_misuse_is_told_with_where_to_read_more(run: Run, words: list[str]) -> None:
    code, _, told = run(*words)
    assert code == 2
    assert "--help" in told
    assert "Traceback" not in told


def test_fsck_of_no_store_cannot_tell_and_makes_none(run: Run, tmp_path: Path) -> None:
    code, told, _ = run("fsck", "--data", "nowhere")
    assert code == 2
    assert "cannot tell" in told.lower()
    assert not (tmp_path / "nowhere").exists()


def test_the_help_of_tokens_names_every_role(run: Run) -> None:
    code, told, _ = run("tokens", "create", "--help")
    assert code == 0
    assert [role for role in ROLES if role not in told] == []


def test_the_store_is_for_its_account_alone(run: Run, tmp_path: Path) -> None:
    assert run("tokens", "create", "--role", "ops")[0] == 0
    data = tmp_path / "var/data"
    assert data.stat().st_mode & 0o777 == 0o700
    secrets = [data / "ledger.db", *(data / "keys").iterdir()]
    assert len(secrets) >= 3
    assert [each for each in secrets if each.stat().st_mode & 0o077] == []


def test_a_journal_of_the_database_is_for_its_account_alone(tmp_path: Path) -> None:
    with modelwitness.opened(tmp_path / "data") as parts:
        parts.tokens.issue(getpass.getuser(), ["ops"])
        journals = list((tmp_path / "data").glob("ledger.db-*"))
        assert len(journals) == 2
        assert [each for each in journals if each.stat().st_mode & 0o077] == []
