"""A producer's own count beside ours.

Decides when a report can be compared (its range is over, and `LATENESS_US` has passed since then
and since it was made, so that what is under way has arrived) and what counts as a difference.
Events of one producer are counted by the hour in its document, all of an integration from the
ledger. Pure but for the count that it is given.
"""

from collections.abc import Callable, Mapping
from typing import Final, Literal

import msgspec

from audit.events import rfc3339
from collector.completeness.followed import Producer, Report
from collector.completeness.projection import COUNTED

LATENESS_US: Final = 15 * 60_000_000

State = Literal["equal", "differs", "waiting", "unknown"]
Count = Callable[[int, int], Mapping[str, int]]
"""Counts an integration's events between two times, by type."""


class Compared(msgspec.Struct, frozen=True):
    """One report beside the ledger; `lacking` and `beyond` are events that we lack, or have beyond
    what was reported; `dropped` were lost by the sender itself. `unknown`: no longer counted."""

    producer: str
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    told: str
    index: int
    state: State
    counts: dict[str, int]
    ours: dict[str, int] | None
    lacking: int
    beyond: int
    dropped: int


def due_us(report: Report) -> int:
    """Return when the report can be compared."""
    return max(report.end_us, report.told_us) + LATENESS_US


def compared(producer: Producer, report: Report, count: Count, now_us: int) -> Compared:
    """Return the report beside what we have."""
    if producer.name:
        known = producer.counted(report.start_us, report.end_us)
    else:
        known = dict(count(report.start_us, report.end_us))
    ours = None if known is None else {type: known[type] for type in COUNTED & known.keys()}
    lacking = beyond = 0
    for type in report.counts.keys() | (ours or {}).keys():
        more = report.counts.get(type, 0) - (ours or {}).get(type, 0)
        lacking, beyond = lacking + max(0, more), beyond + max(0, -more)
    if ours is None:
        lacking = beyond = 0
    return Compared(
        producer=producer.name,
        start=rfc3339(report.start_us),
        end=rfc3339(report.end_us),
        told=rfc3339(report.told_us),
        index=report.index,
        state=_state(report, lacking + beyond, now_us, known=ours is not None),
        counts=report.counts,
        ours=ours,
        lacking=lacking,
        beyond=beyond,
        dropped=report.dropped,
    )


def _state(report: Report, difference: int, now_us: int, *, known: bool) -> State:
    if not known:
        return "unknown"
    if now_us < due_us(report):
        return "waiting"
    return "differs" if difference else "equal"
