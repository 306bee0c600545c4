"""`modelwitness consume` over files: applied or given, beside streams, secrets by reference."""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

import modelwitness
from audit.clock import system_clock
from audit.errors import BadDeclaration, Busy
from collector.consumption import declared_in, in_force
from collector.files import applied
from collector.files.declaration import parse
from tests.collector.files.consumed import line, watching
from tests.collector.streams.counted import Ledger

STREAM = """
{kind: stream, name: drop, broker: redis, address: "127.0.0.1:1", topics: [t],
 integration: scoring, format: predictions}
"""


def text(location: Path, **more: str) -> str:
    lines = {"kind": "files", "name": "drop", "integration": "scoring", **more}
    return json.dumps({**lines, "rows": "predictions", "location": str(location), "every": "1s"})


def test_what_was_applied_is_watched_as_it_changes(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    ledger, port = Ledger(tmp_path / "data"), free_port()
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / f"{name}.jsonl").write_bytes(line(name))

    def apply(name: str) -> str:
        (tmp_path / "applied.yaml").write_text(text(tmp_path / name))
        words = ("-m", "modelwitness", "apply", tmp_path / "applied.yaml", "--data", ledger.data)
        done = subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "in force now" in apply("a")
    assert "already in force" in apply("a")
    with (
        ledger.watched() as until,
        watching(
            tmp_path, ledger.data, location="-", what=("--declared", "--metrics-port", str(port))
        ) as process,
    ):
        until(1, process)
        apply("b")
        until(3, process)  # the declaration and its row
        told = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert re.search(r'^modelwitness_files_rows_total\{files="drop"\} 2\.0$', told, re.M)
        assert process.stop() == 0
        assert "drop: 0 files, 2 rows, 2 events logged" in process.told()
    assert {body["id"] for body in ledger.bodies()} == {"a", "b"}


def test_streams_and_files_go_together_and_what_is_paused_is_left_out(tmp_path: Path) -> None:
    wanted = declared_in([STREAM, text(tmp_path), text(tmp_path, name="other")])
    assert ([each.name for each in wanted.streams], [each.name for each in wanted.files]) == (
        ["drop"],
        ["drop", "other"],
    )
    paused = text(tmp_path).replace('"every"', '"paused": true, "every"')
    assert declared_in([paused]).files == []
    with pytest.raises(BadDeclaration, match="twice"):
        declared_in([text(tmp_path), text(tmp_path)])
    with modelwitness.opened(tmp_path / "data") as parts:
        for each in (text(tmp_path, name="on"), paused):
            applied.apply_text(parts.store, each, "ann", clock=system_clock)
        found, strange = in_force(parts.store.documents)
        assert ([each.name for each in found.files], strange) == (["on"], [])


def test_options_are_resolved_when_the_place_is_opened(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("by file\n")
    files = parse(
        "{kind: files, name: a, integration: b, location: 'memory://captures',"
        f" options: {{key: env:KEY, secret: 'file:{tmp_path}/secret', anon: false, n: 7}}}}"
    )
    assert files.options["anon"] is False
    place = applied.opened(files, {"KEY": "by name"})
    assert place.list().found == []
    options = place._system.storage_options  # type: ignore[attr-defined]  # fsspec keeps them
    assert options == {"key": "by name", "secret": "by file", "anon": False, "n": 7}
    with pytest.raises(Busy, match="secret"):
        applied.opened(files, {})


def test_a_place_whose_client_is_not_installed_is_told_as_such(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "data")
    with watching(tmp_path, ledger.data, location="s3://bucket/captures") as process:
        process.await_told("install the package that reads such addresses, such as s3fs")
        assert process.stop() == 0
