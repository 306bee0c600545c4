"""Messages of brokers as deliveries: CloudEvents as each binding writes them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.delivery import Delivery, read
from collector.errors import CollectorError, Malformed
from collector.limits import Limits
from collector.streams.carried import Carried, Headers, delivery
from collector.streams.declaration import Stream

DATA = json.dumps({"model": {"name": "m", "version": "1"}, "inputs": {}, "output": 1}).encode()
NAME = 'Zoë 50%25 "quoted"'


def stream(broker: str = "kafka", format: str = "cloudevents", content_type: str = "") -> Stream:
    return Stream(
        name="s", broker=broker, address="x", topics=("t",), group="g", integration="scoring",
        format=format, content_type=content_type,
    )  # fmt: skip


def carried(body: bytes | None, headers: Headers = (), content_type: str | None = None) -> Carried:
    return Carried(place="t/0/7", lane="t/0", body=body, headers=headers, content_type=content_type)


def attributes(prefix: str, note: bytes) -> Headers:
    found = {
        "specversion": b"1.0",
        "id": b"e-1",
        "source": b"/scoring",
        "type": b"modelwitness.PredictionLogged.v1",
        "time": b"2026-01-01T00:00:00Z",
        "note": note,
    }
    return tuple(((prefix + name).encode(), value) for name, value in found.items())


def noted(sent: Delivery) -> object:
    [event] = read(sent, Limits()).events
    assert event.id == "e-1"
    return json.loads(event.body)["cloudevent"]["note"]


@pytest.mark.parametrize(
    ("broker", "prefix"),
    [
        ("kafka", "ce_"),
        ("rabbitmq", "cloudEvents:"),
        ("rabbitmq", "cloudEvents_"),
        ("redis", "ce-"),
    ],
)
def test_attributes_outside_http_are_not_percent_encoded(broker: str, prefix: str) -> None:
    message = carried(DATA, attributes(prefix, NAME.encode()), "application/json")
    assert noted(delivery(stream(broker), message)) == NAME


def test_nats_percent_encodes_as_http_does() -> None:
    message = carried(DATA, attributes("ce-", b"Zo%C3%AB"), "application/json")
    assert noted(delivery(stream("nats"), message)) == "Zoë"


def test_an_attribute_that_is_not_utf8_is_refused_and_not_raised_early() -> None:
    sent = delivery(stream(), carried(DATA, attributes("ce_", b"\xff"), "application/json"))
    with pytest.raises(Malformed):
        read(sent, Limits())
    assert (b"ce_note", b"\xff") in sent.headers


def test_a_structured_event_needs_no_header() -> None:
    envelope = {
        "specversion": "1.0", "id": "e-1", "source": "/s", "time": "2026-01-01T00:00:00Z",
        "type": "modelwitness.PredictionLogged.v1", "note": NAME, "data": json.loads(DATA),
    }  # fmt: skip
    assert noted(delivery(stream(), carried(json.dumps(envelope).encode()))) == NAME


def test_a_native_message_is_json_unless_it_or_the_declaration_says_otherwise() -> None:
    native = {**json.loads(DATA), "id": "e-1", "time": "2026-01-01T00:00:00Z"}
    line = json.dumps(native).encode()
    for lines, said in ((line, ""), (line + b"\n" + line, "application/x-ndjson")):
        for declared, sent in ((said, None), ("", said or None)):
            found = delivery(
                stream(format="predictions", content_type=declared), carried(lines, (), sent)
            )
            assert read(found, Limits()).refusals == []


def test_place_and_headers_go_along() -> None:
    sent = delivery(stream(), carried(b"?", ((b"Trace", b"\x00\xff"),)))
    assert sent.place == "kafka:t/0/7"
    assert sent.headers == ((b"Trace", b"\x00\xff"),)


@given(st.binary(max_size=200), st.lists(st.tuples(st.binary(max_size=20), st.binary(max_size=20))))
def test_whatever_a_message_holds_only_refusals_come_of_it(
    body: bytes, headers: list[tuple[bytes, bytes]]
) -> None:
    for broker in ("kafka", "nats", "rabbitmq", "redis"):
        for format in ("cloudevents", "predictions"):
            sent = delivery(stream(broker, format), carried(body, tuple(headers)))
            try:
                read(sent, Limits())
            except CollectorError:
                continue
