"""OpenLineage: what Marquez takes is taken, and a run that wrote a model made a version.

Golden files: see tests/collector/adapters/business.py.
"""

import json
from typing import Any

import pytest
from hypothesis import given

from collector.adapters import openlineage
from collector.adapters.wire import Adapted, Message
from collector.errors import CollectorError, Invalid, Malformed, TooLarge
from collector.integrations.declaration import Declared
from tests.collector.adapters.business import altered, body_of, damaged, golden, sample

AIR = Declared(name="airflow", adapter="openlineage")
TIME = "2026-11-21T00:00:00Z"


def read(told: Any, **options: str) -> Adapted:
    body = told if isinstance(told, bytes) else json.dumps(told).encode()
    declared = Declared(name="airflow", adapter="openlineage", options=options)
    return openlineage.read(Message(body=body, unpacked=body), declared)


def run(**fields: Any) -> dict[str, Any]:
    return {
        "eventType": "COMPLETE",
        "eventTime": TIME,
        "run": {"runId": "f69a6e9b-9bac-3c9a-9cf6-eacb70ecc9a9"},
        "job": {"namespace": "ml", "name": "train"},
        "producer": "https://example.com",
        **fields,
    }


@pytest.mark.parametrize(
    "name",
    [
        "captured_training_run_event",
        "example_full_event",
        "marquez_event_dataset_event",
        "marquez_event_required_no_timezone",
        "marquez_event_simple",
    ],
)
def test_the_published_samples(name: str) -> None:
    golden(f"openlineage_{name}", read(sample(f"openlineage/{name}.json")))


def test_a_training_run_makes_the_version_that_it_wrote() -> None:
    dataset = {
        "facets": {"datasetType": {"datasetType": "MODEL"}, "version": {"datasetVersion": 3}}
    }
    told = run(
        outputs=[{"namespace": "s3://models", "name": "churn net", **dataset}],
        inputs=[{"namespace": "s3://bucket/", "name": "rows"}],
        job={
            "namespace": "ml",
            "name": "train",
            "facets": {"sourceCodeLocation": {"type": "git", "version": "abc123"}},
        },
    )
    observed, released = read(told).events
    assert (observed.type, released.type) == ("LineageObserved", "VersionReleased")
    body = body_of(released)
    assert (released.model, released.version) == ("churn-net", "3")
    assert body["model"]["lineage"] == {
        "training_run": told["run"]["runId"],
        "datasets": [{"name": "s3://bucket/rows"}],
        "code_commit": "abc123",
    }


@pytest.mark.parametrize(
    ("state", "output", "versions"),
    [
        ("START", {"name": "models:/churn/17"}, []),
        ("COMPLETE", {"name": "models:/churn/17"}, ["17"]),
        ("COMPLETE", {"name": "models:/churn"}, []),
        ("COMPLETE", {"name": "churn", "facets": {"version": {"datasetVersion": "17"}}}, []),
        ("FAIL", {"name": "models:/churn/17"}, []),
    ],
)
def test_only_a_complete_run_with_a_versioned_model_releases(
    state: str, output: dict[str, Any], versions: list[str]
) -> None:
    events = read(run(eventType=state, outputs=[{"namespace": "mlflow", **output}])).events
    assert [each.version for each in events if each.type == "VersionReleased"] == versions


def test_the_same_bytes_are_the_same_event_and_others_are_another() -> None:
    ids = [read(each).events[0].id for each in (run(), run(), run(eventType="START"))]
    assert ids[0] == ids[1] != ids[2]


@pytest.mark.parametrize(
    ("text", "zone", "time"),
    [
        ("2020-12-28T19:51:01.641499123", "", "2020-12-28T19:51:01.641499Z"),
        ("2020-12-28T19:51:01.641499123Z", "", "2020-12-28T19:51:01.641499Z"),
        ("2020-12-28T19:51:01", "Europe/Berlin", "2020-12-28T18:51:01Z"),
        ("2020-12-28T19:51:01+01:00[Europe/Berlin]", "", "2020-12-28T18:51:01Z"),
    ],
)
def test_times_are_read_as_senders_write_them(text: str, zone: str, time: str) -> None:
    options = {"zone": zone} if zone else {}
    body = body_of(read(run(eventTime=text), **options).events[0])
    assert (body["time"], body["origin"].get("received_time_text", text)) == (time, text)


@pytest.mark.parametrize(
    "told", [run(eventType="PAUSED"), {"eventTime": TIME}, {"hello": 1}, run(eventType=5)]
)
def test_a_kind_of_event_that_is_not_known_is_ignored_with_200(told: Any) -> None:
    adapted = read(told)
    assert (adapted.reply.status, adapted.events, adapted.unrelated) == (200, [], 1)


@pytest.mark.parametrize(
    ("told", "error"),
    [
        (b"{", Malformed),
        (b"[]", Invalid),
        (run(job=None), Invalid),
        (run(run={"runId": ""}), Invalid),
        (run(eventTime="yesterday"), Invalid),
        (run(inputs=[{"name": "x"}]), Invalid),
        (run(inputs=[{"namespace": "a", "name": "b"}] * 1_001), TooLarge),
    ],
)
def test_what_is_no_event_is_refused(told: Any, error: type[CollectorError]) -> None:
    with pytest.raises(error):
        read(told)
    reply = openlineage.ADAPTER.failing(Message(), openlineage.ADAPTER.unreadable, "Invalid")
    assert (reply.status, json.loads(reply.body)) == (400, {"code": 400, "message": "Invalid"})


def test_a_facet_that_copies_the_environment_is_not_kept() -> None:
    facets = {"environmentVariables": {"variables": [{"name": "KEY", "value": "secret"}]}}
    assert b"secret" not in read(run(run={"runId": "r", "facets": facets})).events[0].body


@given(altered(json.dumps(run(inputs=[{"namespace": "a", "name": "b", "facets": {}}])).encode()))
def test_no_altered_event_does_harm(body: bytes) -> None:
    _survives(body)


@given(damaged(json.dumps(run()).encode()))
def test_no_damaged_event_does_harm(body: bytes) -> None:
    _survives(body)


def _survives(body: bytes) -> None:
    try:
        adapted = read(body)
    except CollectorError:
        return
    assert adapted.reply.status in {200, 201}
    assert all(each.integration == "airflow" for each in adapted.events)
