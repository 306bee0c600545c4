"""A real MLflow server: its webhooks come in signed, and it is asked for what they leave out."""

import json
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from audit.errors import Busy
from audit.events import Event
from collector.integrations.declaration import Declared
from collector.lineage.mlflow import Registry, Version, calling, releases
from tests.collector.adapters.business import body_of
from tests.collector.lineage.commanding import run
from tests.programs import environment
from tests.served import serving

SECRET = "a-secret-of-the-webhook"
DECLARED = Declared(name="registry", adapter="mlflow-registry")

TRAIN = """
import json, sys
from mlflow import MlflowClient
from mlflow.entities import Dataset, DatasetInput

client = MlflowClient(sys.argv[1])
client.create_webhook(
    name="ledger",
    url=sys.argv[2],
    events=["model_version.created", "model_version_alias.created"],
    secret=sys.argv[3],
)
run = client.create_run(
    client.create_experiment("churn"),
    tags={"mlflow.source.git.commit": "abc123", "feature_set": "lending/credit@1"},
)
rows = Dataset(name="rows", digest="d1gest", source_type="local", source="{}")
client.log_inputs(run.info.run_id, [DatasetInput(rows)])
client.log_metric(run.info.run_id, "auc", 0.9)
client.set_terminated(run.info.run_id)
client.create_registered_model("churn")
version = client.create_model_version("churn", f"runs:/{run.info.run_id}/model", run.info.run_id)
client.set_registered_model_alias("churn", "champion", version.version)
print(json.dumps({"run": run.info.run_id, "version": version.version}))
"""


class Tracking(NamedTuple):
    """A tracking server, and Python with its client."""

    address: str
    python: Path


@pytest.fixture(scope="module")
def tracking(
    free_port: Callable[[], int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Tracking]:
    """A private tracking server."""
    programs = environment("mlflow")
    folder, port = tmp_path_factory.mktemp("mlflow"), free_port()
    own = {
        "PATH": f"{programs}:{os.environ.get('PATH', '')}",
        "HOME": str(folder),
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        # Its own guard refuses this machine's addresses, where the ledger of the test listens.
        "MLFLOW_WEBHOOK_ALLOW_PRIVATE_IPS": "true",
        "MLFLOW_WEBHOOK_ALLOWED_SCHEMES": "http",
    }
    command = [str(programs / "mlflow"), "server", "--workers", "1", "--port", str(port)]
    command += ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}"]
    with (
        (folder / "told").open("wb") as told,
        subprocess.Popen(command, cwd=folder, env=own, stdout=told, stderr=told) as server,
    ):
        address = f"http://127.0.0.1:{port}"
        try:
            _wait(server, address, folder / "told")
            yield Tracking(address, programs / "python")
        finally:
            server.terminate()
            server.wait(30)


@pytest.mark.slow
def test_a_version_is_led_back_to_its_run_datasets_and_commit(
    tracking: Tracking, tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    (tmp_path / "registry.yaml").write_text(f"""
kind: integration
name: registry
owner: ml-platform
adapter: mlflow-registry
url: http://127.0.0.1:{port}/in/registry
credential: {{verify: mlflow-webhook, secrets: ["env:WEBHOOK_SECRET"]}}
options: {{registry: "{tracking.address}"}}
""")
    run(tmp_path, "apply", "registry.yaml")
    reader = run(tmp_path, "tokens", "create", "--role", "ops", "--actor", "ann").split()[-1]
    with serving(["serve", "--port", str(port)], port, tmp_path, WEBHOOK_SECRET=SECRET):
        hook = f"http://127.0.0.1:{port}/in/registry"
        trained = subprocess.run(
            [tracking.python, "-c", TRAIN, tracking.address, hook, SECRET],
            capture_output=True,
            text=True,
            check=False,
        )
        assert trained.returncode == 0, trained.stderr[-2000:]
        made = json.loads(trained.stdout.splitlines()[-1])
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}", headers={"Authorization": f"Bearer {reader}"}
        ) as ledger:
            # The webhook names the run; a run that nobody told more of has no dataset.
            _until(lambda: _kinds(ledger) >= {"version", "training_run"})
            assert "dataset" not in _kinds(ledger)
            assert "1 new" in run(tmp_path, "lineage", "read", "registry")
            graph = _graph(ledger)
            told = run(tmp_path, "lineage", "read", "registry")
            assert "0 new, 1 known" in told
    edges = {(each["from"], each["to"]) for each in graph["edges"]}
    assert edges >= {
        ("dataset:d1gest", f"training_run:{made['run']}"),
        (f"training_run:{made['run']}", f"version:churn {made['version']}"),
        ("feature_set:lending/credit@1", f"version:churn {made['version']}"),
    }
    [version] = [each for each in graph["nodes"] if each["kind"] == "version"]
    assert version["detail"]["code_commit"] == "abc123"
    assert version["detail"]["metrics"] == {"auc": 0.9}


