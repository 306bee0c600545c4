"""One window against its reference becomes the body of one DriftMeasured event.

Decides the order: too few rows first, then faults, then Evidently's tests on the columns that are
left, then the rule over all of them together. Decides that lack of data is never "ok": a column
that the policy names and nobody ever saw is a fault, one with too few rows leaves the window
insufficient. Hides which column was tested how. Nothing here
reads a clock that matters, a key or a connection, so a process pool may run it anywhere.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np

from audit.events import rfc3339
from drift import faults, pair, rule
from drift.columns import Columns
from drift.errors import NotRendered
from drift.faults import Fault
from drift.pair import CountedPair, NumericPair, Pair, Tally
from drift.policy import ColumnRule, Policy
from drift.windows import Window, reference_of

ALL: Final = "all"
"""The segment that holds every row."""
MAX_SEGMENTS: Final = 20
ROWS_PER_CATEGORY: Final = 20

Body = dict[str, Any]


@dataclass(slots=True)
class _Judged:
    """One column of one segment on its way to a verdict."""

    rule: ColumnRule
    tallies: tuple[Tally, Tally]
    histogram: Body
    showable: frozenset[str]
    faults: list[Fault]
    lacking: str | None = None
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


def judge(
    policy: Policy,
    window: Window,
    reference: Columns,
    current: Columns,
    *,
    version: str = "-",
    history: Sequence[Mapping[str, Any]] = (),
) -> Body:
    """The DriftMeasured body of one window, all rows together.

    `version` is the model version that predicted the window's rows. `history` holds the bodies
    (the report may be left out) of earlier windows of the same policy revision, version and
    segment, oldest first; they decide the confirmation, and as many as the rule looks at do.
    Equal arguments give equal bodies but for `seconds` and the ids and times inside `report`.
    """
    sides = {ALL: (reference, current)}
    return _judge(policy, window, sides, version, {ALL: history})[0]


def judge_segments(
    policy: Policy,
    window: Window,
    reference: Columns,
    current: Columns,
    *,
    version: str = "-",
    history: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> list[Body]:
    """One body for all rows, then one for each segment, corrected together.

    Segments are the reference's `MAX_SEGMENTS` most frequent values of each segment path, named
    "inputs.origin=JFK"; `history` is keyed by those names and "all". A segment gets a report only
    where it shifted: drawing takes longer than judging.
    """
    sides = {ALL: (reference, current)} | _segments(reference, current)
    return _judge(policy, window, sides, version, history or {})


def _judge(
    policy: Policy,
    window: Window,
    sides: Mapping[str, tuple[Columns, Columns]],
    version: str,
    history: Mapping[str, Sequence[Mapping[str, Any]]],
) -> list[Body]:
    started = time.perf_counter()
    # Of all rows: a segment may well be without a column that others fill.
    unread = {one.name for one in policy.columns if one.declared and _is_unread(one, *sides[ALL])}
    judged = {
        name: [
            _measured(policy, one, reference, current, one.name in unread)
            for one in policy.columns
            if _is_judged(one, reference)
        ]
        for name, (reference, current) in sides.items()
    }
    tested = [one for columns in judged.values() for one in columns if one.p is not None]
    for one, q in zip(tested, rule.adjusted([one.p or 0.0 for one in tested]), strict=True):
        one.q = q
        one.moved = rule.moved(policy.rule, one.score or 0.0, one.rule.threshold, q)
    bodies = [
        _body(policy, window, name, sides[name], version, columns, history.get(name, ()))
        for name, columns in judged.items()
    ]
    for body in bodies:
        body["seconds"] = round(time.perf_counter() - started, 3)
    return bodies


def _is_judged(one: ColumnRule, reference: Columns) -> bool:
    """An undeclared output or score counts only where the reference has values for it."""
    column = reference.columns[one.name]
    return one.declared or column.missing < reference.count


def _is_unread(one: ColumnRule, reference: Columns, current: Columns) -> bool:
    """Whether neither side holds one value of the column that could be used."""
    sides = [(side.columns[one.name], side.count) for side in (reference, current)]
    return all(column.missing + column.wrong == count for column, count in sides)


def _measured(
    policy: Policy, one: ColumnRule, reference: Columns, current: Columns, unread: bool
) -> _Judged:
    both = pair.pair(reference.columns[one.name], current.columns[one.name])
    unreadable = faults.unreadable(one, both) if unread else None
    found_faults = faults.find(one, both) if unreadable is None else [unreadable]
    # The sorted rows are let go of with the column; only what the body tells is kept.
    judged = _Judged(one, both.tallies, pair.histogram(both), _showable(both), found_faults)
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
        before, now, pooled = pair.testable(counts)
        rows = min(tally.valid for tally in both.tallies)
        if pooled > 0.5 or rows < ROWS_PER_CATEGORY * len(before):
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


def _segments(reference: Columns, current: Columns) -> dict[str, tuple[Columns, Columns]]:
    found: dict[str, tuple[Columns, Columns]] = {}
    for path, before in reference.segments.items():
        now = current.segments[path]
        codes = {label: code for code, label in enumerate(now.categories)}
        counts = np.bincount(before.codes[before.codes >= 0], minlength=len(before.categories))
        for code in np.argsort(-counts, kind="stable")[:MAX_SEGMENTS]:
            label = before.categories[code]
            found[f"{path}={label}"] = (
                reference.rows(before.codes == code),
                current.rows(now.codes == codes.get(label, len(codes))),
            )
    return found


def _body(
    policy: Policy,
    window: Window,
    segment: str,
    sides: tuple[Columns, Columns],
    version: str,
    columns: list[_Judged],
    history: Sequence[Mapping[str, Any]],
) -> Body:
    reference, current = sides
    against = reference_of(policy, window)
    verdict, reason = _verdict(policy, columns, sides)
    body: Body = {
        "id": _id(policy.revision, version, segment, window),
        "time": rfc3339(window.end_us),
        "model": {"name": policy.model, "version": version},
        "policy": {"name": policy.model, "revision": policy.revision},
        "segment": segment,
        "window": _span(window, current.count),
        "reference": _span(against, reference.count),
        "verdict": verdict,
        "reason": reason,
        "columns": [_column(one) for one in columns],
        "drifted": [one.rule.name for one in columns if one.verdict == "shift"],
        "faulty": [one.rule.name for one in columns if one.verdict == "fault"],
    }
    steps = [rule.step(policy.rule, past) for past in history]
    confirmation = rule.confirm(policy.rule, steps, rule.step(policy.rule, body))
    body["confirmation"] = msgspec.structs.asdict(confirmation)
    wanted = segment == ALL or bool(body["drifted"])
    body["report"] = _report(columns, sides, body["id"]) if wanted else None
    return body


def _id(revision: str, version: str, segment: str, window: Window) -> str:
    if len(segment) > 40:  # an event's id holds 256 characters
        segment = "#" + hashlib.sha256(segment.encode(errors="replace")).hexdigest()[:32]
    return f"{revision}/{version}/{segment}/{rfc3339(window.start_us)}"


def _span(window: Window, rows: int) -> Body:
    return {"start": rfc3339(window.start_us), "end": rfc3339(window.end_us), "rows": rows}


def _verdict(
    policy: Policy, columns: list[_Judged], sides: tuple[Columns, Columns]
) -> tuple[str, str]:
    """The window's verdict and one sentence for it; names of columns, never values."""
    for name, side in zip(("reference", "window"), sides, strict=True):
        if side.count < policy.minimum_rows:
            return (
                "insufficient",
                f"The {name} holds {side.count} rows; the policy needs {policy.minimum_rows}.",
            )
    by = {
        verdict: [one for one in columns if one.verdict == verdict]
        for verdict in ("fault", "shift", "insufficient", "ok")
    }
    rest = ""
    if by["insufficient"]:
        names = _listed(by["insufficient"])
        rest = f" {len(by['insufficient'])} of {len(columns)} columns lack rows: {names}."
    if by["fault"]:
        kinds = ", ".join(dict.fromkeys(f.kind for one in by["fault"] for f in one.faults))
        told = "; ".join(one.unreadable.detail for one in by["fault"][:8] if one.unreadable)
        told = f": {told}" if told else "."
        return "fault", f"The data are at fault ({kinds}) in {_listed(by['fault'])}{told}{rest}"
    if by["shift"]:
        return "shift", f"The distribution moved in {_listed(by['shift'])}.{rest}"
    if by["ok"] and not any(one.rule.declared for one in by["insufficient"]):
        return "ok", f"{len(by['ok'])} columns are distributed as in the reference.{rest}"
    if by["ok"]:
        return "insufficient", f"Not every column of the policy could be judged.{rest}"
    return "insufficient", f"No column could be judged.{rest}"


def _listed(columns: list[_Judged]) -> str:
    names = [one.rule.name for one in columns]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _column(one: _Judged) -> Body:
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


def _report(columns: list[_Judged], sides: tuple[Columns, Columns], seed: str) -> Body | None:
    """The report of the tested columns; None without any, or where it cannot be drawn."""
    tested = [one for one in columns if one.test is not None]
    if not tested:
        return None
    from drift import evidence

    drawn = [
        evidence.Drawn(
            one.rule.name,
            sides[0].columns[one.rule.name],
            sides[1].columns[one.rule.name],
            one.showable,
            one.test or "",
            one.score or 0.0,
            one.rule.threshold,
            one.moved,
        )
        for one in tested
    ]
    try:
        return evidence.report(drawn, seed)
    except NotRendered:
        return None  # a picture that fails must not cost the verdict


def _showable(both: Pair) -> frozenset[str]:
    if isinstance(both, NumericPair):
        return frozenset()
    return frozenset(both.labels[at] for at in pair.shown(both, len(both.labels)))
