"""One window against its reference becomes the body of one DriftMeasured event.

Decides what a window is: each column judged (`judgement`), then the rule over all columns and
segments together. Decides that lack of data is never "ok": a column that the policy names and
nobody ever saw is a fault, one with too few rows leaves the window insufficient; but one whose
values are too many for any rows is left out and named. Nothing here reads a clock that matters, a
key or a connection, so a process pool may run it anywhere.
"""

import hashlib
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
import numpy as np

from audit.events import rfc3339
from drift import rule
from drift.columns import Columns
from drift.errors import NotRendered
from drift.judgement import Judgement, described, is_judged, is_unread, judgement
from drift.policy import Policy
from drift.windows import Window, reference_of

ALL: Final = "all"
"""The segment that holds every row."""
MAX_SEGMENTS: Final = 20

Body = dict[str, Any]


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
    unread = {one.name for one in policy.columns if one.declared and is_unread(one, *sides[ALL])}
    judged = {
        name: [
            judgement(policy, one, reference, current, one.name in unread)
            for one in policy.columns
            if is_judged(one, reference)
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
    columns: list[Judgement],
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
        "columns": [described(one) for one in columns],
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
    policy: Policy, columns: list[Judgement], sides: tuple[Columns, Columns]
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
    lacking = [one for one in by["insufficient"] if not one.scattered]
    scattered = [one for one in by["insufficient"] if one.scattered]
    rest = ""
    if lacking:
        rest = f" {len(lacking)} of {len(columns)} columns lack rows: {_listed(lacking)}."
    if scattered:
        rest += f" Left out for too many different values: {_listed(scattered)}."
    if by["fault"]:
        kinds = ", ".join(dict.fromkeys(f.kind for one in by["fault"] for f in one.faults))
        told = "; ".join(one.unreadable.detail for one in by["fault"][:8] if one.unreadable)
        told = f": {told}" if told else "."
        return "fault", f"The data are at fault ({kinds}) in {_listed(by['fault'])}{told}{rest}"
    if by["shift"]:
        return "shift", f"The distribution moved in {_listed(by['shift'])}.{rest}"
    if by["ok"] and not any(one.rule.declared for one in lacking):
        return "ok", f"{len(by['ok'])} columns are distributed as in the reference.{rest}"
    if by["ok"]:
        return "insufficient", f"Not every column of the policy could be judged.{rest}"
    return "insufficient", f"No column could be judged.{rest}"


def _listed(columns: list[Judgement]) -> str:
    names = [one.rule.name for one in columns]
    more = f" and {len(names) - 8} more" if len(names) > 8 else ""
    return ", ".join(names[:8]) + more


def _report(columns: list[Judgement], sides: tuple[Columns, Columns], seed: str) -> Body | None:
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
