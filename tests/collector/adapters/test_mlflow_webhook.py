"""MLflow's registry webhooks: versions and aliases are releases, the rest is none of ours."""

import json
from typing import Any

import pytest
from hypothesis import given

from collector.adapters.wire import Adapted
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared
from tests.collector.adapters import business
from tests.collector.adapters.business import altered, body_of, golden, sample

REGISTRY = Declared(name="registry", adapter="mlflow-registry")
DELIVERY = {"X-MLflow-Delivery-Id".lower(): "d-1"}


def webhook(event: str, data: dict[str, Any]) -> bytes:
    entity, _, action = event.partition(".")
    told = {"entity": entity, "action": action, "timestamp": "2026-11-21T02:00:00+00:00"}
    return json.dumps({**told, "data": data}).encode()


def read(body: bytes, headers: dict[str, str] | None = None) -> Adapted:
    return business.read("mlflow-registry", body, REGISTRY, headers)


def examples() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(sample("mlflow/example_payloads_by_event.json"))
    return found


def test_the_published_samples() -> None:
    for event, data in examples().items():
        name = event.replace(".", "_")
        if event in {"model_version.created", "model_version_alias.created"}:
            golden(f"mlflow_{name}", read(webhook(event, data), DELIVERY))
        else:
            adapted = read(webhook(event, data), DELIVERY)
            assert (adapted.events, adapted.unrelated, adapted.reply.status) == ([], 1, 200)


def test_a_version_names_the_run_that_trained_it() -> None:
    body = json.loads(sample("mlflow/webhook_signature_vector.json"))["body"].encode()
    [event] = read(body, DELIVERY).events
    assert (event.type, event.model, event.version) == ("VersionReleased", "example_model", "1")
    assert body_of(event)["model"]["lineage"] == {"training_run": "abcd1234abcd5678"}


def test_a_delivery_that_is_repeated_is_the_same_event() -> None:
    body = webhook("model_version.created", {"name": "m", "version": "1"})
    first, second = (read(body, DELIVERY).events[0] for _ in range(2))
    assert first.id == second.id == "d-1"
    assert read(body).events[0].id == read(body).events[0].id != "d-1"


def test_a_name_with_blanks_is_written_otherwise_and_kept() -> None:
    [event] = read(webhook("model_version.created", {"name": "My model", "version": "1"})).events
    assert (event.model, body_of(event)["origin"]["model"]) == ("My-model", "My model")


@pytest.mark.parametrize("data", [{}, {"name": "m"}, {"version": "1"}, {"name": 5, "version": "1"}])
def test_a_webhook_without_a_version_is_refused(data: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        read(webhook("model_version.created", data))


@given(altered(webhook("model_version.created", {"name": "m", "version": "1", "tags": {}})))
def test_no_altered_webhook_does_harm(body: bytes) -> None:
    try:
        read(body)
    except CollectorError:
        return
