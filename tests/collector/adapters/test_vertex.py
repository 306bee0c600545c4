"""Vertex AI's rows, whose format is unverified."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.vertex import of_path, row
from tests.collector.adapters.business import altered, body_of, damaged, golden
from tests.collector.adapters.servers import message, read, serving, survives

VERTEX = serving("vertex")
ROW: dict[str, Any] = {
    "endpoint": "projects/1/locations/europe-west4/endpoints/9",
    "deployed_model_id": "77",
    "logging_time": "2026-01-31 09:30:00.123456 UTC",
    "request_id": "5",
    "request_payload": ['{"a": 1}', '{"a": 2}'],
    "response_payload": ["0.5", "[0.25, 0.75]"],
}


def test_each_element_is_a_prediction_marked_unverified() -> None:
    made = read(VERTEX, message(ROW))
    golden("vertex_row", made)
    assert {body_of(each)["origin"]["verified"] for each in made.events} == {False}


def test_an_exported_dataset_names_the_endpoint() -> None:
    assert of_path("gs://b/logging_churn_v2_123/request_response_logging-0.json") == {
        "model": "churn_v2"
    }
    bare = {key: each for key, each in ROW.items() if key != "endpoint"}
    event = row(json.dumps(bare).encode(), VERTEX, {"model": "churn"}).events[0]
    assert event.model == "churn"


def test_text_that_is_no_json_is_the_instance_itself() -> None:
    made = read(VERTEX, message({**ROW, "request_payload": ["hello"], "response_payload": ["hi"]}))
    assert body_of(made.events[0])["inputs"] == {"instance": "hello"}
    assert body_of(made.events[0])["output"] == "hi"


@pytest.mark.parametrize("missing", ["logging_time", "request_id"])
def test_a_row_without_time_or_id_is_refused(missing: str) -> None:
    made = read(VERTEX, message({key: each for key, each in ROW.items() if key != missing}))
    assert not made.events
    assert made.refused[0].error.field == f"/{missing}"


def test_a_row_without_payloads_is_refused() -> None:
    made = read(VERTEX, message({**ROW, "request_payload": [], "response_payload": None}))
    assert made.refused[0].error.field == "/request_payload"


@given(st.data())
def test_no_row_breaks_reading(data: st.DataObject) -> None:
    change = data.draw(st.sampled_from([altered, damaged]))
    survives(VERTEX, message(data.draw(change(json.dumps(ROW).encode()))))
