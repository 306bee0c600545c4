"""A newcomer's first quarter of an hour: the README's own lines, run as they stand there."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, missing
from tests.served import serving

README = (ROOT / "README.md").read_text()
BIN = Path(sys.executable).parent


def line_of(command: str) -> str:
    """The README's line that runs this command of modelwitness."""
    found = re.search(rf"^\.venv/bin/(modelwitness {command}.*)$", README, re.MULTILINE)
    assert found, f"the README does not show modelwitness {command}"
    return found.group(1)


@pytest.mark.slow
def test_the_readmes_first_prediction_gets_a_receipt_that_verifies(
    free_port: Callable[[], int], tmp_path: Path
) -> None:
    if shutil.which("curl") is None:
        missing("curl is not installed; `make services` installs it")
    port = free_port()
    shell = {**os.environ, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}

    def run(text: str) -> str:
        here = text.replace("var/first", str(tmp_path / "first")).replace("8600", str(port))
        done = subprocess.run(
            ["bash", "-c", here],
            cwd=tmp_path,
            env=shell,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{here}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    serve = shlex.split(line_of("serve").replace("var/first", str(tmp_path / "first")))
    with serving([*serve[1:-1], str(port)], port, tmp_path):
        shell["TOKEN"] = run(line_of("tokens create")).split()[-1]
        post = re.search(r"^curl -s \S+/v1/predictions.*?^  }'$", README, re.DOTALL | re.MULTILINE)
        shown = re.search(r"^```json\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
        assert post
        assert shown
        receipt, promised = json.loads(run(post.group())), json.loads(shown.group(1))
        assert receipt.keys() == promised.keys()
        assert receipt["id"] == promised["id"]
        again = json.loads(run(post.group()))
        assert again == {**receipt, "duplicate": True}
        posts = r"^curl -s \S+/v1/(?:outcomes|oversight).*?^  }'$"
        later = re.findall(posts, README, re.DOTALL | re.MULTILINE)
        described = re.search(r"^curl -s \S+/v1/log .*$", README, re.MULTILINE)
        assert described
        shell["VKEY"] = json.loads(run(described.group()))["vkey"]
        assert shell["VKEY"] in run(line_of("keys show"))
        run(line_of("verify http"))
        run(line_of("fsck"))
        assert len(later) == 2
        for each in later:
            assert json.loads(run(each))["duplicate"] is False
        fetched = re.search(r"^curl -s \S+/v1/entries/\d+/proof .*$", README, re.MULTILINE)
        assert fetched
        shell["AUDITOR"] = run(line_of("tokens create .*--role audit")).split()[-1]
        run(re.sub(r"/entries/\d+/", f"/entries/{receipt['index']}/", fetched.group()))
        proved = line_of("verify order")
        assert f"entry {receipt['index']} is in the log that was signed" in run(proved)
        run(f"{proved} --leaf-hash {receipt['leaf_hash']}")
        policy = re.search(r"^```yaml\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
        assert policy
        (tmp_path / "policy.yaml").write_text(policy.group(1))
        assert "fraud" in (applied := run(line_of("apply")))
        assert "in force now" in applied
        assert "already in force" in run(line_of("apply"))
