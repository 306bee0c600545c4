"""The whole story as a user starts it, on a small sample; and started again, adding nothing."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from modelwitness import opened

SAMPLE = 6_000


def tell(data: Path, ports: tuple[int, int]) -> str:
    """Run the command and return what it printed.

    It leads a process group of its own, so that a run which hangs is stopped as from a keyboard.
    """
    command = [sys.executable, "-m", "modelwitness", "demo", "--exit", "--sample", str(SAMPLE)]
    command += ["--data", str(data), "--port", str(ports[0]), "--dashboard-port", str(ports[1])]
    process = subprocess.Popen(
        command,
        env={**os.environ, "COLUMNS": "120"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        printed, _ = process.communicate(timeout=200)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)  # by which it stops its own processes
        printed, _ = process.communicate(timeout=60)
    assert process.returncode == 0, printed
    return printed


def counts(data: Path) -> Counter[str]:
    found: Counter[str] = Counter()
    with opened(data) as parts:
        for row in parts.store.counts.series():
            found[row.type] += row.count
    return found


def cases(data: Path) -> list[Any]:
    with opened(data) as parts:
        return [json.loads(body) for _, body in parts.store.documents.list("case")]


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_year_is_told_once_however_often_it_is_started(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    ports = (free_port(), free_port())
    printed = tell(tmp_path, ports)
    first = counts(tmp_path)
    assert first["PredictionLogged"] == SAMPLE
    assert first["OutcomeObserved"] == SAMPLE
    assert first["OversightRecorded"] > 0
    # Every month from February on, and August twice: version 1 predicted its first hours.
    assert first["DriftMeasured"] == 12
    assert first["RetrainingApproved"] == first["RetrainingAcknowledged"] == 1
    assert first["VersionReleased"] == 2
    assert first["LabelsExported"] == 1
    assert first["ConflictRecorded"] == 0
    logged = first["PredictionLogged"] + first["OutcomeObserved"] + first["OversightRecorded"]
    for told in ("2013-12", "v2", "dep_delay null", "simulated", f"{logged:,} events were added"):
        assert told in printed
    assert "expired" not in printed
    # Nothing listens any more: no address, but how to start it again and to verify without it.
    assert "http://" not in printed
    assert f"modelwitness up --data {tmp_path}" in printed
    assert f"modelwitness verify {tmp_path}/tiles --vkey" in printed
    # Whether it helped is said as the ledger says it.
    [case] = cases(tmp_path)
    assert case["outcome"] in printed
    assert " ".join(case["steps"][-1]["reason"].split()) in " ".join(printed.split())
    assert (tmp_path / "demo/tokens.json").stat().st_mode & 0o777 == 0o600

    again = tell(tmp_path, ports)
    second = counts(tmp_path)
    assert "later flights" in again
    assert f"Nothing was added: all {logged:,} events were already in the ledger." in again
    for kind in set(first) - {"AccessRecorded"}:
        assert second[kind] == first[kind], kind
