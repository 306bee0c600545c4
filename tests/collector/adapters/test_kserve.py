"""KServe's logger: requests and responses as binary CloudEvents."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.wire import Message
from collector.errors import CollectorError, Invalid, Malformed
from tests.collector.adapters.business import altered, body_of, damaged, golden
from tests.collector.adapters.servers import (
    called,
    joined,
    message,
    posted,
    read,
    same,
    serving,
    survives,
)

KSERVE = serving("kserve")
MISSHAPEN = b"""{"id": "42", "inputs": [
    {"name": "input0", "shape": [2, 2], "datatype": "UINT32", "data": [1, 2, 3, 4]},
    {"name": "input1", "shape": [3], "datatype": "BOOL", "data": [true]}]}"""
V2_RESPONSE = b"""{"model_name": "m", "model_version": "1", "outputs": [
    {"name": "output0", "shape": [2, 2], "datatype": "FP32", "data": [1.0, 1.1, 2.0, 2.1]}]}"""
ATTRIBUTES = {
    "Ce-Specversion": "1.0",
    "Ce-Id": "c-1",
    "Ce-Source": "http://localhost:9081/",
    "Ce-Time": "2026-01-31T09:30:00.5Z",
    "Ce-Inferenceservicename": "iris",
    "Content-Type": "application/json",
}


def side(name: str, body: bytes | str | object, **attributes: str) -> Message:
    """A request or response as the agent logs it."""
    changed = {f"Ce-{key.capitalize()}": each for key, each in attributes.items()}
    type_ = f"org.kubeflow.serving.inference.{name}"
    return message(body, {**ATTRIBUTES, "Ce-Type": type_, **changed})


def test_each_instance_of_a_call_is_a_prediction() -> None:
    request, response = posted("kserve/v1_request.http"), posted("kserve/v1_response.http")
    made = called(serving("kserve", features="a, b, c, d"), request, response)
    golden("kserve_v1", made)
    assert [each.id for each in made.events] == [
        "defb5816-35f7-4947-a2b1-b9e5d7764ad2/0",
        "defb5816-35f7-4947-a2b1-b9e5d7764ad2/1",
    ]


def test_the_order_of_both_messages_does_not_matter() -> None:
    request, response = posted("kserve/v1_request.http"), posted("kserve/v1_response.http")
    assert same(called(KSERVE, request, response), called(KSERVE, response, request))


def test_a_request_without_response_is_an_error() -> None:
    golden("kserve_unpaired", called(KSERVE, posted("kserve/v1_request.http")))


def test_a_response_without_request_is_kept_without_inputs() -> None:
    made = called(KSERVE, posted("kserve/v1_response.http"))
    assert [body_of(each)["inputs"] for each in made.events] == [{}, {}]
    assert [body_of(each)["output"] for each in made.events] == [1, 1]
    assert {body_of(each)["origin"]["missing"] for each in made.events} == {"request"}


def test_one_instance_has_the_id_of_its_call() -> None:
    request = side("request", {"instances": [{"a": 1}]})
    made = called(KSERVE, request, side("response", {"predictions": [0.5]}))
    assert [each.id for each in made.events] == ["c-1"]
    assert body_of(made.events[0])["output"] == 0.5


def test_bodies_of_v2_name_the_version_and_are_split_by_rows() -> None:
    request = {
        "inputs": [{"name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1.5, 2, 3, 4]}]
    }
    response = {
        "model_name": "other",
        "model_version": "3",
        "outputs": [{"name": "y", "shape": [2, 1], "datatype": "INT64", "data": [0, 1]}],
    }
    made = called(
        serving("kserve", features="a,b"), side("request", request), side("response", response)
    )
    assert [(each.id, each.model, each.version) for each in made.events] == [
        ("c-1/0", "iris", "3"),
        ("c-1/1", "iris", "3"),
    ]
    bodies = [body_of(each) for each in made.events]
    assert [each["inputs"] for each in bodies] == [{"a": 1.5, "b": 2}, {"a": 3, "b": 4}]
    assert [each["output"] for each in bodies] == [0, 1]
    assert bodies[0]["origin"]["tensor"] == "x"


def test_a_body_that_contradicts_its_shape_is_kept_whole() -> None:
    made = called(KSERVE, side("request", MISSHAPEN), side("response", {"outputs": []}))
    assert [each.id for each in made.events] == ["c-1"]
    assert body_of(made.events[0])["inputs"]["id"] == "42"


def test_what_is_no_json_is_kept_as_base64() -> None:
    made = called(KSERVE, side("request", b"\x93NUMPY\x01\xff"), side("response", "done, thanks"))
    body = body_of(made.events[0])
    assert body["inputs"] == {"base64": "k05VTVBZAf8="}
    assert body["output"] == {"text": "done, thanks"}


def test_the_times_of_both_messages_make_the_latency() -> None:
    request = side("request", {"instances": [1]})
    response = side("response", {"predictions": [1]}, time="2026-01-31T09:30:00.75Z")
    assert called(KSERVE, request, response).events[0].latency_us == 250_000


def test_what_a_broker_adds_makes_no_conflict() -> None:
    once = called(
        KSERVE,
        side("request", {"instances": [1]}, knativearrivaltime="2026-01-31T09:30:01Z"),
        side("response", {"predictions": [2]}),
    )
    again = called(
        KSERVE,
        side("request", {"instances": [1]}, knativearrivaltime="2026-01-31T09:31:00Z"),
        side("response", {"predictions": [2]}, traceparent="00-1-2-01"),
    )
    assert once.events[0].body != again.events[0].body
    assert same(once, again)


def test_a_wrong_count_of_declared_features_is_refused_once_for_the_call() -> None:
    declared = serving("kserve", features="a,b")
    rows = {"instances": [[1, 2], [1, 2, 3], [1]]}
    made = called(declared, side("request", rows), side("response", {"predictions": [1, 2, 3]}))
    assert [each.id for each in made.events] == ["c-1/0"]
    assert [str(each.error) for each in made.refused] == [
        "an instance has 3 values, and 2 features are declared"
    ]


def test_predictions_of_a_transformer_do_not_collide_with_the_predictors() -> None:
    ids = []
    for component in ("predictor", "transformer"):
        request = side("request", {"instances": [1]}, component=component)
        response = side("response", {"predictions": [1]}, component=component)
        ids += [each.id for each in called(KSERVE, request, response).events]
    assert ids == ["c-1", "transformer:c-1"]


def test_a_structured_event_of_a_broker_is_the_same_half() -> None:
    binary = read(KSERVE, side("request", {"instances": [1]})).halves[0]
    envelope = {
        "specversion": "1.0",
        "id": "c-1",
        "source": "http://localhost:9081/",
        "type": "org.kubeflow.serving.inference.request",
        "time": "2026-01-31T09:30:00.5Z",
        "inferenceservicename": "iris",
        "data": {"instances": [1]},
    }
    structured = message(envelope, {"Content-Type": "application/cloudevents+json"})
    half = read(KSERVE, structured).halves[0]
    assert half.key == binary.key
    assert same(joined(KSERVE, half), joined(KSERVE, binary))


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"Ce-Type": "org.kubeflow.serving.inference.explanation"}, Invalid),
        ({"Ce-Time": "yesterday"}, CollectorError),
        ({"Ce-Id": ""}, Malformed),
        ({"Ce-Specversion": "0.3"}, CollectorError),
    ],
)
def test_an_event_that_is_none_of_the_loggers_is_refused(
    changed: dict[str, str], error: type[CollectorError]
) -> None:
    headers = {**ATTRIBUTES, "Ce-Type": "org.kubeflow.serving.inference.request", **changed}
    with pytest.raises(error) as caught:
        read(KSERVE, message("{}", headers))
    assert caught.value.remedy


def test_an_attribute_that_is_sent_twice_is_refused() -> None:
    request = side("request", "{}")
    twice = Message(headers=(*request.headers, (b"ce-id", b"c-2")), unpacked=b"{}")
    with pytest.raises(Malformed):
        read(KSERVE, twice)


BODIES = st.sampled_from(
    [
        b'{"instances": [[6.8, 2.8], [6.0, 3.4]]}',
        b'{"predictions": [1, [2], {"a": 3}]}',
        b'{"predictions": [NaN, -Infinity, 1]}',
        MISSHAPEN,
        V2_RESPONSE,
        b'{"dataframe_split": {"columns": ["a", "b"], "data": [[1, 2]]}}',
    ]
)


@given(st.data(), BODIES, BODIES)
def test_no_body_breaks_reading_or_joining(data: st.DataObject, one: bytes, other: bytes) -> None:
    change = data.draw(st.sampled_from([altered, damaged]))
    if change is altered and b"NaN" in one:
        change = damaged
    request = side("request", data.draw(change(one)))
    survives(serving("kserve", features="a,b"), request, side("response", other))
    survives(KSERVE, request, side("response", data.draw(damaged(other))))


@given(st.dictionaries(st.sampled_from(sorted(ATTRIBUTES)), st.text("a:%0Z-/\x00é", max_size=300)))
def test_no_attribute_breaks_reading_or_joining(changed: dict[str, str]) -> None:
    headers = {**ATTRIBUTES, "Ce-Type": "org.kubeflow.serving.inference.request", **changed}
    survives(KSERVE, message({"instances": [1]}, headers))
