"""Evidently, and nothing else of ours imports it: the judge of distance and chance.

Decides which of Evidently's registered tests a column gets, and draws its reports. The tests are
called through Evidently's own registry with an engine of ours beside its Python and Spark engines:
it takes columns that are sorted or counted already, once for both tests, and gives the same values
as the Python engine does on the raw rows. Hides Evidently, pandas and their telemetry, which is
switched off before the import.

The test of more than two labels is ours, registered beside Evidently's. Evidently's own chi-square
takes the reference's shares as exact, though they are a sample too: against a reference of 500 rows
it finds a difference in almost every long window that has none.

`python -m drift.evidence` reads a report's JSON on standard input and writes HTML on standard
output, so that a server can draw reports without loading any of this.
"""

import hashlib
import os
import sys
import threading
import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np
from msgspec import Struct
from scipy.spatial import distance
from scipy.stats import chi2_contingency, kstwo, norm

from drift.columns import Categorical, Column, Numeric
from drift.errors import NotRendered
from drift.pair import OTHER, Counts, Floats

os.environ.setdefault("DO_NOT_TRACK", "1")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # deprecations inside the import are not ours to mend
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.core.report import Snapshot
    from evidently.legacy.calculation_engine.engine import Engine
    from evidently.legacy.calculations import stattests
    from evidently.legacy.calculations.stattests.registry import (
        PythonStatTestData,
        StatTest,
        StatTestImpl,
        add_stattest_impl,
        register_stattest,
    )
    from evidently.legacy.core import ColumnType
    from evidently.metrics import ValueDrift

EXACT_ROWS: Final = 10_000
"""Up to this size Evidently's Kolmogorov-Smirnov test is exact and is left to its own engine."""
SAMPLE: Final = 5_000
_LINKS: Final = ("https://cdn.plot.ly/", "https://plotly.com/")
_drawing = threading.Lock()


TWO_SAMPLE: Final = StatTest(
    name="chisquare_two_sample",
    display_name="two-sample chi-square p_value",
    allowed_feature_types=[ColumnType.Categorical],
    default_threshold=0.05,
)


class Measured(Struct, frozen=True):
    """What the tests say: `score` is the distance by `test`, `p` the chance by `p_test`."""

    test: str
    score: float
    p_test: str
    p: float


def numeric(reference: Floats, current: Floats, threshold: float) -> Measured:
    """Both tests of a numeric column; both arrays ascending, finite and not empty."""
    sides = _Merged(reference, current)
    kind = ColumnType.Numerical
    far = stattests.wasserstein_stat_test(sides, sides, kind, threshold, engine=Prepared)
    if max(len(reference), len(current)) <= EXACT_ROWS:
        with warnings.catch_warnings():
            # scipy says so when it falls back on its approximation: so does Evidently's preset.
            warnings.simplefilter("ignore", RuntimeWarning)
            rare = stattests.ks_stat_test(
                pd.Series(reference), pd.Series(current), kind, threshold=None
            )
    else:
        rare = stattests.ks_stat_test(sides, sides, kind, None, engine=Prepared)
    return Measured("wasserstein", float(far.drift_score), "ks", float(rare.drift_score))


def categorical(reference: Counts, current: Counts, threshold: float) -> Measured:
    """Both tests of a counted column; the counts stand for the same labels on both sides.

    Where all rows share one label there is nothing to tell apart: distance 0, chance 1.
    """
    if np.count_nonzero(reference + current) < 2:
        return Measured("jensenshannon", 0.0, TWO_SAMPLE.name, 1.0)
    kind = ColumnType.Categorical
    far = stattests.jensenshannon_stat_test(reference, current, kind, threshold, engine=Prepared)
    two = np.count_nonzero(reference + current) == 2
    test = stattests.z_stat_test if two else TWO_SAMPLE
    rare = test(reference, current, kind, None, engine=Prepared)
    return Measured("jensenshannon", float(far.drift_score), test.name, float(rare.drift_score))


