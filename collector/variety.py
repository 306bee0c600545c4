"""How many series one integration may begin: combinations of the clear fields of its events.

Decides that an integration which has begun as many as it may (type, model, version, status and
retention class together make one) begins no other: an id or a date put into a model's name would
give every event a series of its own, and counts, rollups and lists grow with series, not with
events. Events of series that are there are always taken. Hides that what is known of the ledger is
asked for again after a minute: several processes together may go beyond the limit by so much.
"""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Lock
from typing import Final, Protocol

from audit.events import Event
from audit.group import Appended
from audit.leaf import SeriesName, series_name
from collector.errors import TooVaried
from collector.limits import Limits

_FRESH_SECONDS: Final = 60.0


class Counted(Protocol):
    """The part of the counts that is asked here."""

    def names(self, integration: str) -> set[SeriesName]: ...


class Appends(Protocol):
    """The part of the ledger that takes events."""

    def submit(self, events: Sequence[Event]) -> Future[list[Appended]]: ...
    def append(self, events: Sequence[Event]) -> list[Appended]: ...
    def checkpoint(self) -> bytes: ...


@dataclass(slots=True)
class _Known:
    names: set[SeriesName] = field(default_factory=set)
    until: float = 0.0


class Variety:
    """The series of each integration as this process knows them. Safe for several threads."""

    def __init__(
        self,
        counts: Counted | None,
        limits: Limits,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """Without `counts` nothing is limited."""
        self._counts = counts
        self._most = limits.series
        self._seconds = seconds
        self._lock = Lock()
        self._known: dict[str, _Known] = {}

    def is_known(self, events: Sequence[Event]) -> bool:
        """Whether all of these may be taken for all that is known; asks nobody."""
        if self._counts is None:
            return True
        for event in events:
            known = self._known.get(event.integration)
            if known is None or series_name(event) not in known.names:
                return False
        return True

    def refusal(self, events: Sequence[Event]) -> dict[int, TooVaried]:
        """Return why events may not be taken, by place; the others' series are known from now on.

        It blocks where the ledger has to be asked; raises `Busy` where it cannot be.
        """
        refused: dict[int, TooVaried] = {}
        if self._counts is None:
            return refused
        for place, event in enumerate(events):
            name = series_name(event)
            known = self._known_of(self._counts, event.integration, name)
            with self._lock:
                if name in known.names:
                    continue
                if len(known.names) < self._most:
                    known.names.add(name)
                else:
                    refused[place] = too_varied(self._most)
        return refused

    def _known_of(self, counts: Counted, integration: str, wanted: SeriesName) -> _Known:
        known = self._known.get(integration)
        if known is None or (wanted not in known.names and self._seconds() >= known.until):
            known = _Known(counts.names(integration), self._seconds() + _FRESH_SECONDS)
            with self._lock:
                self._known[integration] = known
        return known


class Varied:
    """A ledger that refuses events as `Variety` says, by `TooVaried` for the submission whole.

    For ways in that hand over single events again when a submission of several is refused.
    """

    def __init__(self, ledger: Appends, variety: Variety) -> None:
        self._ledger = ledger
        self._variety = variety
        self._beside = ThreadPoolExecutor(2, thread_name_prefix="variety")

    def submit(self, events: Sequence[Event]) -> Future[list[Appended]]:
        """As the ledger's; the future raises `TooVaried`, and nothing was appended."""
        if self._variety.is_known(events):
            return self._ledger.submit(events)
        return self._beside.submit(self._new, events)

    def append(self, events: Sequence[Event]) -> list[Appended]:
        """Submit events and wait for the answers."""
        return self.submit(events).result()

    def checkpoint(self) -> bytes:
        """As the ledger's."""
        return self._ledger.checkpoint()

    def _new(self, events: Sequence[Event]) -> list[Appended]:
        for refused in self._variety.refusal(events).values():
            raise refused
        return self._ledger.append(events)


def too_varied(most: int) -> TooVaried:
    """The refusal of an event that would begin a series beyond the limit."""
    return TooVaried(
        f"this integration has begun {most:,} series (type, model, version, status, retention"
        " class), as many as it may, and this event would begin another",
        field="/model",
        remedy="Put no id or date into model or version; or have MODELWITNESS_INGEST_SERIES raised,"
        " then replay it from quarantine.",
    )
