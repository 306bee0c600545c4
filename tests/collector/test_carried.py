"""The events that CloudEvents carry: what the envelope gives them, and what is refused."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.events import Event
from collector import adapt
from collector.cloudevents import of_headers, of_json
from collector.delivery import Delivery, read
from collector.errors import CollectorError, Invalid, Malformed, Reserved
from collector.limits import Limits
from tests.collector.conftest import prediction
from tests.collector.test_cloudevents import BINARY, envelope


def carried(raw: bytes, permitted: frozenset[str] = adapt.TYPES) -> Event:
    """Our event in a structured CloudEvent."""
    return adapt.carried(of_json(raw), "web", permitted)


def test_id_time_and_sequence_of_the_envelope_fill_those_that_the_data_lacks() -> None:
    data = {key: value for key, value in prediction().items() if key not in {"id", "time"}}
    event = carried(envelope(data=data, sequence="0042"))
    body = json.loads(event.body)
    assert (event.id, body["id"], body["time"]) == ("e-1", "e-1", "2013-01-01T05:15:00Z")
    assert body["sequence"] == 42
    assert body["cloudevent"]["sequence"] == "0042"


def test_what_the_data_says_itself_wins_and_the_envelope_is_kept() -> None:
    event = carried(envelope(data=prediction("own"), id="outer", knativehistory="broker"))
    body = json.loads(event.body)
    assert event.id == body["id"] == "own"
    assert body["time"] == "2013-01-01T10:00:00Z"
    assert body["cloudevent"]["id"] == "outer"
    assert body["cloudevent"]["knativehistory"] == "broker"
    assert body["cloudevent"]["source"] == "/gate"


def test_what_brokers_add_on_the_way_makes_no_other_content() -> None:
    first = carried(envelope(arrival="1"))
    again = carried(envelope(arrival="2"))
    other = carried(envelope(data=prediction("e-1", output="other")))
    assert first.content == again.content
    assert first.body != again.body
    assert first.content != other.content


def test_trace_context_makes_no_other_content_either() -> None:
    def traced(parent: str) -> Event:
        return carried(envelope(data=prediction(context={"traceparent": parent, "region": "eu"})))

    assert traced("00-1-1-01").content == traced("00-2-2-01").content


def test_empty_data_is_an_event_without_its_required_fields() -> None:
    with pytest.raises(Invalid) as caught:
        carried(envelope(data={}))
    assert caught.value.field == "/data/model"


@pytest.mark.parametrize("data", [None, "text", [1], 5])
def test_data_that_is_no_object_is_refused(data: object) -> None:
    with pytest.raises(Invalid) as caught:
        carried(envelope(data=data))
    assert caught.value.field == "/data"


@pytest.mark.parametrize(
    "type_",
    ["com.example.someevent", "modelwitness.PredictionLogged.v2", "modelwitness.TokenIssued.v1"],
)
def test_types_that_are_not_for_senders_are_refused(type_: str) -> None:
    with pytest.raises(Invalid) as caught:
        carried(envelope(type=type_))
    assert caught.value.field == "/type"
    assert "modelwitness.OutcomeObserved.v1" in caught.value.remedy


def test_a_type_that_the_role_may_not_send_is_reserved() -> None:
    with pytest.raises(Reserved):
        carried(envelope(), frozenset({"VersionReleased"}))


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"data": prediction("x", score="high")}, "/data/score"),
        ({"data": prediction("")}, "/data/id"),
        ({"data": {**prediction(), "time": "now"}}, "/data/time"),
        ({"data": prediction(cloudevent={})}, "/data/cloudevent"),
        ({"id": "x" * 257, "data": {k: v for k, v in prediction().items() if k != "id"}}, "/id"),
    ],
)
def test_a_refusal_names_the_field_where_it_stands(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        carried(envelope(**fields))
    assert caught.value.field == field


def test_data_in_another_media_type_is_refused() -> None:
    with pytest.raises(Invalid) as caught:
        carried(envelope(datacontenttype="text/xml", data="<a/>"))
    assert caught.value.field == "/datacontenttype"


def test_binary_mode_takes_the_body_as_data() -> None:
    body = json.dumps(prediction("own")).encode()
    event = adapt.carried(of_headers(BINARY, body), "web")
    assert json.loads(event.body)["cloudevent"]["datacontenttype"] == "application/json"
    with pytest.raises(Malformed) as caught:
        adapt.carried(of_headers(BINARY, b'{"inputs": '), "web")
    assert caught.value.field == ""


def test_an_integration_declares_itself_and_no_other() -> None:
    declaration = {"type": "modelwitness.IntegrationDeclared.v1"}
    assert carried(envelope(**declaration, data={"name": "web", "owner": "ops"})).id == "e-1"
    with pytest.raises(Invalid) as caught:
        carried(envelope(**declaration, data={"name": "payroll"}))
    assert caught.value.field == "/data/name"


# ---- anything ------------------------------------------------------------------------------------


def _delivery(body: bytes, content_type: str, *headers: tuple[bytes, bytes]) -> Delivery:
    return Delivery(
        address="cloudevents",
        integration="web",
        permitted=adapt.TYPES,
        body=body,
        content_type=content_type,
        attributes=headers,
    )


def _read_or_refused(delivery: Delivery) -> None:
    with contextlib.suppress(CollectorError):
        read(delivery, Limits())


names = st.sampled_from(["id", "type", "time", "source", "sequence", "subject", "data", "x"])
values = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.integers())


@given(fields=st.dictionaries(names, values), batched=st.booleans())
def test_any_envelope_is_read_or_refused(fields: dict[str, Any], batched: bool) -> None:
    body = envelope(**fields)
    if batched:
        _read_or_refused(_delivery(b"[" + body + b"]", "application/cloudevents-batch+json"))
    else:
        _read_or_refused(_delivery(body, "application/cloudevents+json"))


@given(body=st.binary(max_size=200), name=names, value=st.binary(max_size=40))
def test_any_headers_and_bytes_are_read_or_refused(body: bytes, name: str, value: bytes) -> None:
    ce = [pair for pair in BINARY[:-1] if pair[0] != f"ce-{name}".encode()]
    _read_or_refused(_delivery(body, "application/json", *ce, (f"ce-{name}".encode(), value)))
    _read_or_refused(_delivery(body, "application/cloudevents+json"))
    _read_or_refused(_delivery(body, "application/cloudevents-batch+json"))


@given(data=st.dictionaries(names, values))
def test_any_data_is_read_or_refused(data: dict[str, Any]) -> None:
    _read_or_refused(
        _delivery(json.dumps({**prediction(), **data}).encode(), "application/json", *BINARY[:-1])
    )
