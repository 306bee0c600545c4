"""A real server, killed -9 between the halves of a call: one prediction, none lost or doubled."""

import json
import os
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from tests.collector.adapters.servers import posted
from tests.served import BIN, wait_ready

SECRET = "a-secret-of-many-letters"
DECLARATION = """
kind: integration
name: serving
owner: platform
adapter: kserve
credential: {verify: header, secrets: [env:SERVING], options: {header: X-Secret}}
model: {name: iris, version: "3"}
"""


def run(folder: Path, *words: str) -> str:
    done = subprocess.run(
        [BIN / "modelwitness", *words, "--data", "data"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return done.stdout


@pytest.mark.slow
def test_a_server_killed_between_two_halves_loses_and_doubles_nothing(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    (tmp_path / "serving.yaml").write_text(DECLARATION)
    assert "in force now" in run(tmp_path, "apply", "serving.yaml")
    assert "already in force" in run(tmp_path, "apply", "serving.yaml")
    person = run(tmp_path, "tokens", "create", "--role", "ops").split()[-1]
    halves = [posted("kserve/v1_request.http"), posted("kserve/v1_response.http")]
    # Each half, its redelivery, the other: the server dies after every answer.
    for each in (halves[0], halves[0], halves[1], halves[1]):
        port = free_port()
        with (tmp_path / "told").open("ab") as told:
            server = subprocess.Popen(
                [BIN / "modelwitness", "serve", "--data", "data", "--port", str(port)],
                cwd=tmp_path,
                env={**os.environ, "SERVING": SECRET},
                stdout=told,
                stderr=told,
            )
        try:
            wait_ready(server, port)
            answer = httpx.post(
                f"http://127.0.0.1:{port}/in/serving",
                content=each.body,
                headers=[*each.headers, (b"x-secret", SECRET.encode())],
                timeout=30,
            )
            assert answer.status_code == 200, answer.text
            found = httpx.get(
                f"http://127.0.0.1:{port}/v1/integrations",
                headers={"Authorization": f"Bearer {person}"},
                timeout=30,
            ).json()["items"]
        finally:
            server.send_signal(signal.SIGKILL)
            server.wait(30)
    (row,) = [each for each in found if each["name"] == "serving"]
    instances = len(json.loads(halves[0].body)["instances"])
    assert (row["events"], row["errors"]) == (instances, 0)
    assert SECRET not in (tmp_path / "told").read_text()
