"""One column of one segment against its reference, on its way to a verdict.

Decides the order: too few rows first, then faults, then the tests, which Evidently does. Decides
which categories are tested: as many of the reference's most frequent as the rows allow, the rare
ones pooled as one; where more than half of the reference would have to be pooled (ids, free text)
the column alone is insufficient, since it would keep every window so for ever. Hides which column
was tested how.
"""

from dataclasses import dataclass
from typing import Any, Final

import msgspec

from drift import faults, pair
from drift.columns import Columns
from drift.faults import Fault
from drift.pair import CountedPair, NumericPair, Pair, Tally
from drift.policy import ColumnRule, Policy

ROWS_PER_CATEGORY: Final = 20
MOST_POOLED: Final = 0.5
"""Share of the reference's rows that may be pooled before the column says nothing any more."""


@dataclass(slots=True)
class Judgement:
    """A column of a segment. `lacking` says why it is insufficient; where it is `scattered` too, no
    number of rows like these would do, and the window is judged without it."""

    rule: ColumnRule
    tallies: tuple[Tally, Tally]
    histogram: dict[str, Any]
    showable: frozenset[str]
    faults: list[Fault]
    lacking: str | None = None
    scattered: bool = False
    unreadable: Fault | None = None
    test: str | None = None
    score: float | None = None
    p_test: str | None = None
    p: float | None = None
    q: float | None = None
    moved: bool = False

    @property
    def verdict(self) -> str:
        if self.lacking is not None:
            return "insufficient"
        return "fault" if self.faults else "shift" if self.moved else "ok"


def is_judged(one: ColumnRule, reference: Columns) -> bool:
    """An undeclared output or score counts only where the reference has values for it."""
    column = reference.columns[one.name]
    return one.declared or column.missing < reference.count


def is_unread(one: ColumnRule, reference: Columns, current: Columns) -> bool:
    """Whether neither side holds one value of the column that could be used."""
    sides = [(side.columns[one.name], side.count) for side in (reference, current)]
    return all(column.missing + column.wrong == count for column, count in sides)


def judgement(
    policy: Policy, one: ColumnRule, reference: Columns, current: Columns, unread: bool
) -> Judgement:
    """What is to be said of a column, but for the correction over all of them (`q`, `moved`).

    `unread`: no row of the whole window and of the whole reference has a value of it.
    """
    both = pair.pair(reference.columns[one.name], current.columns[one.name])
    unreadable = faults.unreadable(one, both) if unread else None
    found_faults = faults.find(one, both) if unreadable is None else [unreadable]
    # The sorted rows are let go of with the column; only what the body tells is kept.
    judged = Judgement(one, both.tallies, pair.histogram(both), _showable(both), found_faults)
    judged.unreadable = unreadable
    judged.lacking = _lacking(policy, both, bool(judged.faults))
    if judged.lacking is not None or judged.faults:
        return judged
    counts = pair.counted(both) if isinstance(both, NumericPair) else both
    # Imported where it is used: a scheduler that only hands out windows never loads Evidently.
    from drift import evidence

    if isinstance(both, NumericPair) and counts is None:
        found = evidence.numeric(both.reference, both.current, one.threshold)
    else:
        assert isinstance(counts, CountedPair)  # noqa: S101  (numbers that are few were counted)
        rows = min(tally.valid for tally in both.tallies)
        before, now, pooled = pair.testable(counts, max(2, rows // ROWS_PER_CATEGORY))
        if pooled > MOST_POOLED:
            judged.scattered = True
            judged.lacking = "its values are too many to be told apart in so few rows"
            return judged
        if rows < ROWS_PER_CATEGORY * len(before):
            judged.lacking = f"fewer than {ROWS_PER_CATEGORY} rows for each of its categories"
            return judged
        found = evidence.categorical(before, now, one.threshold)
    judged.test, judged.score, judged.p_test, judged.p = (
        found.test, found.score, found.p_test, found.p,
    )  # fmt: skip
    return judged


def _lacking(policy: Policy, both: Pair, faulty: bool) -> str | None:
    """Why there are too few rows to say anything; a column at fault needs rows, not values."""
    for name, tally in zip(("reference", "window"), both.tallies, strict=True):
        count = tally.rows if faulty else tally.valid
        if count < policy.minimum_rows:
            return f"{count} of {policy.minimum_rows} rows needed in the {name}"
    return None


def described(one: Judgement) -> dict[str, Any]:
    """What DriftMeasured says of the column."""
    before, now = one.tallies
    return {
        "name": one.rule.name,
        "role": one.rule.role,
        "kind": one.rule.kind,
        "unit": one.rule.unit,
        "verdict": one.verdict,
        "lacking": one.lacking,
        "test": one.test,
        "score": one.score,
        "threshold": one.rule.threshold,
        "p_test": one.p_test,
        "p": one.p,
        "q": one.q,
        "n_reference": before.valid,
        "n_current": now.valid,
        "missing": now.missing,
        "wrong_type": now.wrong,
        "faults": [msgspec.structs.asdict(fault) for fault in one.faults],
        "histogram": one.histogram,
    }


def _showable(both: Pair) -> frozenset[str]:
    if isinstance(both, NumericPair):
        return frozenset()
    return frozenset(both.labels[at] for at in pair.shown(both, len(both.labels)))