class Prepared(Engine):  # type: ignore[misc]  # Evidently publishes no types
    """Names our engine in Evidently's registry: data come sorted (numbers) or counted."""


class _Merged:
    """Two ascending samples laid into one order, for every test that asks about both."""

    def __init__(self, reference: Floats, current: Floats) -> None:
        before, now = len(reference), len(current)
        both = np.concatenate((reference, current))
        order = np.argsort(both, kind="stable")  # two ascending runs: merged in linear time
        # The gap between the two curves after each value: hits/before - (rank - hits)/now.
        gap = np.cumsum(order < before, dtype=np.float64)
        gap *= 1 / before + 1 / now
        gap -= np.arange(1, before + now + 1) / now
        steps = np.diff(both[order])
        gap = np.abs(gap[:-1], out=gap[:-1])
        self.sizes = (before, now)
        self.spread = float(np.std(reference))
        self.area = float(gap @ steps)
        # Between equal values the curves have not arrived yet: their gap there means nothing.
        gap *= steps > 0
        self.widest = float(gap.max(initial=0.0))


class _Wasserstein(StatTestImpl):  # type: ignore[misc]  # Evidently publishes no types
    data_type = PythonStatTestData

    def __call__(self, data: Any, feature_type: Any, threshold: float) -> tuple[float, bool]:
        sides: _Merged = data.reference_data
        score = sides.area / max(sides.spread, 0.001)
        return score, score >= threshold


class _KolmogorovSmirnov(StatTestImpl):  # type: ignore[misc]  # Evidently publishes no types
    data_type = PythonStatTestData

    def __call__(self, data: Any, feature_type: Any, threshold: float) -> tuple[float, bool]:
        sides: _Merged = data.reference_data
        more, fewer = max(sides.sizes), min(sides.sizes)
        effective = round(more * fewer / (more + fewer))
        p = float(np.clip(kstwo.sf(sides.widest, effective), 0, 1))
        return p, p <= threshold


class _JensenShannon(StatTestImpl):  # type: ignore[misc]  # Evidently publishes no types
    data_type = PythonStatTestData

    def __call__(self, data: Any, feature_type: Any, threshold: float) -> tuple[float, bool]:
        shares = [side / side.sum() for side in (data.reference_data, data.current_data)]
        score = float(distance.jensenshannon(shares[0], shares[1]))
        return score, score >= threshold


class _TwoSampleChiSquare(StatTestImpl):  # type: ignore[misc]  # Evidently publishes no types
    data_type = PythonStatTestData

    def __call__(self, data: Any, feature_type: Any, threshold: float) -> tuple[float, bool]:
        counts = np.array((data.reference_data, data.current_data))
        held = counts[:, counts.sum(axis=0) > 0]
        p = float(chi2_contingency(held, correction=False).pvalue)
        return p, p < threshold


class _Proportions(StatTestImpl):  # type: ignore[misc]  # Evidently publishes no types
    data_type = PythonStatTestData

    def __call__(self, data: Any, feature_type: Any, threshold: float) -> tuple[float, bool]:
        sides = (data.reference_data, data.current_data)
        held = np.flatnonzero(sides[0] + sides[1])
        hits, rows = [side[held[-1]] for side in sides], [side.sum() for side in sides]
        share = sum(hits) / sum(rows)
        error = np.sqrt(share * (1 - share) * (1 / rows[0] + 1 / rows[1]))
        p = float(2 * norm.sf(abs(hits[0] / rows[0] - hits[1] / rows[1]) / error))
        return p, p < threshold


for _test, _implementation in (
    (stattests.wasserstein_stat_test, _Wasserstein()),
    (stattests.ks_stat_test, _KolmogorovSmirnov()),
    (stattests.jensenshannon_stat_test, _JensenShannon()),
    (TWO_SAMPLE, _TwoSampleChiSquare()),
    (stattests.z_stat_test, _Proportions()),
):
    add_stattest_impl(_test, Prepared, _implementation)


