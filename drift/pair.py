"""One column of the window beside the same column of the reference, prepared once.

Decides the form in which everything later looks at a column: numbers sorted, categories counted
over one list of labels. Faults, Evidently's tests and histograms then need no second pass over
rows. Also decides which values are pooled: rare ones cannot be tested, and values seen fewer than
`SHOWN_FROM` times could point to a person and are never shown.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from drift.columns import Categorical, Column, Numeric

SHOWN_FROM: Final = 10
OTHER: Final = "other"
FEW_NUMBERS: Final = 5
"""Numbers with no more distinct values than this are judged as categories, as Evidently does."""
MAX_BINS: Final = 20
_QUANTILE_BINS: Final = 12
_EXPECTED: Final = 5.0

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Tally:
    """The rows of one side: how many, and how many hold nothing or the wrong type."""

    rows: int
    missing: int
    wrong: int

    @property
    def valid(self) -> int:
        return self.rows - self.missing - self.wrong


@dataclass(frozen=True, slots=True)
class NumericPair:
    """Both sides' finite values, ascending."""

    reference: Floats
    current: Floats
    tallies: tuple[Tally, Tally]


@dataclass(frozen=True, slots=True)
class CountedPair:
    """Both sides' counts over the same labels, every label counted on one side at least."""

    labels: tuple[str, ...]
    reference: Counts
    current: Counts
    tallies: tuple[Tally, Tally]


Pair = NumericPair | CountedPair


def pair(reference: Column, current: Column) -> Pair:
    """Both sides of one column; they come from one policy and so are of one kind."""
    tallies = (_tally(reference), _tally(current))
    if isinstance(reference, Numeric) and isinstance(current, Numeric):
        return NumericPair(_ascending(reference.values), _ascending(current.values), tallies)
    if isinstance(reference, Categorical) and isinstance(current, Categorical):
        position = {label: code for code, label in enumerate(reference.categories)}
        for label in current.categories:
            position.setdefault(label, len(position))
        counts = np.zeros((2, len(position)), np.int64)
        for side, column in zip(counts, (reference, current), strict=True):
            found = np.bincount(column.codes[column.codes >= 0], minlength=len(column.categories))
            side[[position[label] for label in column.categories]] = found
        held: NDArray[np.bool_] = counts.sum(axis=0) > 0
        labels = tuple(label for label, at in position.items() if held[at])
        return CountedPair(labels, counts[0, held], counts[1, held], tallies)
    raise TypeError("a column cannot be numeric on one side and categorical on the other")


def _tally(column: Column) -> Tally:
    rows = len(column.values) if isinstance(column, Numeric) else len(column.codes)
    return Tally(rows, column.missing, column.wrong)


def _ascending(values: Floats) -> Floats:
    finite = values[np.isfinite(values)]
    finite.sort()
    return finite


def counted(numbers: NumericPair) -> CountedPair | None:
    """The numbers as categories, where they are few enough to be judged so, else None."""
    few = FEW_NUMBERS + 1
    distinct = {*_first_distinct(numbers.reference, few), *_first_distinct(numbers.current, few)}
    if len(distinct) > FEW_NUMBERS:
        return None
    values = np.array(sorted(distinct))
    sides = [
        np.searchsorted(side, values, "right") - np.searchsorted(side, values, "left")
        for side in (numbers.reference, numbers.current)
    ]
    return CountedPair(tuple(f"{v:g}" for v in values), sides[0], sides[1], numbers.tallies)


def _first_distinct(ascending: Floats, limit: int) -> list[float]:
    found: list[float] = []
    at = 0
    while at < len(ascending) and len(found) < limit:
        found.append(float(ascending[at]))
        at = int(np.searchsorted(ascending, ascending[at], "right"))
    return found


def testable(pair: CountedPair, most: int) -> tuple[Counts, Counts, float]:
    """Counts fit for a test, and the share of the reference that had to be pooled for it.

    Labels of which the reference has, or lets expect, fewer than five are pooled, and the rarest
    beyond `most` (two at least), for which the rows do not suffice. A pool that is itself too
    small takes in the rarest label that stands, so that no expected count is zero and one stray
    new value cannot decide the test.
    """
    valid = max(int(pair.reference.sum()), 1)
    expected = pair.reference * min(1.0, int(pair.current.sum()) / valid)
    order = np.argsort(-expected, kind="stable")
    kept = int(np.count_nonzero(expected >= _EXPECTED))
    if len(order) > most:
        kept = min(kept, most - 1)
    pooled = float(pair.reference[order[kept:]].sum()) / valid
    if 0 < kept < len(order) and expected[order[kept:]].sum() < _EXPECTED:
        kept -= 1
    first, rest = order[:kept], order[kept:]
    reference, current = (
        np.append(side[first], side[rest].sum()) if len(rest) else side[first]
        for side in (pair.reference, pair.current)
    )
    return reference, current, pooled


def shown(pair: CountedPair, most: int) -> list[int]:
    """Positions of the labels that may be shown, the reference's most frequent first."""
    total = pair.reference + pair.current
    order = np.lexsort((-pair.current, -pair.reference))
    return [int(at) for at in order if total[at] >= SHOWN_FROM][:most]


def histogram(pair: Pair) -> dict[str, Any]:
    """Both sides in at most `MAX_BINS` bins that the reference alone decides.

    Numbers: quantiles of the reference with open ends. Categories: the reference's most frequent,
    `other`, and `unseen` for what the reference does not have. Both: `null`, and `wrong type`
    where there is any. Counts add up to the rows of each side.
    """
    if isinstance(pair, NumericPair):
        bins, sides = _numeric_bins(pair)
    else:
        bins, sides = _category_bins(pair)
    for name, counts in (
        ("null", [tally.missing for tally in pair.tallies]),
        ("wrong type", [tally.wrong for tally in pair.tallies]),
    ):
        if name == "null" or any(counts):
            bins.append(name)
            for side, count in zip(sides, counts, strict=True):
                side.append(count)
    return {"bins": bins, "reference": sides[0], "current": sides[1]}


def _numeric_bins(pair: NumericPair) -> tuple[list[str], list[list[int]]]:
    source = pair.reference if len(pair.reference) else pair.current
    if not len(source):
        return [], [[], []]
    places = np.linspace(0, len(source) - 1, _QUANTILE_BINS + 1)[1:-1].astype(np.intp)
    edges = np.unique(source[places])
    sides = []
    for side in (pair.reference, pair.current):
        below = np.searchsorted(side, edges, "left")
        sides.append(np.diff(np.concatenate(([0], below, [len(side)]))).tolist())
    for digits in (4, 6, 9, 17):
        texts = [f"{edge:.{digits}g}" for edge in edges]
        if len(set(texts)) == len(texts):
            break
    middle = [f"{low} – {high}" for low, high in pairwise(texts)]
    return [f"< {texts[0]}", *middle, f"≥ {texts[-1]}"], sides


def _category_bins(pair: CountedPair) -> tuple[list[str], list[list[int]]]:
    known = pair.reference > 0
    tops = [at for at in shown(pair, MAX_BINS) if known[at]][: MAX_BINS - 4]
    rest = known.copy()
    rest[tops] = False
    bins = [pair.labels[at] for at in tops]
    sides = [[int(side[at]) for at in tops] for side in (pair.reference, pair.current)]
    for name, chosen in ((OTHER, rest), ("unseen", ~known)):
        if name == OTHER and not chosen.any():
            continue
        bins.append(name)
        for side, counts in zip(sides, (pair.reference, pair.current), strict=True):
            side.append(int(counts[chosen].sum()))
    return bins, sides
