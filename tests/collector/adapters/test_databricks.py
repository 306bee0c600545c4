"""Inference tables: calls, and assessments that are logged as calls."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.databricks import of_path, row
from tests.collector.adapters.business import altered, body_of, damaged, golden
from tests.collector.adapters.servers import message, read, serving, survives

DATABRICKS = serving("databricks")


def legacy(request: Any, response: Any, **columns: Any) -> dict[str, Any]:
    """A row of a legacy table."""
    return {
        "client_request_id": None,
        "databricks_request_id": "d-1",
        "date": "2026-01-31",
        "timestamp_ms": 1769851800123,
        "status_code": 200,
        "execution_time_ms": 37,
        "request": request if isinstance(request, str) else json.dumps(request),
        "response": response if isinstance(response, str) else json.dumps(response),
        "sampling_fraction": 1.0,
        "request_metadata": {
            "endpoint_name": "churn",
            "model_name": "churn_model",
            "model_version": "5",
        },
        **columns,
    }


SPLIT = {"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2], [3, 4]]}}
GATEWAY = {
    "databricks_request_id": "d-2",
    "client_request_id": "mine",
    "request_time": "2026-01-31T09:30:00.123Z",
    "status_code": 200,
    "execution_duration_ms": 12,
    "request": '{"messages": [{"role": "user", "content": "hi"}]}',
    "response": '{"choices": [{"message": {"content": "hello"}}]}',
    "served_entity_id": "0f3e",
    "requester": "someone@example.com",
    "logging_error_codes": [],
}
ASSESSED = {
    "dataframe_records": [
        {
            "request_id": "d-1",
            "source": {"type": "expert", "id": "jo"},
            "text_assessments": [
                {
                    "step_id": "1",
                    "ratings": {"correct": {"value": False, "rationale": "outdated"}},
                    "suggested_output": "Two months.",
                    "free_text_comment": "It changed in May.",
                }
            ],
            "retrieval_assessments": [
                {"position": 0, "ratings": {"relevant": {"value": True}}},
            ],
        }
    ]
}


def test_a_batch_of_a_legacy_row_is_as_many_predictions() -> None:
    made = read(DATABRICKS, message(legacy(SPLIT, {"predictions": [0.5, 0.25]})))
    golden("databricks_legacy", made)
    assert [each.id for each in made.events] == ["d-1/0", "d-1/1"]


def test_a_gateway_row_is_one_prediction_marked_unverified() -> None:
    golden("databricks_gateway", read(DATABRICKS, message(GATEWAY)))


def test_an_assessment_is_a_correction_and_outcomes() -> None:
    made = read(DATABRICKS, message(legacy(ASSESSED, "", databricks_request_id="d-9")))
    golden("databricks_assessment", made)
    assert [each.type for each in made.events] == [
        "OversightRecorded",
        "OutcomeObserved",
        "OutcomeObserved",
    ]
    assert {each.prediction for each in made.events} == {("serving", "d-1")}


def test_a_judge_that_is_no_person_oversees_nothing() -> None:
    record = {**ASSESSED["dataframe_records"][0], "source": {"type": "ai_judge", "id": "j"}}
    made = read(DATABRICKS, message(legacy({"dataframe_records": [record]}, "")))
    assert {each.type for each in made.events} == {"OutcomeObserved"}
    assert body_of(made.events[0])["outcome"]["suggested_output"] == "Two months."


def test_a_call_that_failed_is_an_error_whatever_its_bodies_are() -> None:
    made = read(DATABRICKS, message(legacy("blah", "", status_code="404")))
    body = body_of(made.events[0])
    assert body["status"] == "error"
    assert body["error"] == {"status_code": 404}
    assert body["inputs"] == {"text": "blah"}


@pytest.mark.parametrize(
    "request_body",
    [
        {"dataframe_records": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
        {"instances": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
        {"inputs": [{"a": 1, "b": 2}, {"a": 3, "b": 4}]},
        SPLIT,
    ],
)
def test_all_bodies_of_a_scoring_server_are_told_apart(request_body: dict[str, Any]) -> None:
    made = read(DATABRICKS, message(legacy(request_body, {"predictions": [0, 1]})))
    assert [body_of(each)["inputs"] for each in made.events] == [
        {"a": 1, "b": 2},
        {"a": 3, "b": 4},
    ]


def test_the_callers_id_can_be_chosen() -> None:
    event = read(serving("databricks", ids="client"), message(GATEWAY)).events[0]
    assert event.id == "mine"
    assert dict(event.references)["databricks_request_id"] == "d-2"


def test_a_body_that_was_too_large_to_log_is_missing_and_no_error() -> None:
    codes = ["MAX_RESPONSE_SIZE_EXCEEDED"]
    body = body_of(
        read(
            DATABRICKS, message({**GATEWAY, "response": None, "logging_error_codes": codes})
        ).events[0]
    )
    assert body["status"] == "ok"
    assert body["origin"]["missing"] == "response"
    assert body["origin"]["wire"] == {"logging_error_codes": codes}
    assert (
        body_of(read(DATABRICKS, message({**GATEWAY, "response": None})).events[0])["status"]
        == "error"
    )


def test_columns_of_the_newest_tables_are_known() -> None:
    newest = {
        "invocation_id": "i-1",
        "event_time": "2026-01-31T09:30:00Z",
        "latency_ms": 7,
        "status_code": 200,
        "request": "{}",
        "response": "{}",
    }
    event = read(DATABRICKS, message(newest)).events[0]
    assert (event.id, event.latency_us) == ("i-1", 7000)
    assert body_of(event)["origin"]["verified"] is False


def test_a_map_may_come_as_pairs_or_as_text() -> None:
    for metadata in (
        [["model_name", "m"], ["model_version", "2"]],
        '{"model_name": "m", "model_version": 2}',
    ):
        event = read(DATABRICKS, message(legacy(SPLIT, "{}", request_metadata=metadata))).events[0]
        assert (event.model, event.version) == ("m", "2")


def test_a_tables_path_names_the_endpoint() -> None:
    assert of_path("s3://b/cat/schema/churn_payload/part-0.parquet") == {"model": "churn"}
    assert of_path("s3://b/other/part-0.parquet") == {}
    raw = json.dumps(legacy(SPLIT, "", request_metadata=None)).encode()
    assert row(raw, DATABRICKS, {"model": "churn"}).events[0].model == "churn"


@pytest.mark.parametrize(
    "wrong",
    [
        {"databricks_request_id": None},
        {"timestamp_ms": None},
        {"timestamp_ms": "soon"},
    ],
)
def test_a_row_without_id_or_time_is_refused(wrong: dict[str, Any]) -> None:
    made = read(DATABRICKS, message([legacy(SPLIT, "", **wrong), GATEWAY]))
    assert len(made.events) == 1
    assert made.refused[0].error.remedy


@given(st.data(), st.sampled_from([legacy(SPLIT, {"predictions": [1, 2]}), GATEWAY]))
def test_no_row_breaks_reading(data: st.DataObject, example: dict[str, Any]) -> None:
    change = data.draw(st.sampled_from([altered, damaged]))
    survives(DATABRICKS, message(data.draw(change(json.dumps(example).encode()))))


@given(altered(json.dumps(ASSESSED).encode()))
def test_no_assessment_breaks_reading(assessed: bytes) -> None:
    survives(DATABRICKS, message(legacy(assessed.decode(), "")))
