"""Columns: what a row contributes, and that nothing in a row can stop the reading."""

import json
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drift import columns
from drift.columns import MISSING, WRONG, Categorical, Columns, Numeric
from drift.policy import Policy, parse

POLICY = parse("""
kind: policy
model: m
reference: {trailing: 30d}
window: day
columns:
  delay: {kind: numeric}
  carrier: {kind: categorical}
segments: [{field: inputs.origin}, {field: context.region}]
""")


def body(delay: Any = 1.5, carrier: Any = "AA", **more: Any) -> bytes:
    inputs = {"delay": delay, "carrier": carrier, "origin": "JFK", "unread": [1, {"a": 2}]}
    row = {"id": "1", "inputs": inputs, "output": "late", "score": 0.5} | more
    return json.dumps(row).encode()


def delays(*values: Any) -> Numeric:
    column = columns.read(POLICY, [body(delay=value) for value in values]).columns["delay"]
    assert isinstance(column, Numeric)
    return column


def carriers(*values: Any) -> list[str | int]:
    column = columns.read(POLICY, [body(carrier=value) for value in values]).columns["carrier"]
    assert isinstance(column, Categorical)
    return [column.categories[code] if code >= 0 else int(code) for code in column.codes]


def test_rows_become_columns_in_their_order() -> None:
    read = columns.read(POLICY, [body(1, "AA"), body(2.5, "UA"), body(-3, "AA")])
    assert read.count == 3
    delay, output = read.columns["delay"], read.columns["output"]
    assert isinstance(delay, Numeric)
    assert isinstance(output, Categorical)
    assert delay.values.tolist() == [1.0, 2.5, -3.0]
    assert output.categories == ("late",)
    assert read.segments["inputs.origin"].categories == ("JFK",)
    assert read.segments["context.region"].missing == 3


def test_null_and_absent_values_are_missing() -> None:
    read = columns.read(POLICY, [body(None, None), b'{"id":"2","inputs":{}}', b'{"id":"3"}'])
    for column in read.columns.values():
        assert column.wrong == 0
    assert [column.missing for column in read.columns.values()] == [3, 3, 2, 2]


@pytest.mark.parametrize("value", ["12", True, [1], {"a": 1}, 10**400, 1e200, -1e200])
def test_what_is_no_number_is_counted_as_wrong(value: Any) -> None:
    column = delays(1.0, value, 3.0)
    assert (column.wrong, column.missing) == (1, 0)
    assert column.values[[0, 2]].tolist() == [1.0, 3.0]


@pytest.mark.parametrize("value", [[1], {"a": 1}, []])
def test_what_is_no_category_is_counted_as_wrong(value: Any) -> None:
    assert carriers("AA", value, "UA") == ["AA", WRONG, "UA"]


def test_one_category_is_one_category_however_it_is_written() -> None:
    assert carriers(1, "1", 1.0) == ["1", "1", "1"]
    assert carriers(True, "true", False, None) == ["true", "true", "false", MISSING]
    assert carriers(True, 1) == ["true", "1"]
    assert carriers(0.5) == ["0.5"]


def test_inputs_that_are_no_object_are_wrong_in_every_column() -> None:
    read = columns.read(POLICY, [body(), json.dumps({"id": "2", "inputs": 3}).encode()])
    assert read.columns["delay"].wrong == 1
    assert read.columns["carrier"].wrong == 1


def test_erased_bodies_are_left_out() -> None:
    assert columns.read(POLICY, [body(), b"", body()]).count == 2


def test_no_rows_are_empty_columns() -> None:
    read = columns.read(POLICY, [])
    assert read.count == 0
    assert [len(c.values) for c in read.columns.values() if isinstance(c, Numeric)] == [0, 0]


