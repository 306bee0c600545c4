"""The rule: when moved columns make a shift, and when shifts make an entry.

Decides that a column moved only when its effect reaches its threshold **and** Benjamini and
Hochberg's step-up procedure over all columns × segments of the run rejects at `q`; the share of
moved columns plays no part. An entry opens when M of the last N judged windows shifted, and clears
only after two calm ones in a row, so that a value swinging about the threshold does not flap.
Windows that could not be judged (fault, insufficient) count neither way. Pure.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from msgspec import Struct

from drift.policy import Rule

CALM_WINDOWS: Final = 2


def adjusted(p_values: Sequence[float]) -> list[float]:
    """The p-values as Benjamini and Hochberg adjust them, in the given order.

    A value ≤ q marks exactly the hypotheses that the step-up procedure rejects at q.
    """
    count = len(p_values)
    result = [1.0] * count
    lowest = 1.0
    for rank, place in enumerate(sorted(range(count), key=p_values.__getitem__, reverse=True)):
        lowest = min(lowest, p_values[place] * count / (count - rank))
        result[place] = lowest
    return result


def moved(rule: Rule, score: float, threshold: float, q: float) -> bool:
    """Whether the effect is large enough and the adjusted p-value small enough."""
    return score >= threshold and q <= rule.q


class Step(Struct, frozen=True):
    """What confirmation needs to know of one window; `start` is the window's start as written.

    `level` is the largest effect of a significant column as a share of its threshold.
    """

    start: str
    verdict: str
    level: float
    entry: str = "clear"
    since: str | None = None


class Confirmation(Struct, frozen=True):
    """`seen` of the last `of` judged windows shifted; `since` is the one that opened the entry."""

    needed: int
    of: int
    seen: int
    confirmed: bool
    entry: str
    since: str | None


def step(rule: Rule, body: Mapping[str, Any]) -> Step:
    """The step that a DriftMeasured body records."""
    levels = [
        column["score"] / column["threshold"]
        for column in body["columns"]
        if column["q"] is not None and column["q"] <= rule.q
    ]
    known = body.get("confirmation") or {}
    return Step(
        body["window"]["start"],
        body["verdict"],
        max(levels, default=0.0),
        known.get("entry", "clear"),
        known.get("since"),
    )


def confirm(rule: Rule, history: Sequence[Step], now: Step) -> Confirmation:
    """The state after `now`; `history` holds the earlier windows, oldest first.

    An entry that cleared starts the count anew: shifts from before do not confirm it again.
    """
    before = history[-1] if history else None
    was_open = before is not None and before.entry == "open"
    since = before.since if before is not None and was_open else None
    judged = [past for past in _since_cleared(history) if _counts(past)]
    if not _counts(now):
        seen = sum(past.verdict == "shift" for past in judged[-rule.of :])
        return Confirmation(
            rule.needed, rule.of, seen, False, "open" if was_open else "clear", since
        )
    judged.append(now)
    seen = sum(past.verdict == "shift" for past in judged[-rule.of :])
    confirmed = now.verdict == "shift" and seen >= rule.needed
    if was_open:
        calm = [_calm(rule, past) for past in judged[-CALM_WINDOWS:]]
        cleared = len(calm) == CALM_WINDOWS and all(calm)
        entry = "clear" if cleared else "open"
        since = None if cleared else since
    else:
        entry = "open" if confirmed else "clear"
        since = now.start if confirmed else None
    return Confirmation(rule.needed, rule.of, seen, confirmed, entry, since)


def _counts(step: Step) -> bool:
    return step.verdict in {"ok", "shift"}


def _calm(rule: Rule, step: Step) -> bool:
    return step.verdict == "ok" and step.level < rule.clear


def _since_cleared(history: Sequence[Step]) -> Sequence[Step]:
    for place in range(len(history) - 1, 0, -1):
        if history[place].entry == "clear" and history[place - 1].entry == "open":
            return history[place + 1 :]
    return history
