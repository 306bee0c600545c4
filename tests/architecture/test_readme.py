"""The README is executed as far as it can be: its commands exist, its links lead somewhere."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()
# A block opened with ```sh checked promises that each line is a command of this version.
BLOCK = re.compile(r"^```sh checked\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"(?<!!)\[[^\]]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
BIN = Path(sys.executable).parent


def commands() -> list[str]:
    """Every command line of the checked blocks, continuation lines joined."""
    text = "\n".join(BLOCK.findall(README)).replace("\\\n", " ")
    return [line.split(" # ")[0].strip() for line in text.splitlines() if line.strip()]


@cache
def help_of(words: tuple[str, ...]) -> str | None:
    """What `modelwitness WORDS --help` says, or None if there is no such command."""
    asked = subprocess.run(
        [BIN / "modelwitness", *words, "--help"],
        capture_output=True, text=True, check=False, env={"COLUMNS": "200", "TERM": "dumb"},
    )  # fmt: skip
    return asked.stdout if asked.returncode == 0 else None


def test_the_readme_has_commands_to_check() -> None:
    assert any(line.startswith("make run") for line in commands())
    assert any("modelwitness serve" in line for line in commands())


@pytest.mark.parametrize("line", [c for c in commands() if "modelwitness " in c])
def test_every_modelwitness_command_of_the_readme_exists(line: str) -> None:
    words = shlex.split(line)
    start = next(i for i, word in enumerate(words) if Path(word).name == "modelwitness") + 1
    named: list[str] = []
    for word in words[start:]:
        if not re.fullmatch(r"[a-z]+", word) or help_of((*named, word)) is None:
            break
        named.append(word)
    told = help_of(tuple(named))
    assert named, f"no such command: {line}"
    assert told is not None
    options = [word.split("=")[0] for word in words[start:] if word.startswith("--")]
    assert [option for option in options if option not in told] == []


@pytest.mark.parametrize("line", [c for c in commands() if c.startswith("make ")])
def test_every_make_target_of_the_readme_exists(line: str) -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = [word for word in shlex.split(line)[1:] if "=" not in word]
    assert [t for t in targets if not re.search(rf"^{re.escape(t)}:", makefile, re.M)] == []


@pytest.mark.parametrize("link", sorted(set(LINK.findall(README))) or ["README.md"])
def test_every_link_of_the_readme_leads_somewhere(link: str) -> None:
    if re.match(r"[a-z]+:", link):  # the internet is not asked by tests
        return
    path, _, anchor = link.partition("#")
    target = ROOT / path if path else ROOT / "README.md"
    assert target.exists(), link
    if anchor:
        headings = HEADING.findall(target.read_text())
        slugs = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}
        assert anchor in slugs