def test_a_bad_row_changes_nothing_for_the_others_of_its_batch() -> None:
    rows = [body(i, f"c{i % 7}") for i in range(5_000)]
    clean = columns.read(POLICY, rows)
    dirty = columns.read(POLICY, [*rows[:2_500], body("x", []), *rows[2_500:]])
    keep = np.arange(5_001) != 2_500
    assert isinstance(clean.columns["delay"], Numeric)
    assert isinstance(dirty.columns["delay"], Numeric)
    assert dirty.columns["delay"].wrong == 1
    np.testing.assert_array_equal(
        dirty.columns["delay"].values[keep], clean.columns["delay"].values
    )
    assert labels(dirty.rows(keep).columns["carrier"]) == labels(clean.columns["carrier"])


def labels(column: object) -> list[str]:
    assert isinstance(column, Categorical)
    return [column.categories[code] for code in column.codes]


def test_a_column_of_ids_holds_no_more_labels_than_allowed() -> None:
    rows = (body(carrier=f"id-{i}") for i in range(columns.MAX_CATEGORIES + 3_000))
    column = columns.read(POLICY, rows).columns["carrier"]
    assert isinstance(column, Categorical)
    assert len(column.categories) == columns.MAX_CATEGORIES + 1
    assert column.categories[-1] == columns.OVERFLOW
    assert int(np.count_nonzero(column.codes == columns.MAX_CATEGORIES)) == 3_000


def test_long_texts_are_told_apart_without_being_kept() -> None:
    found = carriers("x" * 5_000 + "a", "x" * 5_000 + "b")
    assert len(set(found)) == 2
    assert all(len(str(label)) < 100 for label in found)


def test_a_field_leads_to_another_place_in_the_body() -> None:
    text = (
        "{kind: policy, model: m, reference: {trailing: 1d}, window: day,"
        " columns: {a.b: {kind: numeric}, p: {kind: numeric, field: output.p}},"
        " output: {kind: categorical, field: output.label}}"
    )
    row = {"inputs": {"a.b": 4, "a": {"b": 5}}, "output": {"label": "late", "p": 0.75}}
    read = columns.read(parse(text), [json.dumps(row).encode()] * 2)
    assert values(read, "a.b") == [4, 4]
    assert values(read, "p") == [0.75, 0.75]
    assert labels(read.columns["output"]) == ["late", "late"]


def test_two_columns_may_read_one_place() -> None:
    text = (
        "{kind: policy, model: m, reference: {trailing: 1d}, window: day, columns: {"
        "n: {kind: numeric, field: inputs.x}, c: {kind: categorical, field: inputs.x}}}"
    )
    read = columns.read(parse(text), [b'{"inputs":{"x":7}}'])
    assert values(read, "n") == [7]
    assert labels(read.columns["c"]) == ["7"]


def values(read: Columns, name: str) -> list[float]:
    column = read.columns[name]
    assert isinstance(column, Numeric)
    return [float(value) for value in column.values]


def test_columns_survive_the_way_to_another_process() -> None:
    read = columns.read(POLICY, [body(1), body(2)])
    again = pickle.loads(pickle.dumps(read))
    assert isinstance(again, Columns)
    assert values(again, "delay") == [1, 2]


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["delay", "carrier", "origin", "x"]), below, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.dictionaries(st.sampled_from(["inputs", "output", "score", "context"]), anything),
        max_size=4,
    )
)
def test_any_json_is_read_and_every_row_is_accounted_for(rows: list[dict[str, Any]]) -> None:
    read = columns.read(POLICY, [json.dumps(row).encode() for row in rows])
    one_by_one = [columns.read(POLICY, [json.dumps(row).encode()]) for row in rows]
    assert read.count == len(rows)
    for name, column in read.columns.items():
        assert column.missing == sum(single.columns[name].missing for single in one_by_one)
        assert column.wrong == sum(single.columns[name].wrong for single in one_by_one)


def test_the_policy_under_test_has_undeclared_output_and_score() -> None:
    assert isinstance(POLICY, Policy)
    assert [c.name for c in POLICY.columns if not c.declared] == ["output", "score"]