def _graph(ledger: httpx.Client) -> dict[str, Any]:
    answer = ledger.get("/v1/lineage", params={"model": "churn"})
    found: dict[str, Any] = answer.json() if answer.status_code == 200 else {"nodes": []}
    return found


def _kinds(ledger: httpx.Client) -> set[str]:
    return {each["kind"] for each in _graph(ledger)["nodes"]}


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass within a minute"
        time.sleep(0.1)


def _wait(server: subprocess.Popen[bytes], address: str, told: Path) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert server.poll() is None, told.read_text(errors="replace")[-2000:]
        try:
            if httpx.get(f"{address}/health").status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.2)
    pytest.fail("the tracking server was not ready within 90 s")


# ---- answers that a real server does not give at will ------------------------------------------


def answering(*answers: httpx.Response | Exception) -> Registry:
    """A registry whose server gives these answers, in their order."""
    left = iter(answers)

    def answer(_: httpx.Request) -> httpx.Response:
        found = next(left)
        if isinstance(found, Exception):
            raise found
        return found

    client = httpx.Client(transport=httpx.MockTransport(answer))
    return Registry("https://mlflow.example.com/", calling(client, "ann", "secret"))


def page(*names: str, next: str = "") -> httpx.Response:
    versions = [{"name": name, "version": "1", "creation_timestamp": 1} for name in names]
    return httpx.Response(200, json={"model_versions": versions, "next_page_token": next})


def test_all_pages_are_read_and_a_bad_version_does_not_sink_the_others() -> None:
    bad = {"name": "b", "version": "1", "creation_timestamp": -5}
    middle = httpx.Response(200, json={"model_versions": [bad], "next_page_token": "3"})
    found = list(releases(answering(page("a", next="2"), middle, page("c")), DECLARED))
    assert [each.model if isinstance(each, Event) else each[:4] for each in found] == [
        "a",
        "b 1:",
        "c",
    ]


def test_a_run_that_was_deleted_leaves_its_name() -> None:
    version = Version(name="m", version="1", created=1, run_id="r")
    event = answering(httpx.Response(404)).release(version, DECLARED)
    assert body_of(event)["model"]["lineage"] == {"training_run": "r"}


def test_what_is_told_anew_is_another_entry_and_the_same_is_the_same() -> None:
    version = Version(name="m", version="1", created=1, run_id="r")
    commit = {"key": "mlflow.source.git.commit", "value": "abc"}
    runs = [{"run": {"data": {"tags": tags}}} for tags in ([], [commit], [commit])]
    registry = answering(*(httpx.Response(200, json=each) for each in runs))
    ids = [registry.release(version, DECLARED).id for _ in runs]
    assert ids[0] != ids[1] == ids[2]


@pytest.mark.parametrize(
    "answer",
    [
        httpx.Response(500),
        httpx.Response(302, headers={"location": "https://elsewhere.example.com"}),
        httpx.Response(200, content=b"<html>"),
        httpx.Response(200, content=b"[" * 100_000),
        httpx.ConnectError("refused"),
        httpx.ReadTimeout("slow"),
    ],
)
def test_a_server_that_does_not_answer_is_told_as_busy(
    answer: httpx.Response | Exception,
) -> None:
    with pytest.raises(Busy):
        list(answering(answer).versions())


def test_the_secret_goes_as_basic_with_a_user_and_as_bearer_without() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return page()

    for user in ("ann", ""):
        with httpx.Client(transport=httpx.MockTransport(answer)) as client:
            registry = Registry("https://mlflow.example.com", calling(client, user, "secret"))
            assert list(registry.versions()) == []
    assert seen == ["Basic YW5uOnNlY3JldA==", "Bearer secret"]
