"""A mapping makes the events that it says, of JSON, CSV or XML, and refuses what does not fit."""

import contextlib
import tracemalloc
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.declared import load
from audit.errors import BadDeclaration
from collector.adapters.wire import Adapted, Message
from collector.errors import CollectorError, Invalid, Malformed, TooLarge
from collector.integrations.declaration import Declared, Record
from collector.mapping import language
from collector.mapping.adapter import Mapped
from collector.mapping.expressions import Scope
from collector.mapping.formats import Body
from collector.mapping.language import mapping_of

DECLARED = Declared(name="loans", adapter="mapping", model="credit", version="3")
SIMPLE = """
format: json
items: data[]
when: kind == 'scored'
verified: true
events:
  - type: prediction
    fields:
      id: {join: [loan.id, {const: r}, revision], with: ":"}
      time: {path: at, time: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
      inputs: {object: {income: {path: loan.income, as: number}, "region": loan.region}}
      output: {path: decision, values: {A: approve, D: decline}}
      score: {path: score, as: number}
      subject: {path: customer, as: text}
      context.region: {header: x-region}
      latency_ms.total: {path: ms, as: number}
  - type: outcome
    when: paid != null
    fields:
      id: {join: [loan.id, {const: paid}], with: ":"}
      time: {path: at, time: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
      prediction.id: {join: [loan.id, {const: r}, revision], with: ":"}
      outcome: {path: paid, as: boolean}
"""


def read(text: str, body: bytes, declared: Declared = DECLARED, **headers: str) -> Adapted:
    message = Message(
        unpacked=body,
        headers=tuple(
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ),
    )
    return mapping_of(load(text), "mapping").read(message, declared)


def bodies(found: Adapted) -> list[dict[str, Any]]:
    return [msgspec.json.decode(each.body) for each in found.events]


ITEM = {
    "kind": "scored",
    "loan": {"id": 17, "income": "41000.5", "region": "north"},
    "revision": "2",
    "at": "01.07.2026 09:30",
    "decision": "A",
    "score": 0.93,
    "customer": 4711,
    "ms": "12",
    "paid": "yes",
}


def test_every_kind_of_expression_makes_what_it_says() -> None:
    body = msgspec.json.encode({"data": [ITEM, {"kind": "other"}]})
    found = read(SIMPLE, body, x_region="eu")
    assert found.unrelated == 1
    prediction, outcome = bodies(found)
    assert prediction == {
        "id": "17:r:2",
        "time": "2026-07-01T07:30:00Z",
        "model": {"name": "credit", "version": "3"},
        "inputs": {"income": 41000.5, "region": "north"},
        "output": "approve",
        "score": 0.93,
        "subject": {"scheme": "default", "id": "4711"},
        "context": {"region": "eu"},
        "latency_ms": {"total": 12.0},
        "origin": {"adapter": "mapping", "verified": True},
    }
    assert (outcome["prediction"], outcome["outcome"]) == ({"id": "17:r:2"}, True)
    assert [each.type for each in found.events] == ["PredictionLogged", "OutcomeObserved"]


def test_an_item_that_does_not_fit_is_refused_alone_without_its_values() -> None:
    bad = {**ITEM, "score": "secret-text"}
    body = msgspec.json.encode({"data": [bad, ITEM]})
    found = read(SIMPLE, body)
    assert len(found.events) == 2
    [refused] = found.refused
    assert msgspec.json.decode(refused.raw) == bad
    assert isinstance(refused.error, Invalid)
    assert "score" in str(refused.error)
    assert "secret-text" not in str(refused.error)
    with pytest.raises(Invalid):
        read(SIMPLE, msgspec.json.encode({"data": [bad]}))


CSV = """
format: csv
events:
  - type: prediction
    fields:
      id: row
      time: {path: at, time: s}
      model: {object: {name: {const: churn}, version: v}}
      inputs: {object: {tenure: {path: tenure, as: integer}}}
      output: {path: out, default: none}
"""


def test_rows_of_csv_are_items_by_the_names_of_the_header() -> None:
    found = read(
        CSV, b"\xef\xbb\xbfrow,at,v,tenure,out\r\n1,1700000000,9,12,stay\r\n2,1700000060,9,3,\r\n"
    )
    first, second = bodies(found)
    assert (first["time"], first["inputs"], first["output"]) == (
        "2023-11-14T22:13:20Z",
        {"tenure": 12},
        "stay",
    )
    assert (first["model"], second["output"]) == ({"name": "churn", "version": "9"}, "none")


