"""CloudEvents over HTTP: the published conformance features, and the rules behind them."""

import base64
import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from audit.events import Event
from collector import adapt
from collector.cloudevents import CloudEvent, Mode, mode_of, of_headers, of_json
from collector.delivery import Delivery, read
from collector.errors import CollectorError, Invalid, Malformed, Reserved, UnsupportedMedia
from collector.limits import Limits
from tests.collector.conftest import prediction

Headers = list[tuple[bytes, bytes]]
BINARY: Headers = [
    (b"ce-specversion", b"1.0"),
    (b"ce-id", b"e-1"),
    (b"ce-source", b"/gate"),
    (b"ce-type", b"modelwitness.PredictionLogged.v1"),
    (b"ce-time", b"2013-01-01T05:15:00Z"),
    (b"content-type", b"application/json"),
]


def envelope(**fields: Any) -> bytes:
    """A structured CloudEvent of a prediction."""
    known = {key.removeprefix("ce-"): value for key, value in _text(BINARY).items()}
    del known["content-type"]
    return json.dumps({**known, "data": prediction("e-1"), **fields}).encode()


def _text(headers: Headers) -> dict[str, str]:
    return {name.decode(): value.decode() for name, value in headers}


# ---- published features and events ---------------------------------------------------------------


def scenarios(feature: str) -> Iterator[tuple[str, str, dict[str, str], Any]]:
    """Title, request, attributes and JSON data of each example of each scenario."""
    for scenario in re.split(r"^\s*Scenario Outline: ", feature, flags=re.MULTILINE)[1:]:
        request, data = re.findall(r'"""\n(.*?)"""', scenario, re.DOTALL)
        table, _, examples = scenario.partition("Examples:")
        rows = re.findall(r"^\s*\|\s*(\S+)\s*\|\s*(.*?)\s*\|$", table, re.MULTILINE)
        for value in re.findall(r"^\s*\|\s*(\S.*?)\s*\|$", examples, re.MULTILINE)[1:]:
            filled = [text.replace("<contentType>", value) for text in (request, *sum(rows, ()))]
            attributes = dict(zip(filled[1::2], filled[2::2], strict=True))
            del attributes["key"]
            yield scenario.splitlines()[0], filled[0], attributes, json.loads(data)


def parsed(request: str) -> CloudEvent:
    """What our parser makes of a request written as text."""
    lines = [line.strip() for line in request.splitlines()]
    gap = lines.index("")
    pairs = [line.partition(": ")[::2] for line in lines[1:gap]]
    headers = [(name.lower().encode(), value.encode()) for name, value in pairs]
    found = dict(headers)
    content_type = found[b"content-type"].decode()
    body = "\n".join(lines[gap + 1 :]).encode()
    if mode_of(content_type, has_attributes=b"ce-specversion" in found) is Mode.BINARY:
        return of_headers(headers, body)
    return of_json(body)


def test_the_published_http_features_hold(shared: Path) -> None:
    feature = (shared / "samples/cloudevents/http-protocol-binding.feature").read_text()
    titles = []
    for title, request, attributes, data in scenarios(feature):
        event = parsed(request)
        assert event.attributes == attributes, title
        assert event.data is not None
        assert json.loads(event.data) == data
        titles.append(title)
    assert len(titles) == 4


@pytest.mark.parametrize("name", ["v1.yaml", "v1_minimum.yaml"])
def test_the_published_events_are_read_in_both_modes(shared: Path, name: str) -> None:
    documents = yaml.load_all(  # as text: 1.0 is a version here and no number
        (shared / "samples/cloudevents" / name).read_text(), yaml.BaseLoader
    )
    for document in documents:
        attributes = document["ContextAttributes"]
        attributes.update(attributes.pop("Extensions", {}))
        data = document["Data"]
        media = attributes.get("datacontenttype", "application/json")
        headers = [
            (f"ce-{key}".encode(), _quoted(value).encode())
            for key, value in attributes.items()
            if key != "datacontenttype"
        ]
        binary = of_headers([*headers, (b"content-type", media.encode())], data.encode())
        is_json = media.startswith("application/json")
        carried = json.loads(data) if is_json else data
        structured = of_json(json.dumps({**attributes, "data": carried}).encode())
        for event in (binary, structured):
            expected = {"datacontenttype": media, **attributes}
            assert {"datacontenttype": media, **event.attributes} == expected
            assert event.data is not None
            found = json.loads(event.data) if is_json else event.data.decode()
            assert found == carried


def _quoted(value: str) -> str:
    return "".join(
        char if "!" <= char <= "~" and char not in '"%' else _percent(char) for char in value
    )


def _percent(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode())


def test_the_published_older_version_is_refused_with_the_remedy(shared: Path) -> None:
    document = yaml.load((shared / "samples/cloudevents/v03.yaml").read_text(), yaml.BaseLoader)
    attributes = document["ContextAttributes"]
    del attributes["Extensions"]
    with pytest.raises(Invalid) as caught:
        of_json(json.dumps({**attributes, "data": {}}).encode())
    assert caught.value.field == "/specversion"
    assert "1.0" in caught.value.remedy


