"""The tally: how many events a program logged, by the hour of their own time, to be reported.

Decides that a report is of whole hours in UTC and says everything about its hour so far: an event
that comes to an hour which was reported already has that hour reported anew. What was lost before
it could be sent is counted apart. Needs the standard library only; safe to share between threads.
"""

import threading
import time
from datetime import UTC, datetime
from typing import Any, Final

HOUR: Final = 3_600
MOST_HOURS: Final = 400
"""Hours that are remembered; the collector compares no more of one producer."""
_LATEST: Final = 253_000_000_000


class Tally:
    """Counts of one process, which counts its events as `producer`."""

    def __init__(self, producer: str) -> None:
        self._last = 0
        self._producer = producer
        self._lock = threading.Lock()
        self._counts: dict[int, dict[str, int]] = {}
        self._dropped: dict[int, int] = {}
        self._changed: set[int] = set()
        self._reports = 0

    def add(self, type: str, at: object, number: int, *, kept: bool) -> None:
        """Count one event of that time and with that number, as kept or as lost."""
        hour = _hour(at)
        with self._lock:
            self._last = max(self._last, number)
            counts = self._counts.setdefault(hour, {})
            if kept:
                counts[type] = counts.get(type, 0) + 1
            else:
                self._dropped[hour] = self._dropped.get(hour, 0) + 1
            self._changed.add(hour)
            if len(self._counts) > MOST_HOURS:
                oldest = min(self._counts)
                del self._counts[oldest]
                self._dropped.pop(oldest, None)
                self._changed.discard(oldest)

    def reports(self, now: datetime, *, everything: bool) -> list[dict[str, Any]]:
        """Return a body for each hour that changed since it was reported: of those that are over,
        or of all."""
        hour = _hour(now)
        with self._lock:
            due = sorted(each for each in self._changed if everything or each < hour)
            self._changed.difference_update(due)
            found = []
            for each in due:
                self._reports += 1
                start = datetime.fromtimestamp(each * HOUR, UTC)
                found.append(
                    {
                        "id": f"{self._producer}/{start:%Y-%m-%dT%H}/{self._reports}",
                        "time": now,
                        "producer": self._producer,
                        "from": start,
                        "to": datetime.fromtimestamp((each + 1) * HOUR, UTC),
                        "counts": dict(self._counts[each]),
                        "dropped": self._dropped.get(each, 0),
                        "numbers": {"first": 1, "last": self._last},
                    }
                )
        return found


def _hour(at: object) -> int:
    """The hour of a time as events carry it; of now, where it is none that can be logged."""
    try:
        moment = datetime.fromisoformat(at) if isinstance(at, str) else at
        if isinstance(moment, datetime) and 0 <= (seconds := moment.timestamp()) < _LATEST:
            return int(seconds // HOUR)
    except (ValueError, OverflowError, OSError):
        pass  # the collector will refuse the event, and says why
    return int(time.time() // HOUR)