def test_columns_may_be_parted_by_semicolons_and_decimals_be_commas() -> None:
    text = CSV.replace("format: csv", 'format: csv\ndelimiter: ";"')
    text = text.replace("{path: tenure, as: integer}", '{path: tenure, as: number, decimal: ","}')
    found = read(text, b'row;at;v;tenure;out\n1;1700000000;9;"1.234,5";stay\n')
    assert bodies(found)[0]["inputs"] == {"tenure": 1234.5}


XML = """
format: xml
items: Scores.Score
events:
  - type: prediction
    fields:
      id: '"@id"'
      time: {path: When, time: rfc3339}
      inputs: {object: {a: Input.a}}
      output: {path: Result, as: number}
"""


def test_elements_of_xml_are_members_by_their_local_names() -> None:
    found = read(
        XML,
        b'<s:Scores xmlns:s="urn:x"><s:Score id="p1"><When>2026-01-01T00:00:00Z</When>'
        b"<Input><a>1</a></Input><Result>0.5</Result></s:Score></s:Scores>",
    )
    [body] = bodies(found)
    assert (body["id"], body["inputs"], body["output"]) == ("p1", {"a": "1"}, 0.5)


@pytest.mark.parametrize(
    "body",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b"<x>",
        b"",
        b'<?xml version="1.0"?><!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
    ],
)
def test_xml_with_a_doctype_or_without_an_end_is_refused(body: bytes) -> None:
    with pytest.raises(Malformed):
        read(XML, body)


CHANGED = """
events:
  - type: change
    fields:
      object: {const: deal}
      id: id
      time: {path: at, time: ms}
      actor: who
      new: {object: {Score: after, Stage: stage}}
      old: {object: {Score: before}}
"""


def test_a_change_of_a_record_becomes_what_the_declaration_says_of_records() -> None:
    declared = msgspec.structs.replace(
        DECLARED, writers=("robot",), record=Record(prediction="Score")
    )
    change = {"id": "d1", "at": 1_700_000_000_000, "who": "robot", "after": 5, "before": 1}
    [made] = read(CHANGED, msgspec.json.encode(change), declared).events
    assert made.type == "PredictionLogged"
    [made] = read(CHANGED, msgspec.json.encode({**change, "who": "anna"}), declared).events
    assert (made.type, made.status) == ("OversightRecorded", "override")


def test_lines_of_json_are_items_too() -> None:
    text = """
events:
  - type: outcome
    fields: {id: i, time: {path: t, time: s}, prediction.id: p, outcome: o}
"""
    found = read(text, b'{"i":"1","t":1,"p":"x","o":1}\n\n{"i":"2","t":2,"p":"y","o":0}\n')
    assert [each.prediction for each in found.events] == [("loans", "x"), ("loans", "y")]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{}", "events"),
        ("events: []", "events"),
        ("{format: yaml, events: [{type: outcome, fields: {id: a, time: b}}]}", "format"),
        ("events: [{type: guess, fields: {id: a, time: b}}]", "events[0].type"),
        ("events: [{type: outcome, fields: {time: b}}]", "events[0].fields.id"),
        ("events: [{type: outcome, fields: {id: a}}]", "events[0].fields.time"),
        ("events: [{type: outcome, fields: {id: 'a[', time: b}}]", "events[0].fields.id"),
        ("events: [{type: outcome, fields: {id: '', time: b}}]", "events[0].fields.id"),
        (
            "events: [{type: outcome, fields: {id: {path: a, body: b}, time: b}}]",
            "events[0].fields.id",
        ),
        ("events: [{type: outcome, fields: {id: {}, time: b}}]", "events[0].fields.id"),
        (
            "events: [{type: outcome, fields: {id: {path: a, as: word}, time: b}}]",
            "events[0].fields.id.as",
        ),
        ("events: [{type: outcome, fields: {id: a, time: {path: b, time: iso}}}]", "time.time"),
        (
            "events: [{type: outcome, fields: {id: a, time: {path: b, time: s, zone: Mars}}}]",
            "time",
        ),
        ("events: [{type: outcome, fields: {id: {header: Authorization}, time: b}}]", "id.header"),
        ("events: [{type: outcome, fields: {id: a, time: b, origin: c}}]", "origin"),
        (
            "events: [{type: outcome, fields: {id: a, time: b, model: c, model.name: d}}]",
            "model.name",
        ),
        ("events: [{type: change, fields: {id: a, time: b, output: c}}]", "output"),
        ("events: [{type: outcome, fields: {id: a, time: b}, if: c}]", "events[0].if"),
        ("event: []", "event"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(BadDeclaration) as refusal:
        mapping_of(load(text), "mapping", "")
    assert place in str(refusal.value)


values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(list(ITEM)), inner),
    max_leaves=12,
)


