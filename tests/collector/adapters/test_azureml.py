"""Azure Machine Learning's data collector: lines, and requests of its SDK."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.azureml import of_path, row
from tests.collector.adapters.business import altered, body_of, damaged, golden, sample
from tests.collector.adapters.servers import called, joined, message, read, serving, survives

AZURE = serving("azureml")
SOURCE = "/subscriptions/s/workspaces/w/onlineEndpoints/churn/deployments/blue"


def line(collection: str, data: Any, **attributes: Any) -> dict[str, Any]:
    """A collected line."""
    return {
        "specversion": "1.0",
        "id": f"id-{collection}",
        "source": SOURCE,
        "type": f"azureml.inference.{collection}",
        "datacontenttype": "application/json",
        "time": "2026-01-31T09:30:00Z",
        "data": data,
        "correlationid": "c-1",
        **attributes,
    }


def test_published_requests_and_responses_become_predictions() -> None:
    golden(
        "azureml_payload", called(AZURE, message(sample("azureml/payload_request_response.jsonl")))
    )


def test_published_inputs_wait_for_outputs_and_are_errors_alone() -> None:
    golden("azureml_inputs", called(AZURE, message(sample("azureml/custom_inputs.jsonl"))))


def test_data_in_a_blob_of_its_own_is_refused_with_a_remedy() -> None:
    golden("azureml_blob", read(AZURE, message(sample("azureml/binary_in_blob.jsonl"))))


def test_inputs_and_outputs_of_one_call_are_joined_by_rows() -> None:
    made = called(
        AZURE,
        message(line("model_inputs", [{"a": 1}, {"a": 2}], modelversion="4")),
        message(line("model_outputs", [{"p": 0.5}, {"p": 0.25}])),
    )
    assert [(each.id, each.model, each.version) for each in made.events] == [
        ("c-1/0", "churn", "4"),
        ("c-1/1", "churn", "4"),
    ]
    assert [body_of(each)["output"] for each in made.events] == [{"p": 0.5}, {"p": 0.25}]


def test_requests_of_the_sdk_are_read_though_they_are_no_cloud_events() -> None:
    def posted(collection: str, body: Any) -> Any:
        return message(
            body,
            {
                "ce-type": f"azureml.inference.{collection}",
                "ce-time": "1769851800",
                "ce-collect-data-type": "pandas.core.frame.DataFrame",
                "ce-agent": "azureml-ai-monitoring/1.0.0",
                "ce-x-request-id": "c-1",
                "ce-model-version": "4",
                "trace-id": "t",
                "content-type": "application/json",
            },
        )

    made = called(AZURE, posted("model_inputs", [{"a": 1}]), posted("model_outputs", [{"p": 0.5}]))
    golden("azureml_sdk", made)
    assert made.events[0].model == "iris"  # as declared: the SDK does not tell


def test_both_kinds_of_collection_never_join_and_one_can_be_chosen() -> None:
    lines = [line("request", [[1]]), line("model_inputs", [{"a": 1}])]
    text = "\n".join(json.dumps(each) for each in lines)
    halves = read(AZURE, message(text)).halves
    assert len({each.key for each in halves}) == 2
    chosen = read(serving("azureml", collect="model"), message(text)).halves
    assert [each.key for each in chosen] == [halves[1].key]


def test_own_collections_can_be_declared() -> None:
    declared = serving("azureml", inputs="before, given", outputs="after")
    made = called(declared, message(line("given", [{"a": 1}])), message(line("after", [{"p": 2}])))
    assert body_of(made.events[0])["output"] == {"p": 2}
    refused = read(AZURE, message(line("given", [{"a": 1}]))).refused
    assert "options" in refused[0].error.remedy


def test_inputs_alone_are_no_error_where_outputs_are_not_collected() -> None:
    declared = serving("azureml", unanswered="ok")
    made = called(declared, message(line("model_inputs", [{"a": 1}])))
    assert made.events[0].status == "ok"
    assert body_of(made.events[0])["origin"]["missing"] == "response"


def test_a_blobs_path_names_endpoint_and_deployment() -> None:
    path = "azureml/modelDataCollector/churn/blue/model_inputs/2026/01/31/09/x_1.jsonl"
    place = of_path(path)
    assert place == {"model": "churn", "deployment": "blue", "collection": "model_inputs"}
    assert of_path("elsewhere/x.jsonl") == {}
    raw = json.dumps(line("model_inputs", [{"a": 1}], source="unknown")).encode()
    event = joined(AZURE, *row(raw, AZURE, place).halves).events[0]
    assert (event.model, event.version) == ("churn", "blue")


@pytest.mark.parametrize(
    "wrong",
    [
        {"correlationid": None},
        {"contentrange": "bytes 0-99/200"},
        {"contentrange": "bytes 100-199/200"},
        {"type": "azureml.inference.explanations"},
        {"type": "other"},
        {"time": "now"},
        {"specversion": "2.0"},
    ],
)
def test_a_wrong_line_is_refused_and_its_neighbours_are_not(wrong: dict[str, Any]) -> None:
    lines = [line("model_inputs", [1]), line("model_inputs", [1], **wrong)]
    made = read(AZURE, message("\n".join(json.dumps(each) for each in lines)))
    assert len(made.halves) == 1
    assert len(made.refused) == 1
    assert made.refused[0].error.remedy


@given(st.data())
def test_no_line_breaks_reading_or_joining(data: st.DataObject) -> None:
    names = ["payload_request_response", "custom_inputs", "binary_in_blob"]
    name = data.draw(st.sampled_from(names))
    lines = sample(f"azureml/{name}.jsonl").splitlines()
    at = data.draw(st.integers(0, len(lines) - 1))
    change = data.draw(st.sampled_from([altered, damaged]))
    lines[at] = data.draw(change(lines[at]))
    survives(AZURE, message(b"\n".join(lines)))


@given(
    st.dictionaries(
        st.sampled_from(["ce-type", "ce-time", "ce-x-request-id"]), st.text(max_size=99)
    )
)
def test_no_header_of_the_sdk_breaks_reading(headers: dict[str, str]) -> None:
    known = {"ce-type": "azureml.inference.model_inputs", "ce-x-request-id": "c"}
    survives(AZURE, message([{"a": 1}], {**known, **headers}))
