"""Columns become the same rows as by Arrow's own conversion, with dotted names as members."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.files.columns import rows, texts


def values(array: Any) -> list[Any]:
    return [json.loads(text) for text in texts(array)]


def said(array: Any) -> list[Any]:
    """What Arrow's own conversion gives, as JSON has it."""
    decoded: list[Any] = json.loads(msgspec.json.encode(array.to_pylist()))
    return decoded


leaf = st.none() | st.integers(-(2**62), 2**62)


@pytest.mark.parametrize(
    "listed",
    [
        [1, None, 3],
        [1.5, None, -0.0],
        [True, None, False],
        ["a", None, "", 'quote " and \n break', "null", "\u2028 ü %b"],
        [b"x\n", None],
        [[1, 2], None, [], [3, None]],
        [{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}],
        [[{"f": "x", "c": 0.5}], [], None, [{"f": "y", "c": None}]],
        [Decimal("1.5"), None],
        [b"x", None],
        [{"a": {"b": [1]}}, {"a": None}],
        [],
    ],
)
def test_values_are_those_of_arrow(listed: list[Any]) -> None:
    array: Any = pa.array(listed)
    assert values(array) == said(array)
    assert values(array.slice(1)) == said(array.slice(1))
    if len(listed) > 2:
        assert values(array.slice(1, 1)) == said(array.slice(1, 1))


@given(st.lists(st.none() | st.lists(st.none() | st.fixed_dictionaries({"a": leaf, "b": leaf}))))
def test_nested_values_are_those_of_arrow_however_deep_the_holes(listed: list[Any]) -> None:
    kind = pa.list_(pa.struct([("a", pa.int64()), ("b", pa.int64())]))
    array: Any = pa.array(listed, type=kind)
    assert values(array) == said(array)


def test_categories_and_times_with_a_zone_are_texts() -> None:
    assert values(pa.array(["a", None, "a"]).dictionary_encode()) == ["a", None, "a"]
    moment = datetime(2026, 7, 1, 10, 0, 0, 250_000, tzinfo=UTC)
    array = pa.array([moment, None], type=pa.timestamp("ns", "Europe/Berlin"))
    assert values(array) == ["2026-07-01T10:00:00.250000Z", None]


def table(columns: dict[str, list[Any]]) -> list[Any]:
    [batch] = pa.table(columns).to_batches()
    return [json.loads(row) for row in rows(batch)]


def test_dotted_names_are_members_and_only_inputs_keep_what_is_missing() -> None:
    found = table(
        {
            "id": ["a", "b"],
            "model.name": ["m", "m"],
            "inputs.x": [None, 1],
            "inputs.y": ["p", None],
            "subject.id": ["s", None],
            "subject.scheme": ["customer", None],
            "score": [None, 0.5],
        }
    )
    assert found == [
        {
            "id": "a",
            "model": {"name": "m"},
            "inputs": {"x": None, "y": "p"},
            "subject": {"id": "s", "scheme": "customer"},
        },
        {"id": "b", "model": {"name": "m"}, "inputs": {"x": 1, "y": None}, "score": 0.5},
    ]


@pytest.mark.parametrize("names", [["a", "a.b"], ["a.b", "a"], ["a.", ".b"], ["a..b", "c"]])
def test_names_that_stand_in_each_others_way_lose_no_value(names: list[str]) -> None:
    found = json.dumps(table({name: [number + 7] for number, name in enumerate(names)}))
    assert "7" in found
    assert "8" in found


def test_a_number_that_is_none_is_missing() -> None:
    found = table({"id": ["a", "b"], "score": [float("nan"), 0.5], "inputs.x": [float("nan"), 1.0]})
    assert found == [
        {"id": "a", "inputs": {"x": None}},
        {"id": "b", "score": 0.5, "inputs": {"x": 1.0}},
    ]


def test_any_name_can_be_a_members_name() -> None:
    names = ["%b", "%", 'quote " and \n', "ü", "%%.%d", "{}"]
    [found] = table({name: [number] for number, name in enumerate(names)})
    assert found == {"%b": 0, "%": 1, 'quote " and \n': 2, "ü": 3, "%%": {"%d": 4}, "{}": 5}
    [found] = table({"%b": [1.5], **{name: [None] for name in names[1:]}})
    assert found == {"%b": 1.5}


def test_rows_without_anything_are_empty_objects() -> None:
    [batch] = pa.table({"a": [None, None], "b.c": [None, None]}).to_batches()
    assert rows(batch) == [b"{}", b"{}"]
    assert rows(batch.select([])) == [b"{}", b"{}"]