def test_the_published_batch_is_read_item_by_item(shared: Path) -> None:
    """Its first item holds a placeholder where base64 should be."""
    body = (shared / "samples/cloudevents/batch.json").read_bytes()
    delivery = _delivery(body, "application/cloudevents-batch+json")
    reading = read(delivery, Limits())
    assert [each.position for each in reading.refusals] == [0, 1]
    assert [each.error.field for each in reading.refusals] == ["/data_base64", "/type"]


# ---- modes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content_type", "mode"),
    [
        ("application/cloudevents+json", Mode.STRUCTURED),
        ("APPLICATION/CloudEvents+JSON ; charset=UTF-8", Mode.STRUCTURED),
        ("application/cloudevents-batch+json", Mode.BATCHED),
        ("application/json", Mode.BINARY),
        (None, Mode.BINARY),
    ],
)
def test_the_content_type_decides_the_mode_before_any_header(
    content_type: str | None, mode: Mode
) -> None:
    assert mode_of(content_type, has_attributes=True) is mode


@pytest.mark.parametrize(
    "content_type",
    [
        "application/cloudevents+xml",
        "application/cloudevents",
        "application/cloudevents-batch+avro",
        "application/cloudevents+json; charset=utf-16",
    ],
)
def test_other_event_formats_are_not_mistaken_for_binary_mode(content_type: str) -> None:
    with pytest.raises(UnsupportedMedia):
        mode_of(content_type, has_attributes=True)


def test_a_request_without_attributes_is_no_cloudevent() -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        mode_of("application/json", has_attributes=False)
    assert "ce-specversion" in caught.value.remedy


# ---- header values -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        (b"plain", "plain"),
        (b"Euro%20%E2%82%AC%20%F0%9F%98%80", "Euro € 😀"),
        (b"%2541", "%41"),  # one round, not two
        (b'"quoted value"', "quoted value"),
        (b'"a \\"b\\" %41"', 'a "b" A'),
        (b'"', '"'),
        (b"100%", "100%"),
        (b"", ""),
    ],
)
def test_a_header_value_is_unquoted_and_decoded_once(sent: bytes, meant: str) -> None:
    event = of_headers([*BINARY, (b"ce-note", sent)], b"{}")
    assert event.attributes["note"] == meant


def test_a_header_value_that_is_not_utf8_is_refused_by_its_name() -> None:
    with pytest.raises(Malformed) as caught:
        of_headers([*BINARY, (b"ce-note", b"%C3%28")], b"{}")
    assert caught.value.field == "ce-note"


def test_an_attribute_given_twice_is_refused() -> None:
    with pytest.raises(Malformed) as caught:
        of_headers([*BINARY, (b"ce-id", b"other")], b"{}")
    assert caught.value.field == "ce-id"


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
@pytest.mark.parametrize("value", [None, ""])
def test_required_attributes_are_required_and_not_empty(name: str, value: str | None) -> None:
    headers = [pair for pair in BINARY if pair[0] != f"ce-{name}".encode()]
    if value is not None:
        headers.append((f"ce-{name}".encode(), value.encode()))
    with pytest.raises(Malformed) as binary:
        of_headers(headers, b"{}")
    with pytest.raises(Malformed) as structured:
        of_json(envelope(**{name: value}))
    assert (binary.value.field, structured.value.field) == (f"ce-{name}", f"/{name}")


# ---- envelopes -----------------------------------------------------------------------------------


def test_a_null_attribute_is_not_set() -> None:
    event = of_json(envelope(subject=None, data_base64=None, dataschema="urn:x"))
    assert "subject" not in event.attributes
    assert event.attributes["dataschema"] == "urn:x"


def test_data_may_be_base64_but_not_both() -> None:
    data = b'{"a":1}'
    encoded = base64.b64encode(data).decode()
    assert of_json(envelope(data=None, data_base64=encoded)).data == data
    with pytest.raises(Invalid) as caught:
        of_json(envelope(data_base64=encoded))
    assert caught.value.field == "/data_base64"


@pytest.mark.parametrize("value", [[1], {"a": 1}, 1.5])
def test_an_attribute_of_another_kind_is_refused_by_its_name(value: object) -> None:
    with pytest.raises(Invalid) as caught:
        of_json(envelope(extra=value))
    assert caught.value.field == "/extra"


@pytest.mark.parametrize("time", ["yesterday", "2013-01-01T00:00:00", ""])
def test_a_time_that_is_not_rfc3339_is_refused_by_its_name(time: str) -> None:
    with pytest.raises(Invalid) as caught:
        of_json(envelope(time=time))
    assert caught.value.field == "/time"


# ---- our events ----------------------------------------------------------------------------------


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
