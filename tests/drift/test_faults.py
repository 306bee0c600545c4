"""Faults: each kind seeded into clean data is found under its own name, and chance is not."""

from collections.abc import Iterable

import numpy as np
import pytest

from drift import faults
from drift.columns import MISSING, WRONG, Categorical, Column, Numeric
from drift.faults import Fault
from drift.pair import pair
from drift.policy import ColumnRule, Limits

ROWS = 2_000
Labels = tuple[str, ...]


def numbers(seed: int, rows: int = ROWS) -> Numeric:
    return Numeric(np.random.default_rng(seed).normal(10, 2, rows))


def labels(seed: int, rows: int = ROWS, names: Labels = ("a", "b", "c")) -> Categorical:
    random = np.random.default_rng(seed)
    return Categorical(random.integers(0, len(names), rows).astype(np.int32), names)


def found(reference: Column, current: Column, **limits: float) -> list[Fault]:
    kind = "numeric" if isinstance(reference, Numeric) else "categorical"
    rule = ColumnRule("x", "input", kind, ("inputs", "x"), limits=Limits(**limits))
    return faults.find(rule, pair(reference, current))


def kinds(found: Iterable[Fault]) -> list[str]:
    return [fault.kind for fault in found]


def spoiled(column: Column, share: float, value: float) -> Column:
    """The column with the first `share` of its rows set to `value`."""
    rows = len(column.values) if isinstance(column, Numeric) else len(column.codes)
    first = np.arange(rows) < share * rows
    if isinstance(column, Numeric):
        return Numeric(np.where(first, value, column.values))
    return Categorical(np.where(first, value, column.codes).astype(np.int32), column.categories)


@pytest.mark.parametrize("seed", range(10))
def test_clean_data_have_no_fault(seed: int) -> None:
    assert found(numbers(seed), numbers(seed + 100)) == []
    assert found(labels(seed), labels(seed + 100)) == []


@pytest.mark.parametrize("column", [numbers(1), labels(1)], ids=["numeric", "categorical"])
def test_a_column_that_turned_ninety_percent_null_is_a_fault(column: Column) -> None:
    null = np.nan if isinstance(column, Numeric) else MISSING
    result = found(column, spoiled(column, 0.9, null))
    assert kinds(result) == ["null"]
    assert result[0].share == pytest.approx(0.9)
    assert result[0].limit == pytest.approx(0.1)
    assert "1800 of 2000 rows hold no value" in result[0].detail


def test_a_column_that_vanished_is_a_fault() -> None:
    assert kinds(found(numbers(1), Numeric(np.full(ROWS, np.nan)))) == ["null"]


def test_nulls_that_the_reference_has_too_are_none() -> None:
    assert found(spoiled(numbers(1), 0.6, np.nan), spoiled(numbers(2), 0.65, np.nan)) == []


@pytest.mark.parametrize("column", [numbers(1), labels(1)], ids=["numeric", "categorical"])
def test_values_of_the_wrong_type_are_a_fault(column: Column) -> None:
    wrong = np.inf if isinstance(column, Numeric) else WRONG
    assert kinds(found(column, spoiled(column, 0.05, wrong))) == ["type"]
    assert found(column, spoiled(column, 0.005, wrong)) == []


def test_unseen_categories_are_a_fault_and_are_not_named() -> None:
    current = spoiled(labels(2, names=("a", "b", "c", "secret")), 0.2, 3)
    result = found(labels(1), current)
    assert kinds(result) == ["unseen"]
    assert "secret" not in result[0].detail


def test_a_long_tail_of_rare_values_is_no_fault() -> None:
    """Where a tenth of the reference stands alone, as many new values are to be expected."""
    names = tuple(f"id{i}" for i in range(20_000))
    random = np.random.default_rng(5)
    reference = Categorical(random.integers(0, 20_000, ROWS).astype(np.int32), names)
    current = Categorical(random.integers(0, 20_000, ROWS).astype(np.int32), names)
    assert found(reference, current) == []


def test_values_out_of_the_declared_range_are_a_fault() -> None:
    current = spoiled(numbers(2), 0.05, 99.0)
    assert kinds(found(numbers(1), current, low=0.0, high=50.0)) == ["range"]
    assert found(numbers(1), current, low=0.0, high=100.0) == []


def test_another_unit_is_a_range_fault_without_any_declaration() -> None:
    assert kinds(found(numbers(1), Numeric(numbers(2).values * 60))) == ["range"]


def test_three_standard_deviations_are_a_shift_and_no_fault() -> None:
    assert found(numbers(1), Numeric(numbers(2).values + 6)) == []


def test_a_frozen_column_is_a_fault() -> None:
    assert kinds(found(numbers(1), Numeric(np.full(ROWS, 10.0)))) == ["constant"]
    frozen = Categorical(np.zeros(ROWS, np.int32), ("a",))
    assert kinds(found(labels(1), frozen)) == ["constant"]


def test_a_column_that_always_was_constant_is_none() -> None:
    same = Numeric(np.full(ROWS, 4.0))
    assert found(same, same) == []
    nearly = spoiled(same, 0.0005, 5.0)
    assert found(nearly, same) == []


@pytest.mark.parametrize(
    ("limits", "share", "expected"),
    [
        ({"null": 0.3}, 0.25, []),
        ({"null": 0.2}, 0.25, ["null"]),
        ({"null": 1.0}, 1.0, []),
        ({"null": 0.0}, 0.001, ["null"]),
    ],
)
def test_a_declared_limit_is_taken_as_it_stands(
    limits: dict[str, float], share: float, expected: list[str]
) -> None:
    assert kinds(found(numbers(1), spoiled(numbers(2), share, np.nan), **limits)) == expected


def test_several_faults_are_all_named_in_order() -> None:
    current = numbers(2).values.copy()
    current[:400], current[400:500], current[500:700] = np.nan, np.inf, 1e6
    assert kinds(found(numbers(1), Numeric(current))) == ["null", "type", "range"]


def test_an_empty_window_has_no_faults() -> None:
    assert found(numbers(1), Numeric(np.empty(0))) == []
