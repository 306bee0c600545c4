"""SageMaker: captured calls and ground truth."""

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.sagemaker import of_path, row
from collector.errors import Invalid
from tests.collector.adapters.business import altered, body_of, damaged, golden, sample
from tests.collector.adapters.servers import message, read, same, serving, survives

SAGEMAKER = serving("sagemaker")


def line(given: Any, found: Any, **about: str) -> dict[str, Any]:
    """A captured call; sides are (content type, encoding, data) or None."""
    captured = {
        name: dict(zip(("observedContentType", "encoding", "data"), side, strict=True))
        for name, side in (("endpointInput", given), ("endpointOutput", found))
        if side is not None
    }
    about = {"eventId": "e-1", "inferenceTime": "2022-02-14T17:25:49Z", **about}
    return {"captureData": captured, "eventMetadata": about, "eventVersion": "0"}


def bodies(*lines: dict[str, Any], **options: str) -> list[dict[str, Any]]:
    """The bodies of the events of lines, of which none is refused."""
    text = "\n".join(json.dumps(each) for each in lines)
    made = read(serving("sagemaker", **options), message(text))
    assert not made.refused
    return [body_of(each) for each in made.events]


def test_published_captures_become_predictions() -> None:
    golden(
        "sagemaker_capture", read(SAGEMAKER, message(sample("sagemaker/data_capture_docs.jsonl")))
    )


def test_published_labels_become_outcomes() -> None:
    golden("sagemaker_truth", read(SAGEMAKER, message(sample("sagemaker/ground_truth.jsonl"))))


def test_a_file_names_endpoint_and_variant() -> None:
    place = of_path("s3://bucket/prefix/churn/AllTraffic/2022/02/14/17/04-25-49-1.jsonl")
    assert place == {"model": "churn", "version": "AllTraffic", "hour": "2022-02-14T17:00:00Z"}
    assert of_path("bucket/other.jsonl") == {}
    raw = json.dumps(line(("text/csv", "CSV", "1,2\n"), ("text/csv", "CSV", "0.5"))).encode()
    event = row(raw, SAGEMAKER, place).events[0]
    assert (event.model, event.version) == ("churn", "AllTraffic")


@pytest.mark.parametrize("results", ["0.5\n0.25\n", "0.5,0.25"])
def test_a_batch_of_csv_lines_is_as_many_predictions(results: str) -> None:
    made = bodies(line(("text/csv", "CSV", "1,a\n2,b\n"), ("text/csv", "CSV", results)))
    assert [(each["id"], each["output"]) for each in made] == [("e-1/0", 0.5), ("e-1/1", 0.25)]
    assert [each["inputs"] for each in made] == [{"0": 1, "1": "a"}, {"0": 2, "1": "b"}]


def test_json_in_a_line_is_split_into_its_instances() -> None:
    given, found = (
        json.dumps({"instances": [{"a": 1}]}),
        json.dumps({"predictions": [{"score": 2}]}),
    )
    [body] = bodies(line(("application/json", "JSON", given), ("application/json", "JSON", found)))
    assert body["id"] == "e-1"
    assert body["inputs"] == {"a": 1}
    assert body["output"] == {"score": 2}


def test_base64_is_read_where_it_holds_text_and_kept_where_not() -> None:
    plain = base64.b64encode(b"1,2").decode()
    binary = base64.b64encode(b"\xff\xfe\x00").decode()
    [body] = bodies(line(("text/csv", "BASE64", plain), ("application/x-image", "BASE64", binary)))
    assert body["inputs"] == {"0": 1, "1": 2}
    assert body["output"] == {"base64": binary}


def test_the_callers_id_wins_unless_the_declaration_says_otherwise() -> None:
    call = line(("text/csv", "CSV", "1"), ("text/csv", "CSV", "2"), inferenceId="mine")
    [body] = bodies(call)
    assert body["id"] == "mine"
    assert body["references"] == {"eventId": "e-1"}
    [body] = bodies(call, ids="eventId")
    assert body["id"] == "e-1"
    assert body["references"] == {"inferenceId": "mine"}


def test_a_label_names_the_prediction_by_the_id_that_it_carries() -> None:
    label = {
        "groundTruthData": {"data": "1", "encoding": "CSV"},
        "eventMetadata": {"eventId": "mine"},
        "eventVersion": "0",
    }
    [body] = bodies(label)
    assert body["prediction"] == {"id": "mine"}
    assert body["origin"]["time"] == "received"


def test_a_label_without_time_has_its_files_hour_and_is_the_same_whenever_it_comes() -> None:
    raw = json.dumps(
        {"groundTruthData": {"data": "1", "encoding": "CSV"}, "eventMetadata": {"eventId": "e"}}
    ).encode()
    place = of_path("labels/churn/2022/02/14/17/a.jsonl")
    filed = row(raw, SAGEMAKER, place)
    posted, later = (row(raw, SAGEMAKER, received_us=us) for us in (1, 9))
    with pytest.raises(Invalid) as caught:
        row(raw, SAGEMAKER)
    assert caught.value.remedy
    assert body_of(filed.events[0])["time"] == "2022-02-14T17:00:00Z"
    assert same(filed, posted)
    assert same(posted, later)


def test_a_side_that_is_not_captured_is_missing_and_no_error() -> None:
    [body] = bodies(line(None, ("text/csv", "CSV", "2")))
    assert body["inputs"] == {}
    assert body["origin"]["missing"] == "request"
    [body] = bodies(line(("text/csv", "CSV", "1"), None))
    assert body["status"] == "ok"
    assert body["origin"]["missing"] == "response"


@pytest.mark.parametrize(
    "wrong",
    [
        "{}",
        "[]",
        '{"captureData": {}, "eventMetadata": {"eventId": "e"}}',
        json.dumps(line(None, None)),
        json.dumps(line(("a", "BASE64", "%"), None)),
        '{"groundTruthData": {}, "eventMetadata": {"eventId": "e"}}',
        '{"groundTruthData": {"data": "1"}, "eventMetadata": {}}',
    ],
)
def test_a_wrong_line_is_refused_and_its_neighbours_are_not(wrong: str) -> None:
    good = json.dumps(line(("text/csv", "CSV", "1"), None))
    made = read(SAGEMAKER, message(f"{good}\n{wrong}\n{good}"))
    assert len(made.events) == 2
    assert len(made.refused) == 1
    assert made.refused[0].error.remedy


@given(st.data())
def test_no_line_breaks_reading(data: st.DataObject) -> None:
    names = ["sagemaker/data_capture_docs.jsonl", "sagemaker/ground_truth.jsonl"]
    body = sample(data.draw(st.sampled_from(names))).splitlines()[0]
    change = data.draw(st.sampled_from([altered, damaged]))
    survives(SAGEMAKER, message(data.draw(change(body))))
