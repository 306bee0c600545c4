"""Evidently's door: the same values as Evidently on raw rows, and reports that stand alone."""

import json
import re
import subprocess
import sys
import warnings
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import chi2_contingency

from drift import evidence
from drift.columns import Categorical, Numeric
from drift.errors import NotRendered
from drift.evidence import Drawn

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.legacy.calculations import stattests
    from evidently.legacy.core import ColumnType
    from evidently.presets import DataDriftPreset

SIZES = [(5_000, 300), (10_001, 700), (20_000, 20_000), (400, 30_000)]
SHAPES = ["normal", "lognormal", "counts", "shifted"]


def draw(shape: str, rows: int, seed: int) -> NDArray[np.float64]:
    random = np.random.default_rng(seed)
    if shape == "lognormal":
        return random.lognormal(size=rows)
    if shape == "counts":
        return random.poisson(4, rows).astype(np.float64)
    return random.normal(0.05 * (seed % 2) if shape == "shifted" else 0.0, 1, rows)


def evidently(test: Any, reference: Any, current: Any, kind: Any) -> float:
    """The score of Evidently's own engine on raw rows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = test(pd.Series(reference), pd.Series(current), kind, None)
    return float(result.drift_score)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("sizes", SIZES)
def test_numeric_values_equal_evidentlys_own(shape: str, sizes: tuple[int, int]) -> None:
    reference, current = draw(shape, sizes[0], 2), draw(shape, sizes[1], 3)
    found = evidence.numeric(np.sort(reference), np.sort(current), 0.1)
    kind = ColumnType.Numerical
    far = evidently(stattests.wasserstein_stat_test, reference, current, kind)
    rare = evidently(stattests.ks_stat_test, reference, current, kind)
    assert (found.test, found.p_test) == ("wasserstein", "ks")
    assert found.score == pytest.approx(far, rel=1e-9, abs=1e-12)
    assert found.p == pytest.approx(rare, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("categories", [2, 3, 12])
@pytest.mark.parametrize("sizes", SIZES)
def test_categorical_values_equal_evidentlys_own(categories: int, sizes: tuple[int, int]) -> None:
    random = np.random.default_rng(categories)
    sides = [random.integers(0, categories, rows) for rows in sizes]
    counts = [np.bincount(side, minlength=categories) for side in sides]
    found = evidence.categorical(counts[0], counts[1], 0.1)
    kind, texts = ColumnType.Categorical, [[f"v{code}" for code in side] for side in sides]
    far = evidently(stattests.jensenshannon_stat_test, texts[0], texts[1], kind)
    assert found.test == "jensenshannon"
    assert found.score == pytest.approx(far, rel=1e-9, abs=1e-12)
    if categories == 2:
        rare = evidently(stattests.z_stat_test, texts[0], texts[1], kind)
        assert found.p_test == "z"
    else:
        rare = chi2_contingency(counts).pvalue
        assert found.p_test == "chisquare_two_sample"
    assert found.p == pytest.approx(rare, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("reference", [500, 1_000, 10_000])
@pytest.mark.parametrize("rows", [500, 5_000])
def test_the_chance_of_categories_is_true_though_the_reference_is_a_sample(
    reference: int, rows: int
) -> None:
    """Without drift, one p-value in twenty lies below 0.05; Evidently's own: up to 19 in 20."""
    random = np.random.default_rng(reference + rows)
    shares = random.dirichlet(np.full(10, 3.0))
    below = 0
    for _ in range(400):
        sides = [random.multinomial(n, shares) for n in (reference, rows)]
        below += evidence.categorical(sides[0], sides[1], 0.1).p < 0.05
    assert 5 <= below <= 38  # 20 expected; beyond 4 standard deviations is no chance


def test_scores_equal_those_of_evidentlys_preset() -> None:
    frames = [
        pd.DataFrame({shape: draw(shape, 4_000, seed) for shape in SHAPES}) for seed in (2, 3)
    ]
    definition = DataDefinition(numerical_columns=SHAPES)
    reference, current = (Dataset.from_pandas(frame, definition) for frame in frames)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        run = Report([DataDriftPreset()], include_tests=False).run(current, reference)
    scores = {
        metric["config"]["column"]: metric["value"]
        for metric in run.dict()["metrics"]
        if "column" in metric["config"]
    }
    assert set(scores) == set(SHAPES)
    for shape in SHAPES:
        sides = [np.sort(frame[shape].to_numpy()) for frame in frames]
        ours = evidence.numeric(sides[0], sides[1], 0.1)
        assert ours.score == pytest.approx(scores[shape], rel=1e-9)


def test_one_label_only_tells_nothing_apart() -> None:
    found = evidence.categorical(np.array([500, 0]), np.array([300, 0]), 0.1)
    assert (found.score, found.p) == (0.0, 1.0)


def columns() -> list[Drawn]:
    random = np.random.default_rng(1)
    numeric = Numeric(np.append(random.normal(size=9_000), np.nan))
    names = ("often", "rare-name")
    codes = np.append(np.zeros(9_000, np.int32), np.int32(1))
    label = Categorical(codes, names)
    return [
        Drawn("delay", numeric, numeric, frozenset(), "wasserstein", 0.4321, 0.1, True),
        Drawn("carrier", label, label, frozenset({"often"}), "jensenshannon", 0.05, 0.1, False),
    ]


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    return evidence.report(columns(), "window-1")


def test_a_report_states_what_was_judged_on_all_rows(report: dict[str, Any]) -> None:
    text = json.dumps(report)
    assert "0.4321" in text
    assert "Wasserstein distance (normed), all rows" in text


def test_a_report_holds_no_label_that_may_not_be_shown(report: dict[str, Any]) -> None:
    text = json.dumps(report)
    assert "often" in text
    assert "rare-name" not in text


def test_the_sample_of_a_report_depends_on_the_window_alone(report: dict[str, Any]) -> None:
    def drawn(found: dict[str, Any]) -> list[str]:
        text = json.dumps(found)
        return re.findall(r'"(?:x|y|customdata)": (?:\[[^]]*\]|\{[^}]*\})', text)

    assert drawn(report)
    assert drawn(evidence.report(columns(), "window-1")) == drawn(report)
    assert drawn(evidence.report(columns(), "window-2")) != drawn(report)


def test_a_stored_report_becomes_a_page_that_loads_nothing(report: dict[str, Any]) -> None:
    """Through the process that a server would start, from bytes to bytes."""
    drawn = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "drift.evidence"],
        input=json.dumps(report).encode(),
        capture_output=True,
        check=True,
        timeout=60,
    )
    page = drawn.stdout.decode()
    assert page.lstrip().startswith("<!DOCTYPE html>")
    assert "delay" in page
    address = r"""["']?\s*(?:https?:)?//"""
    outside = rf"(?:src|href)\s*=\s*{address}|url\(\s*{address}|@import\s+(?:url\(|{address})"
    assert re.findall(outside, page) == []
    assert "cdn." not in re.sub(r"[A-Za-z0-9+/=]{200,}", "", page)


@pytest.mark.parametrize("stored", [{}, {"report": 1}, {"metric_results": {"a": None}}])
def test_what_is_no_report_is_refused(stored: dict[str, Any]) -> None:
    with pytest.raises(NotRendered):
        evidence.html(stored)
