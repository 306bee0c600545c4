"""Following the ledger: what arrived since the last round, into the histories of integrations.

Decides that arrivals are counted by the hour in which they were logged, also when many hours have
to be caught up, and that at most `_AT_ONCE` entries are read in one round. How late entries come is
taken from an even sample. Hides where an hour begins in the ledger: logged times never fall, so it
is found by halving.
"""

from collections.abc import Mapping
from typing import Final, Protocol

from audit.arrivals import Arrivals
from audit.events import SYSTEM
from audit.rollups import bucket
from collector.checks.history import HOUR_US, HOURS, History, Minute

_AT_ONCE: Final = 500_000
_SAMPLED: Final = 2_000


class Logged(Protocol):
    """The part of a leaf that is read."""

    @property
    def logged_us(self) -> int: ...


class Reads(Protocol):
    """The part of the reader that is asked."""

    def size(self) -> int: ...
    def leaf(self, index: int) -> Logged: ...


class Following:
    """Follows one ledger."""

    def __init__(self, reader: Reads, arrivals: Arrivals) -> None:
        self._reader = reader
        self._arrivals = arrivals

    def begin(self, now_us: int) -> int:
        """Return the first entry that a history may still tell of."""
        size = self._reader.size()
        return self._first_since(0, size, now_us - HOURS * HOUR_US)

    def follow(self, first: int, histories: Mapping[str, History], now_us: int) -> tuple[int, bool]:
        """Take in the entries from `first`; returns where to go on, and whether that is the end.

        `histories` must make one for any name that it is asked for.
        """
        size = self._reader.size()
        first, until = min(first, size), min(size, first + _AT_ONCE)
        while first < until:
            hour = self._reader.leaf(first).logged_us // HOUR_US
            end = self._first_since(first + 1, until, (hour + 1) * HOUR_US)
            self._take(first, end, hour, histories, now_us)
            first = end
        return first, first == size

    def _take(
        self, first: int, end: int, hour: int, histories: Mapping[str, History], now_us: int
    ) -> None:
        newest_us = self._reader.leaf(end - 1).logged_us
        recent = now_us - newest_us < HOUR_US
        for each in self._arrivals.counted(first, end):
            if each.integration == SYSTEM:
                continue
            history = histories[each.integration]
            history.arrived(hour, each.entries)
            history.logged_us = max(history.logged_us, self._reader.leaf(each.last).logged_us)
            if recent:
                minute = history.minute(now_us)
                minute.accepted += each.entries
                minute.ahead_us = max(minute.ahead_us, each.latest_us - newest_us)
                if each.type == "PredictionLogged":
                    minute.predictions += each.entries
                    minute.errors += each.entries if each.status == "error" else 0
        if recent:
            self._sample(first, end, histories, now_us)

    def _sample(self, first: int, end: int, histories: Mapping[str, History], now_us: int) -> None:
        minutes: dict[str, Minute] = {}
        for came in self._arrivals.sampled(first, end, _SAMPLED):
            if came.integration == SYSTEM:
                continue
            if came.integration not in minutes:
                minutes[came.integration] = histories[came.integration].minute(now_us)
            lags = minutes[came.integration].lags
            late = bucket(max(0, came.logged_us - came.event_us))
            lags[late] = lags.get(late, 0) + 1

    def _first_since(self, low: int, high: int, us: int) -> int:
        """The first entry from `low` that was logged at `us` or later, `high` if there is none."""
        while low < high:
            middle = (low + high) // 2
            if self._reader.leaf(middle).logged_us < us:
                low = middle + 1
            else:
                high = middle
        return low
