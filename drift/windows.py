"""Windows of event time: which there are, and which of them may be judged.

Decides that calendar windows are months, ISO weeks (from Monday), days and hours in UTC, that
fixed lengths are counted from the epoch, and that a window is closed once the watermark has
reached its end. Windows are half open, [start, end), so that they touch and never overlap.
Hides calendar arithmetic; all times are microseconds since the epoch.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from msgspec import Struct

from audit.declared import duration_of
from drift.policy import DAY_US, HOUR_US, Policy

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_FIXED = {"hour": HOUR_US, "day": DAY_US, "week": 7 * DAY_US}
_MONDAY_US = -3 * DAY_US  # the epoch was a Thursday


class Window(Struct, frozen=True, order=True):
    """The span [start_us, end_us) of event time."""

    start_us: int
    end_us: int


def window_at(cadence: str, at_us: int) -> Window:
    """The window that holds the instant; `cadence` as in `Policy.window`."""
    if cadence == "month":
        day = _EPOCH + timedelta(microseconds=at_us)
        first = datetime(day.year, day.month, 1, tzinfo=UTC)
        later = (first + timedelta(days=32)).replace(day=1)
        return Window(_micros(first), _micros(later))
    length = _FIXED[cadence] if cadence in _FIXED else duration_of(cadence, "window")
    anchor = _MONDAY_US if cadence == "week" else 0
    start = anchor + (at_us - anchor) // length * length
    return Window(start, start + length)


def watermark(latest_us: int, now_us: int, lateness_us: int) -> int:
    """The instant before which no more rows are awaited.

    `latest_us` is the latest event time seen; a sender whose clock runs ahead of `now_us` cannot
    close windows that are still to come.
    """
    return min(latest_us, now_us) - lateness_us


def due(
    cadence: str, first_us: int, watermark_us: int, after: Window | None = None
) -> Iterator[Window]:
    """Every closed window from the one that holds `first_us` on, in order, none left out.

    `after` is the last window that needs no judging any more; the list goes on behind it. Empty
    windows are listed too: that nothing came is a finding.
    """
    if first_us >= watermark_us:
        return
    window = window_at(cadence, first_us if after is None else max(first_us, after.end_us))
    while window.end_us <= watermark_us:
        yield window
        window = window_at(cadence, window.end_us)


def reference_of(policy: Policy, window: Window) -> Window:
    """The span that `window` is judged against."""
    reference = policy.reference
    if reference.trailing_us:
        return Window(window.start_us - reference.trailing_us, window.start_us)
    return Window(reference.from_us, reference.to_us)


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)
