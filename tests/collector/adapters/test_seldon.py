"""Seldon Core v1's request logger: events that are not always valid CloudEvents, and feedback."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.wire import Message
from collector.errors import CollectorError, Invalid, Malformed
from tests.collector.adapters.business import altered, body_of, damaged, golden
from tests.collector.adapters.servers import (
    called,
    message,
    posted,
    read,
    same,
    serving,
    survives,
)

SELDON = serving("seldon")
FEEDBACK = "io.seldon.serving.feedback"


def side(name: str, body: bytes | str | Any, **attributes: str) -> Message:
    """A request or response as the samples have it: without id, source and time."""
    headers = {f"Ce-{key.capitalize()}": each for key, each in attributes.items()}
    type_ = f"io.seldon.serving.inference.{name}"
    return message(body, {"Ce-Type": type_, "Ce-Requestid": "r-1", **headers})


def feedback(body: Any, received_us: int = 1, **attributes: str) -> Message:
    """Feedback as the executor logs it."""
    headers = {f"Ce-{key.capitalize()}": each for key, each in attributes.items()}
    return message(body, {"Ce-Type": FEEDBACK, **headers}, received_us)


@pytest.mark.parametrize("name", ["income", "tensor", "v2"])
def test_published_calls_become_predictions(name: str) -> None:
    request, response = (
        posted(f"seldon/{name}_request.http"),
        posted(f"seldon/{name}_response.http"),
    )
    golden(f"seldon_{name}", called(SELDON, request, response))


def test_a_request_of_json_data_waits_and_is_an_error_alone() -> None:
    golden("seldon_jsondata", called(SELDON, posted("seldon/jsondata_request.http")))


def test_a_call_without_times_has_that_of_arrival_which_is_no_content() -> None:
    bodies = {"data": {"ndarray": [[1]]}}
    calls = []
    for arrived in (1_000_000, 2_000_000):
        sides = [
            message(
                bodies,
                {"Ce-Type": f"io.seldon.serving.inference.{name}", "Ce-Requestid": "r-1"},
                arrived,
            )
            for name in ("request", "response")
        ]
        calls.append(called(SELDON, *sides))
    assert body_of(calls[0].events[0])["time"] != body_of(calls[1].events[0])["time"]
    assert body_of(calls[0].events[0])["origin"]["time"] == "received"
    assert same(*calls)


def test_messages_of_its_kafka_topic_are_read_by_their_plain_headers() -> None:
    halves = []
    for name in ("request", "response"):
        headers = {
            "type": f"io.seldon.serving.inference.{name}",
            "content-type": "application/json",
            "modelid": "classifier",
            "requestid": "r-1",
            "inferenceservicename": "income",
            "namespace": "seldon",
            "endpoint": "default",
            "protocol": "seldon",
        }
        halves.append(message({"data": {"ndarray": [[1, 2]]}}, headers))
    event = called(SELDON, *halves).events[0]
    assert (event.id, event.model) == ("r-1", "income")
    assert body_of(event)["context"]["segment"]["modelid"] == "classifier"


def test_a_valid_cloud_event_gives_its_time() -> None:
    attributes = {"specversion": "1.0", "id": "x", "source": "s", "time": "2026-01-31T09:30:00Z"}
    made = called(SELDON, side("request", {"strData": "hello"}, **attributes))
    body = body_of(made.events[0])
    assert body["time"] == "2026-01-31T09:30:00Z"
    assert body["inputs"] == {"strData": "hello"}


def test_the_version_may_come_from_the_image_of_the_only_container() -> None:
    request, response = posted("seldon/income_request.http"), posted("seldon/income_response.http")
    made = called(serving("seldon", version="image"), request, response)
    assert made.events[0].version == "seldonio/sklearnserver:1.7.0"


def test_nodes_of_a_graph_that_all_log_can_be_told_apart() -> None:
    ids = [
        called(serving("seldon", ids="node"), side("request", {}, modelid=node)).events[0].id
        for node in ("a", "b")
    ]
    assert ids == ["a:r-1", "b:r-1"]


def test_feedback_is_an_outcome_of_each_instance() -> None:
    body = {
        "response": {"meta": {"puid": "r-1"}},
        "truth": {"data": {"names": ["class"], "ndarray": [[1], [0]]}},
        "reward": 0.5,
    }
    made = read(SELDON, feedback(body, requestid="other"))
    golden("seldon_feedback", made)
    assert [each.prediction for each in made.events] == [("serving", "r-1/0"), ("serving", "r-1/1")]


def test_feedback_with_a_reward_alone_is_an_outcome_too() -> None:
    made = read(SELDON, feedback({"reward": 1}, requestid="r-1"))
    assert made.events[0].prediction == ("serving", "r-1")
    assert body_of(made.events[0])["outcome"] == {"reward": 1}


def test_the_same_feedback_sent_again_is_a_duplicate() -> None:
    once, again = (read(SELDON, feedback({"reward": 1}, us, requestid="r")) for us in (1, 10**7))
    assert once.events[0].body != again.events[0].body
    assert same(once, again)


@pytest.mark.parametrize(
    "wrong",
    [
        {"Ce-Type": "io.seldon.serving.inference.drift", "Ce-Requestid": "r"},
        {"Ce-Type": "io.seldon.serving.inference.request"},
        {"Ce-Type": FEEDBACK, "Ce-Requestid": "r"},
        {},
    ],
)
def test_what_is_no_call_and_no_feedback_is_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(Invalid) as caught:
        read(SELDON, message({}, wrong))
    assert caught.value.remedy


def test_an_attribute_that_is_sent_twice_is_refused() -> None:
    request = side("request", "{}")
    with pytest.raises(Malformed):
        read(SELDON, Message(headers=(*request.headers, *request.headers), unpacked=b"{}"))


def test_feedback_that_is_no_json_is_refused() -> None:
    with pytest.raises(CollectorError):
        read(SELDON, feedback(b"[", requestid="r"))


BODIES = st.sampled_from(
    [
        b'{"data": {"names": ["a", "b"], "ndarray": [[1, 2], [3, 4]]}, "meta": {"puid": "p"}}',
        b'{"data": {"names": ["a", "b"], "tensor": {"shape": [2, 2], "values": [1, 2, 3, 4]}}}',
        b'{"jsonData": {"a": [1]}, "meta": {"requestPath": {"c": "image:1"}, "tags": {}}}',
        b'{"truth": {"data": {"ndarray": [[1]]}}, "reward": 1, "response": {"meta": {"puid": 1}}}',
    ]
)


@given(st.data(), BODIES, BODIES)
def test_no_body_breaks_reading_or_joining(data: st.DataObject, one: bytes, other: bytes) -> None:
    change = data.draw(st.sampled_from([altered, damaged]))
    one = data.draw(change(one))
    survives(serving("seldon", version="image"), side("request", one), side("response", other))
    survives(SELDON, side("request", other), side("response", one))
    survives(SELDON, feedback(one, requestid="r"))


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                [b"ce-type", b"type", b"ce-requestid", b"ce_time", b"ce-time", b"ce-id"]
            ),
            st.binary(max_size=40),
        ),
        max_size=5,
    )
)
def test_no_header_breaks_reading(headers: list[tuple[bytes, bytes]]) -> None:
    known = (b"ce-type", b"io.seldon.serving.inference.request")
    survives(SELDON, Message(headers=(known, *headers), unpacked=b"{}"))
    survives(SELDON, Message(headers=tuple(headers), unpacked=b"{}"))
