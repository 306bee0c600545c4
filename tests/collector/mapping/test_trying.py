"""`modelwitness mapping try` shows what would be logged, and says what is wrong where it is."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from collector.mapping.commands import add_to

MAPPING = """
kind: mapping
name: credit-scores
items: data
events:
  - type: prediction
    fields:
      id: id
      time: {path: at, time: ms}
      inputs: {object: {income: income}}
      output: result
      context.region: {header: x-region}
"""
INTEGRATION = """
kind: integration
name: loans
adapter: mapping
model: {name: credit, version: "3"}
credential: {verify: header, secrets: [env:LOANS_SECRET], options: {header: x-secret}}
mapping:
  items: data
  events:
    - type: prediction
      fields:
        id: id
        time: {path: at, time: ms}
        inputs: {object: {income: income}}
"""
GOOD = b'{"data":[{"id":"a","at":1700000000000,"income":3,"result":"x"}]}'
BAD = b'{"data":[{"id":"a","at":1700000000000,"income":3},{"id":"b","income":3}]}'


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    add_to(app)
    return app


def tried(app: typer.Typer, folder: Path, text: str, body: bytes, *more: str) -> tuple[int, str]:
    (folder / "file.yaml").write_text(text)
    (folder / "body").write_bytes(body)
    words = ["mapping", "try", str(folder / "file.yaml"), "--sample", str(folder / "body"), *more]
    found = CliRunner().invoke(app, words)
    return found.exit_code, found.output


def test_the_events_of_a_mapping_are_shown_as_they_would_be_sealed(
    app: typer.Typer, tmp_path: Path
) -> None:
    code, said = tried(app, tmp_path, MAPPING, GOOD, "--header", "X-Region: eu")
    assert code == 0
    assert "PredictionLogged of sample 1" in said
    assert '"output": "x"' in said
    assert '"region": "eu"' in said


def test_a_whole_declaration_can_be_tried_without_its_secrets(
    app: typer.Typer, tmp_path: Path
) -> None:
    code, said = tried(app, tmp_path, INTEGRATION, GOOD)
    assert (code, "PredictionLogged of credit 3" in said) == (0, True)


def test_an_item_that_does_not_fit_is_shown_with_place_and_remedy(
    app: typer.Typer, tmp_path: Path
) -> None:
    code, said = tried(app, tmp_path, MAPPING, BAD)
    assert code == 1
    assert "PredictionLogged of sample 1" in said
    assert "refused at /time" in said


def test_a_body_that_is_no_json_is_refused_and_not_a_fault_of_the_program(
    app: typer.Typer, tmp_path: Path
) -> None:
    code, said = tried(app, tmp_path, MAPPING, b"{")
    assert code == 1
    assert "not valid JSON" in said
