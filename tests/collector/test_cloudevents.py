"""CloudEvents over HTTP: the published conformance features, and the rules behind them."""

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from collector import adapt
from collector.cloudevents import CloudEvent, Mode, mode_of, of_headers, of_json
from collector.delivery import Delivery, read
from collector.errors import Invalid, Malformed, UnsupportedMedia
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
    delivery = Delivery(
        address="cloudevents",
        integration="web",
        permitted=adapt.TYPES,
        body=body,
        content_type="application/cloudevents-batch+json",
    )
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