class Drawn(Struct, frozen=True):
    """One column of a report: both sides, the labels that may be shown, and the judgement.

    The report states `score` and `drifted` as they were judged on all rows.
    """

    name: str
    reference: Column
    current: Column
    showable: frozenset[str]
    test: str
    score: float
    threshold: float
    drifted: bool


def report(columns: Sequence[Drawn], seed: str) -> dict[str, Any]:
    """Evidently's snapshot of these columns (one at least), as plain JSON.

    Draws at most `SAMPLE` rows a side, chosen by `seed` alone. Values whose labels may not be
    shown stand as "other", for a snapshot holds categories as they are. NotRendered when
    Evidently cannot draw them; the judgement does not depend on that.
    """
    with _drawing, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numpy's on tiny samples, inside Evidently's plots
        try:
            drawn: dict[str, Any] = msgspec.json.decode(_snapshot(columns, seed).dumps())
        except Exception as error:
            raise NotRendered("Evidently could not draw the report of this window") from error
    return drawn


def _snapshot(columns: Sequence[Drawn], seed: str) -> Any:
    judged = {drawn.name: (drawn.score, drawn.drifted) for drawn in columns}
    names = {test: _stated(test, judged) for test in {drawn.test for drawn in columns}}
    metrics = [
        ValueDrift(column=drawn.name, method=names[drawn.test], threshold=drawn.threshold)
        for drawn in columns
    ]
    definition = DataDefinition(
        numerical_columns=[c.name for c in columns if isinstance(c.current, Numeric)],
        categorical_columns=[c.name for c in columns if isinstance(c.current, Categorical)],
    )
    before = {c.name: _sampled(c.reference, c.showable, f"{seed}/reference") for c in columns}
    now = {c.name: _sampled(c.current, c.showable, f"{seed}/current") for c in columns}
    current, reference = (
        Dataset.from_pandas(pd.DataFrame(side), definition) for side in (now, before)
    )
    return Report(metrics, include_tests=False).run(current, reference)


def _stated(test: str, judged: Mapping[str, tuple[float, bool]]) -> str:
    """The name of a registered test that states what was judged on all rows of a column."""
    known = {
        one.name: one
        for one in (stattests.wasserstein_stat_test, stattests.jensenshannon_stat_test)
    }[test]
    stated = StatTest(
        name=f"{test}_all_rows",
        display_name=f"{known.display_name}, all rows",
        allowed_feature_types=[ColumnType.Numerical, ColumnType.Categorical],
        default_threshold=known.default_threshold,
    )
    register_stattest(stated, lambda reference, *_: judged[reference.name])
    return str(stated.name)


def _sampled(column: Column, showable: frozenset[str], seed: str) -> "pd.Series[Any]":
    values = column.values if isinstance(column, Numeric) else column.codes
    valid = np.flatnonzero(np.isfinite(values) if isinstance(column, Numeric) else values >= 0)
    if len(valid) > SAMPLE:
        digest = hashlib.sha256(seed.encode()).digest()
        random = np.random.default_rng(int.from_bytes(digest[:8]))
        valid = np.sort(random.choice(valid, SAMPLE, replace=False))
    if isinstance(column, Numeric):
        return pd.Series(column.values[valid])
    names = [label if label in showable else OTHER for label in column.categories]
    return pd.Series([names[code] for code in column.codes[valid]], dtype=object)


def html(report: Mapping[str, Any]) -> str:
    """A stored report as one page that loads nothing from anywhere; NotRendered if it is none."""
    try:
        page: str = Snapshot.load_dict(dict(report)).get_html_str(as_iframe=False)
    except Exception as error:
        raise NotRendered("the stored report cannot be drawn by this version") from error
    for link in _LINKS:  # maps and a logo that our columns never draw
        page = page.replace(link, "")
    return page


def main() -> None:
    """Standard input (a report's JSON) to standard output (HTML)."""
    sys.stdout.write(html(msgspec.json.decode(sys.stdin.buffer.read())))


if __name__ == "__main__":
    main()
