"""Model servers through the real door: secret, adapter, both halves of a call, quarantine."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from audit.clock import system_clock
from collector.adapters.wire import Message
from collector.integrations.apply import apply_text
from tests.collector.adapters.business import sample
from tests.collector.adapters.servers import posted
from tests.collector.conftest import House

SECRETS = {"SERVERS": "a-long-secret-of-the-servers"}
DECLARATION = """
kind: integration
name: {name}
owner: platform
adapter: {name}
url: https://logs.example.com/in/{name}
credential: {{verify: path, secrets: [env:SERVERS]}}
model: {{name: churn, version: "3"}}
options: {options}
"""
OPTIONS: dict[str, dict[str, str]] = {
    "kserve": {"features": "a,b,c,d"},
    "seldon": {},
    "sagemaker": {},
    "azureml": {},
    "bentoml": {"zone": "UTC"},
    "databricks": {},
    "oip": {},
    "vertex": {},
}


@pytest.fixture
def house(opened: Callable[..., House]) -> House:
    house = opened(environment=SECRETS)
    for name, options in OPTIONS.items():
        text = DECLARATION.format(name=name, options=json.dumps(options))
        apply_text(house.store.ledger, house.store.documents, text, "test", clock=system_clock)
    return house


def sent(house: House, name: str, message: Message | bytes) -> int:
    """Send a message or a body to an integration; returns the status."""
    if isinstance(message, bytes):
        message = Message(body=message)
    headers: Any = [(key.decode(), value.decode()) for key, value in message.headers]
    address = f"/in/{name}/{SECRETS['SERVERS']}"
    return house.client.post(address, content=message.body, headers=headers).status_code


def test_a_logged_call_of_kserve_becomes_its_predictions_once(house: House) -> None:
    request, response = posted("kserve/v1_request.http"), posted("kserve/v1_response.http")
    assert sent(house, "kserve", response) == 200
    assert house.bodies("PredictionLogged") == []
    assert sent(house, "kserve", request) == 200
    assert [each["output"] for each in house.bodies("PredictionLogged")] == [1, 1]
    for again in (request, response, request):
        assert sent(house, "kserve", again) == 200
    assert len(house.bodies("PredictionLogged")) == 2
    assert house.bodies("ConflictRecorded") == []


def test_published_calls_of_seldon_and_azure_are_logged(house: House) -> None:
    for name in ("income", "tensor", "v2"):
        for side in ("request", "response"):
            assert sent(house, "seldon", posted(f"seldon/{name}_{side}.http")) == 200
    assert sent(house, "azureml", sample("azureml/payload_request_response.jsonl")) == 200
    models = [each["model"]["name"] for each in house.bodies("PredictionLogged")]
    assert models == [
        "income",
        "tensor",
        "tensor",
        "tensor",
        "localdev-endpoint",
        "localdev-endpoint",
    ]


def test_good_lines_are_logged_and_a_bad_one_is_kept(house: House) -> None:
    lines = sample("sagemaker/data_capture_docs.jsonl").splitlines()
    truth = sample("sagemaker/ground_truth.jsonl")
    assert sent(house, "sagemaker", b"\n".join([lines[0], b"{}", truth])) == 200
    assert len(house.bodies("PredictionLogged")) == 1
    assert len(house.bodies("OutcomeObserved")) == 1
    assert len(house.store.work.list("quarantine")) == 1


def test_lines_of_bentoml_are_logged_once(house: House) -> None:
    body = sample("bentoml/schema.0.log") + sample("bentoml/data.0.log")
    for _ in range(2):
        assert sent(house, "bentoml", body) == 200
    assert len(house.bodies("PredictionLogged")) == 3
    assert house.bodies("ConflictRecorded") == []


@pytest.mark.parametrize("name", sorted(OPTIONS))
def test_bytes_that_mean_nothing_are_kept_and_answered_as_bad(house: House, name: str) -> None:
    assert sent(house, name, b"\xff\x00{[") in {400, 415}
    assert len(house.store.work.list("quarantine")) == 1
    assert house.bodies("PredictionLogged") == []
