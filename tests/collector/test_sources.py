"""Streams in force: what is applied stands in the ledger, and is what `--declared` means."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

import modelwitness
from audit import fsck
from audit.clock import system_clock
from audit.errors import BadDeclaration, Rejected
from audit.settings import AuditSettings
from collector.streams.applied import apply_text, in_force

STREAM = """
kind: stream
name: decisions
broker: redis
address: env:BROKER
topics: [decisions]
integration: fraud
format: predictions
security: {username: me, password: env:PASSWORD}
"""


def test_a_stream_is_in_force_when_it_is_applied_and_changes_when_it_says_something_new(
    tmp_path: Path,
) -> None:
    with modelwitness.opened(tmp_path) as parts:
        store = parts.store
        first = apply_text(store, STREAM, "me", clock=system_clock)
        again = apply_text(store, f"# the same\n{STREAM}", "me", clock=system_clock)
        assert (first.changed, again.changed, again.index) == (True, False, first.index)
        [stream], strange = in_force(store.documents)
        assert (stream.topics, stream.security.password) == (("decisions",), "env:PASSWORD")
        assert strange == []
        other = apply_text(store, f"{STREAM}batch: 5\n", "me", clock=system_clock)
        assert in_force(store.documents)[0][0].batch == 5
        back = apply_text(store, STREAM, "me", clock=system_clock)
        assert first.index < other.index < back.index
        apply_text(store, f"{STREAM}paused: true\n", "me", clock=system_clock)
        assert in_force(store.documents) == ([], [])
    settings = AuditSettings(data=tmp_path)
    told: list[str] = []
    found = fsck.run(
        settings, deep=True, earlier=[], report=told.append, projections=modelwitness.projections()
    )
    assert found == fsck.OK, told


def test_a_wrong_file_changes_nothing(tmp_path: Path) -> None:
    with modelwitness.opened(tmp_path) as parts:
        with pytest.raises(BadDeclaration):
            apply_text(
                parts.store, STREAM.replace("predictions", "guesses"), "me", clock=system_clock
            )
        assert in_force(parts.store.documents) == ([], [])


def test_the_command_applies_it_and_consume_wants_to_know_what(tmp_path: Path) -> None:
    file = tmp_path / "stream.yaml"
    file.write_text(STREAM)
    data = ["--data", str(tmp_path / "data")]
    runner = CliRunner()
    for state in ("in force now", "already in force"):
        applied = runner.invoke(modelwitness.app, ["apply", str(file), *data])
        assert (applied.exit_code, state in applied.output) == (0, True), applied.output
    nothing = runner.invoke(modelwitness.app, ["consume", *data])
    assert nothing.exit_code != 0
    assert isinstance(nothing.exception, Rejected)
    assert "--declared" in nothing.exception.remedy