@given(st.lists(st.fixed_dictionaries({}, optional=dict.fromkeys(ITEM, values))), st.booleans())
def test_whatever_the_values_are_only_a_refusal_escapes(items: list[Any], wrapped: bool) -> None:
    for each in items:
        each.setdefault("kind", "scored")
    try:
        body = msgspec.json.encode({"data": items} if wrapped else items)
    except OverflowError:
        return
    try:
        found = read(SIMPLE, body)
    except CollectorError:
        return
    for event in found.events:
        assert event.integration == "loans"


@given(st.binary(max_size=200), st.sampled_from([SIMPLE, CSV, XML, CHANGED]))
def test_whatever_the_bytes_are_only_a_refusal_escapes(body: bytes, text: str) -> None:
    with contextlib.suppress(CollectorError):
        read(text, body)


def test_the_same_declaration_is_compiled_once() -> None:
    mapped = Mapped()
    declared = msgspec.structs.replace(DECLARED, mapping=load(SIMPLE))
    message = Message(unpacked=msgspec.json.encode({"data": [ITEM]}))
    assert [each.id for each in mapped(message, declared).events] == ["17:r:2", "17:paid"]
    assert mapped(message, declared).events == mapped(message, declared).events


WHOLE = """
format: csv
events:
  - type: prediction
    fields:
      id: id
      time: at
      model.name: {const: m}
      output: {path: out, as: integer}
"""


@pytest.mark.parametrize("bad", ["--5", "+-7", "9" * 5_000, "1e999", "1.5"])
def test_a_text_that_is_no_whole_number_is_refused_and_its_neighbours_are_not(bad: str) -> None:
    rows = [["id", "at", "out"], *([f"r{n}", "2026-01-05T10:00:00Z", f"+{n}"] for n in range(3))]
    rows[2][2] = bad
    found = read(WHOLE, "\n".join(map(",".join, rows)).encode())
    assert [each["output"] for each in bodies(found)] == [0, 2]
    [refused] = found.refused
    assert isinstance(refused.error, Invalid)
    assert bad not in str(refused.error)
    with pytest.raises(Invalid):  # what is kept of it reads as it did
        read(WHOLE, refused.raw)


def test_what_a_value_does_to_its_evaluation_is_its_own_items_refusal() -> None:
    text = WHOLE.replace("csv", "json").replace("output: {path: out, as: integer}", "output: out")
    mapping = mapping_of(load(text), "mapping")

    def failing(scope: Scope) -> Any:
        if scope.item["out"]:
            raise scope.item["out"]()
        return 1

    mapping.events[0].fields["output"] = failing
    for error in (ValueError, TypeError, OverflowError, RecursionError, KeyError):
        items = [
            (lambda: b"raw", {"id": f"r{n}", "at": "2026-01-05T10:00:00Z", "out": out})
            for n, out in enumerate((None, error, None))
        ]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(language, "body_of", lambda *_, items=items: Body(list, lambda: items))
            found = mapping.read(Message(), DECLARED)
        assert len(found.events) == 2
        assert [type(each.error) for each in found.refused] == [Invalid]


def test_columns_with_long_names_take_no_more_memory_than_their_body() -> None:
    names = ",".join(f"c{n}" + "x" * 195 for n in range(1_000))
    rows = "".join(f"r{n},2026-01-05T10:00:00Z,1{',' * 1_000}\n" for n in range(300))
    body = f"id,at,out,{names}\n{rows}".encode()
    tracemalloc.start()
    try:
        found = read(WHOLE, body)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(found.events) == 300
    assert peak < 10 * len(body)


@pytest.mark.parametrize(
    ("names", "rows", "refusal"),
    [
        (["x" * 201], 1, Malformed),
        ([f"c{n}" for n in range(2_000)], 501, TooLarge),
        ([f"c{n}" + "x" * 190 for n in range(2_000)], 200, TooLarge),
    ],
)
def test_csv_that_would_grow_beyond_bounds_is_refused(
    names: list[str], rows: int, refusal: type[CollectorError]
) -> None:
    body = ",".join(names) + "\n" + ("," * (len(names) - 1) + "1\n") * rows
    with pytest.raises(refusal):
        read(WHOLE, body.encode())
