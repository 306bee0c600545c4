"""Latency from histograms: exact counts, percentiles of the merged whole."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.latency import highest, measure, merge
from audit.rollups import GAMMA, UNKNOWN, bucket

MINUTE = 60_000_000


@dataclass(frozen=True, slots=True)
class Row:
    keys: tuple[str, ...]
    start_us: int
    count: int
    buckets: dict[int, int]


def row(*latencies_us: int, start: int = 0, model: str = "m") -> Row:
    buckets: dict[int, int] = {}
    for each in latencies_us:
        buckets[bucket(each)] = buckets.get(bucket(each), 0) + 1
    return Row(("web", model, "1"), start, len(latencies_us), buckets)


LATENCIES = st.lists(st.integers(1, 10_000_000), min_size=1, max_size=40)


@given(st.lists(LATENCIES, min_size=1, max_size=6))
def test_percentiles_are_of_all_values_and_not_of_percentiles(parts: list[list[int]]) -> None:
    found = measure([row(*part, start=n * MINUTE) for n, part in enumerate(parts)], 100.0).summary
    values = sorted(value for part in parts for value in part)
    rank = max(1, -(-len(values) * 95 // 100)) - 1
    assert found.count == len(values)
    assert found.p95 == pytest.approx(values[rank] / 1000, rel=GAMMA - 1)


def test_one_slow_minute_is_not_averaged_away() -> None:
    quick, slow = row(*[1_000] * 99), row(*[9_000_000] * 99, start=MINUTE)
    found = measure([quick, slow], 100.0)
    assert found.summary.p99 == pytest.approx(9_000, rel=0.03)
    assert [point.p99 == pytest.approx(9_000, rel=0.03) for point in found.points] == [False, True]
    assert found.summary.under_slo == pytest.approx(0.5)


def test_unknown_latencies_count_but_have_no_percentile() -> None:
    found = measure([row(-1, -1)], 100.0)
    assert (found.summary.count, found.summary.p50, found.summary.under_slo) == (2, None, None)
    assert found.heat == []


@given(st.lists(LATENCIES, min_size=1, max_size=4))
def test_the_heat_map_holds_every_prediction_once(parts: list[list[int]]) -> None:
    found = measure([row(*part, start=n * MINUTE) for n, part in enumerate(parts)], 100.0)
    assert sum(cell.count for cell in found.heat) == sum(map(len, parts))
    for start in {cell.start for cell in found.heat}:
        column = [cell for cell in found.heat if cell.start == start]
        for below, above in pairwise(column):
            assert below.high_ms <= above.low_ms * (1 + 1e-9)
        assert all(cell.low_ms < cell.high_ms for cell in column)


def test_series_are_told_apart_with_the_busiest_first() -> None:
    found = measure([row(1_000), row(5_000, 5_000, model="n")], 3.0)
    assert [(each.model, each.count, each.under_slo) for each in found.by] == [
        ("n", 2, 0.0),
        ("m", 1, 1.0),
    ]


def test_the_slowest_are_looked_for_where_the_histogram_reaches_highest() -> None:
    rows = [row(1_000), row(-1), row(9_000_000, start=MINUTE), row(5_000, 1, start=2 * MINUTE)]
    found = highest(rows, 2)
    assert [(cell.start_us, lowest, count) for cell, lowest, count in found] == [
        (MINUTE, bucket(9_000_000), 1),
        (2 * MINUTE, bucket(5_000), 1),
    ]


@given(st.lists(LATENCIES, min_size=1, max_size=6), st.integers(1, 30))
def test_enough_of_the_slowest_are_found_and_none_above_is_left_out(
    parts: list[list[int]], wanted: int
) -> None:
    found = highest([row(*part, start=n) for n, part in enumerate(parts)], wanted)
    total = sum(map(len, parts))
    assert sum(count for _, _, count in found) >= min(wanted, total)
    lowest = min(bucket for _, bucket, _ in found)
    values = sorted((bucket(value) for part in parts for value in part), reverse=True)
    assert lowest == values[min(wanted, total) - 1]


def test_merging_adds_up_each_bucket() -> None:
    assert merge([{1: 2, UNKNOWN: 1}, {1: 3, 7: 1}]) == {1: 5, 7: 1, UNKNOWN: 1}
