"""Open Inference Protocol: pairs of the protocol's own bodies in one item."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.collector.adapters.business import altered, body_of, damaged, golden, sample
from tests.collector.adapters.servers import message, read, same, serving, survives

OIP = serving("oip")
TIME = "2026-01-31T09:30:00Z"


def tensor(name: str, shape: list[int], values: list[Any]) -> dict[str, Any]:
    """A tensor as the protocol writes it."""
    return {"name": name, "shape": shape, "datatype": "FP32", "data": values}


def item(**members: Any) -> dict[str, Any]:
    """A logged call of two rows."""
    return {
        "time": TIME,
        "request": {"id": "42", "inputs": [tensor("x", [2, 3], [1, 2, 3, 4, 5, 6])]},
        "response": {"model_name": "iris", "outputs": [tensor("y", [2], [0.5, 0.25])]},
        **members,
    }


def test_the_published_bodies_which_contradict_their_shapes_stay_whole() -> None:
    request = json.loads(sample("oip/infer_request.json"))
    response = json.loads(sample("oip/infer_response.json"))
    golden("oip_published", read(OIP, message(item(request=request, response=response))))


def test_rows_of_tensors_are_predictions() -> None:
    golden("oip_rows", read(serving("oip", features="a,b,c"), message(item())))


def test_columns_of_several_tensors_keep_their_names() -> None:
    inputs = [tensor("age", [2, 1], [30, 40]), tensor("picture", [2, 2, 2], list(range(8)))]
    made = read(OIP, message(item(request={"id": "1", "inputs": inputs})))
    assert [body_of(each)["inputs"] for each in made.events] == [
        {"age": 30, "picture": [[0, 1], [2, 3]]},
        {"age": 40, "picture": [[4, 5], [6, 7]]},
    ]


def test_lines_and_arrays_of_calls_are_read_alike() -> None:
    items = [item(id="a"), item(id="b")]
    lines = "\n".join(json.dumps(each) for each in items)
    assert same(read(OIP, message(items)), read(OIP, message(lines)))
    assert len(read(OIP, message(lines)).events) == 4
    assert len(read(OIP, message(json.dumps(item(), indent=1))).events) == 2


def test_a_call_that_failed_is_an_error() -> None:
    made = read(OIP, message(item(response={"error": "out of memory"})))
    assert {each.status for each in made.events} == {"error"}
    assert body_of(made.events[0])["error"] == "out of memory"
    made = read(OIP, message(item(response=None, status_code=503)))
    assert [each.status for each in made.events] == ["error", "error"]
    assert body_of(made.events[0])["error"] == {"status_code": 503}


def test_the_items_own_id_wins() -> None:
    assert read(OIP, message(item(id="own"))).events[0].id == "own/0"
    assert read(OIP, message(item())).events[0].id == "42/0"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"request": None}, "no request"),
        ({"request": [1]}, "no JSON object"),
        ({"request": {"inputs": []}}, "which call"),
        ({"time": "soon"}, "time"),
        (
            {
                "request": {
                    "id": "1",
                    "inputs": [
                        {
                            "name": "x",
                            "shape": [1],
                            "datatype": "FP32",
                            "parameters": {"binary_data_size": 4},
                        }
                    ],
                }
            },
            "binary form",
        ),
    ],
)
def test_a_wrong_item_is_refused_and_its_neighbours_are_not(
    wrong: dict[str, Any], told: str
) -> None:
    made = read(OIP, message([item(), item(**wrong)]))
    assert len(made.events) == 2
    assert len(made.refused) == 1
    assert told in str(made.refused[0].error)
    assert made.refused[0].error.remedy


@given(st.data())
def test_no_body_breaks_reading(data: st.DataObject) -> None:
    body = json.dumps(item(status_code=200, latency_ms=5)).encode()
    change = data.draw(st.sampled_from([altered, damaged]))
    survives(serving("oip", features="a,b,c"), message(data.draw(change(body))))
