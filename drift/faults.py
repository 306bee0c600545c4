"""Faults: what is wrong with the data themselves, found before any test for drift.

Decides when nulls, wrong types, unseen categories, values out of range or a frozen column are too
many to be chance, and that a column of which nothing could ever be read is a fault of its own:
nobody can tell drift from it, so it must not pass as calm. A declared limit is taken as it stands;
without one the limit is what the reference shows, plus a margin of five standard errors and never
less than a fixed slack. Details name counts and limits, never values, which may be personal.
"""

import math
from collections.abc import Iterator
from typing import Final

import numpy as np
from msgspec import Struct

from drift.pair import CountedPair, NumericPair, Pair
from drift.policy import ColumnRule, Limits

NULL_SLACK: Final = 0.10
TYPE_SLACK: Final = 0.01
UNSEEN_SLACK: Final = 0.05
RANGE_SLACK: Final = 0.01
_CHANCE: Final = math.log(1e-6)
_ERRORS: Final = 5.0


class Fault(Struct, frozen=True):
    """`share` of the rows (0…1) is above `limit`.

    `kind` is null, type, unseen, range or constant, or absent where no value was ever seen.
    """

    kind: str
    share: float
    limit: float
    detail: str


def find(rule: ColumnRule, pair: Pair) -> list[Fault]:
    """The faults of the current side, in the order null, type, unseen, range, constant."""
    if not pair.tallies[1].rows:
        return []
    found = [_null(rule.limits, pair), _type(rule.limits, pair)]
    if pair.tallies[0].valid and pair.tallies[1].valid:
        if isinstance(pair, NumericPair):
            found += _range(rule.limits, pair)
        else:
            found.append(_unseen(rule.limits, pair))
        found.append(_constant(pair))
    return [fault for fault in found if fault is not None]


def unreadable(rule: ColumnRule, pair: Pair) -> Fault:
    """The fault of a column without one usable value in the reference and in the window."""
    if any(tally.wrong for tally in pair.tallies):
        detail = f"no value of {rule.name} was ever {rule.kind}: is the kind right?"
        return Fault("type", 1.0, 0.0, detail)
    return Fault("absent", 1.0, 0.0, f"no value of {rule.name} was ever seen: is the name right?")


def _limit(declared: float | None, share: float, rows: tuple[int, int], slack: float) -> float:
    """The declared limit, else the reference's share and what chance may add to it."""
    if declared is not None:
        return declared
    error = math.sqrt(share * (1 - share) * (1 / max(rows[0], 1) + 1 / max(rows[1], 1)))
    return share + max(slack, _ERRORS * error)


def _above(kind: str, count: int, rows: int, limit: float, what: str) -> Fault | None:
    share = count / max(rows, 1)
    if share <= limit:
        return None
    detail = f"{count} of {rows} rows {what}; the limit is {limit:.1%}"
    return Fault(kind, share, min(limit, 1.0), detail)


def _null(limits: Limits, pair: Pair) -> Fault | None:
    before, now = pair.tallies
    share = before.missing / max(before.rows, 1)
    limit = _limit(limits.null, share, (before.rows, now.rows), NULL_SLACK)
    return _above("null", now.missing, now.rows, limit, "hold no value")


def _type(limits: Limits, pair: Pair) -> Fault | None:
    before, now = pair.tallies
    share = before.wrong / max(before.rows, 1)
    limit = _limit(limits.type, share, (before.rows, now.rows), TYPE_SLACK)
    what = "hold no number" if isinstance(pair, NumericPair) else "hold no category"
    return _above("type", now.wrong, now.rows, limit, what)


def _unseen(limits: Limits, pair: CountedPair) -> Fault | None:
    before, now = pair.tallies
    # The share of values seen once estimates the share that was not seen yet (Good and Turing).
    expected = int(np.count_nonzero(pair.reference == 1)) / before.valid
    limit = _limit(limits.unseen, expected, (before.valid, now.valid), UNSEEN_SLACK)
    count = int(pair.current[pair.reference == 0].sum())
    return _above("unseen", count, now.valid, limit, "hold a value that the reference does not")


def _range(limits: Limits, pair: NumericPair) -> Iterator[Fault | None]:
    low, high = limits.low, limits.high
    if low is None or high is None:
        # Nothing declared: a whole span beyond the reference is another unit or garbage.
        first, last = float(pair.reference[0]), float(pair.reference[-1])
        span = (last - first) or max(abs(first), 1.0)
        low, high = first - span, last + span
        where = "lie far outside the reference"
    else:
        where = "lie outside the declared range"
    outside = [
        len(side) - int(np.searchsorted(side, high, "right") - np.searchsorted(side, low, "left"))
        for side in (pair.reference, pair.current)
    ]
    before, now = pair.tallies
    share = outside[0] / before.valid
    limit = _limit(limits.outside, share, (before.valid, now.valid), RANGE_SLACK)
    yield _above("range", outside[1], now.valid, limit, where)


def _constant(pair: Pair) -> Fault | None:
    """One value only, where the reference makes that next to impossible."""
    before, now = pair.tallies
    if isinstance(pair, NumericPair):
        value = pair.current[0]
        if pair.current[-1] != value:
            return None
        ends = [np.searchsorted(pair.reference, value, side) for side in ("left", "right")]
        usual = int(ends[1] - ends[0])
    else:
        if np.count_nonzero(pair.current) != 1:
            return None
        usual = int(pair.reference[np.argmax(pair.current)])
    if usual == before.valid or before.valid < 2:
        return None
    share = (usual + 1) / (before.valid + 1)
    if now.valid * math.log(share) > _CHANCE:
        return None
    return Fault("constant", 1.0, share, f"all {now.valid} rows hold one value")
