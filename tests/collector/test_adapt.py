"""Native items become events or refusals, whatever they hold."""

import contextlib
import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.events import Event
from collector import adapt
from collector.delivery import NATIVE, Delivery, read, read_each
from collector.errors import CollectorError, Invalid, Malformed
from collector.limits import Limits
from tests.collector.conftest import prediction

PREDICTION = "PredictionLogged"


def test_a_native_item_is_its_own_body() -> None:
    event = adapt.native(PREDICTION, "web", json.dumps(prediction(extra={"kept": [1]})).encode())
    assert (event.integration, event.id, event.model) == ("web", "p-1", "late-arrival")
    assert json.loads(event.body)["extra"] == {"kept": [1]}


@pytest.mark.parametrize("item", [b"", b"{", b"\xff", b"{'a':1}", b"nan", b'{"a":1}{'])
def test_what_is_not_json_is_malformed(item: bytes) -> None:
    with pytest.raises(Malformed):
        adapt.native(PREDICTION, "web", item)


@pytest.mark.parametrize("item", [b"{}", b"[]", b"1", b"null", b'"x"'])
def test_json_that_is_no_such_event_is_invalid(item: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        adapt.native(PREDICTION, "web", item)
    assert caught.value.remedy


def test_deliveries_of_one_item_are_read_as_one_batch() -> None:
    bodies = [prediction("a"), {"id": "b"}, 5, prediction("c")]
    reading = read_each([_delivery("predictions", json.dumps(each)) for each in bodies], Limits())
    assert [event.id for event in reading.events] == ["a", "c"]
    assert [(each.position, each.error.status) for each in reading.refusals] == [(1, 422), (2, 400)]
    assert reading.positions() == [0, 3]


def test_a_delivery_is_the_same_after_it_was_kept() -> None:
    delivery = msgspec.structs.replace(
        _delivery("cloudevents", "{}"), attributes=((b"ce-id", b"\xff"),)
    )
    packed = msgspec.msgpack.encode(delivery)
    assert msgspec.msgpack.decode(packed, type=Delivery) == delivery


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(
        ["2013-01-01T10:00:00Z", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:60Z"]
    ),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["id", "name", "version", "total", "scheme"]), inner)
    ),
    max_leaves=8,
)
FIELDS = """
    id time model inputs output status sequence score confidence error explanation decision
    subject references latency_ms context prediction outcome action other
"""
fields = st.sampled_from(FIELDS.split())


@given(address=st.sampled_from(sorted(NATIVE)), changes=st.dictionaries(fields, values))
def test_any_fields_make_an_event_or_a_refusal(address: str, changes: dict[str, Any]) -> None:
    body = {**prediction(), "prediction": {"id": "p"}, "action": "accept", **changes}
    reading = read(_delivery(address, json.dumps(body)), Limits())
    for event in reading.events:
        _require_whole(event, body)


@given(address=st.sampled_from(sorted(NATIVE)), body=st.binary(max_size=100))
def test_any_bytes_make_an_event_or_a_refusal(address: str, body: bytes) -> None:
    with contextlib.suppress(CollectorError):
        read(msgspec.structs.replace(_delivery(address, ""), body=body), Limits())


def _require_whole(event: Event, body: dict[str, Any]) -> None:
    assert json.loads(event.body).keys() == body.keys()
    assert -1 <= event.latency_us < 2**63
    assert -(2**63) <= event.event_us < 2**63


def _delivery(address: str, body: str) -> Delivery:
    return Delivery(
        address=address,
        integration="web",
        permitted=adapt.TYPES,
        body=body.encode("utf-8", "surrogatepass"),
        content_type="application/json",
    )
