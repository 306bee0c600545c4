"""collector/README.md is complete: it names every file, folder and option that there is."""

import re

import pytest

from collector.adapters.registry import ADAPTERS
from collector.integrations.proof import EVERYWHERE
from collector.integrations.verifiers import VERIFIERS
from tests.conftest import ROOT

COLLECTOR = ROOT / "collector"
README = (COLLECTOR / "README.md").read_text()
CODE = re.compile(r"`([^`]+)`")


def section(title: str) -> str:
    """What stands under a heading."""
    return README.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(text: str) -> list[list[str]]:
    """The cells of a table's rows."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


def test_the_table_names_every_file_and_folder_and_no_other() -> None:
    first = README.partition("\n## ")[0]
    named = [name for row in rows(first) for name in CODE.findall(row[0])]
    files = {path.name for path in COLLECTOR.glob("*.py")} - {"__init__.py"}
    folders = {f"{path.parent.name}/" for path in COLLECTOR.glob("*/__init__.py")}
    assert sorted(named) == sorted(files | folders)


@pytest.mark.parametrize("adapter", [each for each in ADAPTERS if ADAPTERS[each].options])
def test_every_option_of_an_adapter_is_named_beside_it(adapter: str) -> None:
    told = [row[1] for row in rows(section("Options")) if f"`{adapter}`" in row[0]]
    named = {name for cell in told for name in CODE.findall(cell)}
    assert ADAPTERS[adapter].options.keys() - named == set()


def test_every_verifier_and_its_options_are_named() -> None:
    named = set(CODE.findall(section("Credentials")))
    options = {each for verifier in VERIFIERS.values() for each in verifier.options}
    assert (options | EVERYWHERE.keys()) - named == set()
    # `-v2` stands for the row's other names that end so.
    assert [name for name in VERIFIERS if not any(name.endswith(each) for each in named)] == []
