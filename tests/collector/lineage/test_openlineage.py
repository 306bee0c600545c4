"""A training run told by the real client stands in the graph before the version that it made."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import dataset_type_dataset, dataset_version_dataset, parent_run
from openlineage.client.transport.http import ApiKeyTokenProvider, HttpConfig, HttpTransport
from openlineage.client.uuid import generate_new_uuid

from tests.collector.lineage.commanding import run
from tests.served import serving


@pytest.mark.slow
def test_lineage_runs_from_datasets_by_the_run_to_the_version(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    create = ("tokens", "create")
    key = run(tmp_path, *create, "--role", "integration", "--integration", "airflow").split()[-1]
    reader = run(tmp_path, *create, "--role", "ops", "--actor", "ann").split()[-1]
    address = f"http://127.0.0.1:{port}"
    with serving(["serve", "--port", str(port)], port, tmp_path):
        made, parent = emitted(address, key)
        answer = httpx.get(
            f"{address}/v1/lineage",
            params={"model": "churn", "version": "17"},
            headers={"Authorization": f"Bearer {reader}"},
        )
    graph = answer.json()
    edges = {(each["from"], each["to"]) for each in graph["edges"]}
    assert edges >= {
        ("dataset:sha256:abc", f"training_run:{made}"),
        (f"training_run:{parent}", f"training_run:{made}"),
        (f"training_run:{made}", "version:churn 17"),
    }
    [node] = [each for each in graph["nodes"] if each["id"] == f"training_run:{made}"]
    assert node["label"] == "ml/churn.train"
    assert node["detail"]["state"] == "COMPLETE"


def emitted(address: str, key: str) -> tuple[str, str]:
    """Tell of a run as an orchestrator does; its id and that of what started it."""
    config = HttpConfig(url=address, auth=ApiKeyTokenProvider({"api_key": key}))
    client = OpenLineageClient(transport=HttpTransport(config))
    parent = str(generate_new_uuid())
    started = parent_run.ParentRunFacet(
        run=parent_run.Run(runId=parent), job=parent_run.Job(namespace="airflow", name="retrain")
    )
    training = Run(runId=str(generate_new_uuid()), facets={"parent": started})
    version = dataset_version_dataset.DatasetVersionDatasetFacet
    rows = InputDataset(
        namespace="s3://bucket",
        name="rows",
        facets={"version": version(datasetVersion="sha256:abc")},
    )
    kind = dataset_type_dataset.DatasetTypeDatasetFacet(datasetType="MODEL")
    model = OutputDataset(
        namespace="mlflow",
        name="churn",
        facets={"datasetType": kind, "version": version(datasetVersion="17")},
    )
    job = Job(namespace="ml", name="churn.train")
    facts: dict[str, Any] = {"run": training, "job": job, "producer": "https://example.com/train"}
    start, end = "2026-11-21T00:00:00Z", "2026-11-21T01:00:00Z"
    client.emit(RunEvent(eventType=RunState.START, eventTime=start, inputs=[rows], **facts))
    client.emit(RunEvent(eventType=RunState.COMPLETE, eventTime=end, outputs=[model], **facts))
    client.close()
    return training.runId, parent
