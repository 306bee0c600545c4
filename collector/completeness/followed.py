"""What is known of producers: the numbers seen, events by the hour, and what they reported.

Decides which producers of an integration are followed: at most `MOST_PRODUCERS`, the longest idle
gives way to a new one and what it was missing stays counted; and since a name that changes with
every event would make a document each, a new one is begun only as often as `_COST` entries of the
ledger pass, after a first `_BURST`. Hides how that is stored:

    producers  INTEGRATION           which are followed, and what is known of those no longer
    producer   INTEGRATION DIGEST    one of them; the name stands inside, since it may tell a host

All of it is determined by the events one by one, however they were grouped, so `rebuild` gives the
same documents.
"""

from hashlib import blake2b
from typing import Final

import msgspec

from audit.documents import View
from collector.completeness.ranges import Seen

PRODUCERS, PRODUCER = "producers", "producer"
HOUR_US: Final = 3_600_000_000
MOST_PRODUCERS: Final = 1_000
MOST_HOURS: Final = 400
MOST_REPORTS: Final = 400
_COST, _BURST = 64, 100
_LARGEST: Final = 2**63 - 1
_CHANCES: Final = 8
"""Producers that are looked at to find one that is idle."""


class Report(msgspec.Struct, array_like=True, frozen=True):
    """The newest report on a range that begins at `start_us`; `told_us` is when it was made."""

    start_us: int
    end_us: int
    told_us: int
    index: int
    counts: dict[str, int]
    dropped: int


class Producer(msgspec.Struct, array_like=True):
    """One producer, "" where events name none; `index` is its newest entry.

    `hours` are events by hour since the epoch of their own time, then by type; only the newest
    `MOST_HOURS` are kept, and `since` is the hour before which they may be incomplete.
    """

    name: str
    index: int
    seen: Seen
    hours: dict[str, dict[str, int]]
    since: int
    reports: dict[str, Report]

    def tally(self, type: str, at_us: int) -> None:
        """Count one event in the hour of its time."""
        hour = at_us // HOUR_US
        if hour < self.since:
            return
        counts = self.hours.setdefault(str(hour), {})
        counts[type] = counts.get(type, 0) + 1
        if len(self.hours) > MOST_HOURS:
            oldest = min(self.hours, key=int)
            del self.hours[oldest]
            self.since = int(oldest) + 1

    def counted(self, start_us: int, end_us: int) -> dict[str, int] | None:
        """Return the events of whole hours by type, None where they are no longer known."""
        first, end = start_us // HOUR_US, -(-end_us // HOUR_US)
        if first < self.since:
            return None
        found: dict[str, int] = {}
        for hour, counts in self.hours.items():
            if first <= int(hour) < end:
                for type, count in counts.items():
                    found[type] = found.get(type, 0) + count
        return found

    def report(self, report: Report) -> None:
        """Take in a report; the newest of those that begin at one time is in force."""
        self.reports[str(report.start_us)] = report
        if len(self.reports) > MOST_REPORTS:
            del self.reports[min(self.reports, key=int)]


class Producers(msgspec.Struct, array_like=True):
    """The producers of one integration: digest of each, and the entry at which it last came up for
    its place. `forgotten` and `forgotten_missing` are of those that gave way, `strange` counts
    events of those that were never followed."""

    known: dict[str, int] = {}
    credit: int = _COST * _BURST
    credit_index: int = 0
    forgotten: int = 0
    forgotten_missing: int = 0
    strange: int = 0


_encode = msgspec.msgpack.Encoder(order="deterministic").encode
decode_producer = msgspec.msgpack.Decoder(Producer).decode
decode_producers = msgspec.msgpack.Decoder(Producers).decode


class Followed:
    """The documents as one transaction changes them; `write` puts those that changed."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._of: dict[str, Producers] = {}
        self._producers: dict[tuple[str, str], Producer] = {}
        self._changed: set[str] = set()
        self._dropped: set[tuple[str, str]] = set()

    def producer(self, integration: str, name: str, index: int) -> Producer | None:
        """Return a producer to be changed, None where it is not followed."""
        all_ = self._all(integration)
        digest = _digest(name)
        if digest in all_.known:
            found = self._one(integration, digest)
            found.index = index
            return found
        all_.credit = min(_COST * _BURST, all_.credit + index - all_.credit_index)
        all_.credit_index = index
        self._changed.add(integration)
        if all_.credit < _COST:
            all_.strange += 1
            return None
        all_.credit -= _COST
        if len(all_.known) >= MOST_PRODUCERS:
            self._make_room(integration, all_)
        all_.known[digest] = index
        made = Producer(name, index, Seen(), {}, 0, {})
        self._producers[integration, digest] = made
        self._dropped.discard((integration, digest))
        return made

    def write(self) -> None:
        """Put what changed."""
        for integration, digest in self._dropped:
            self._view.delete(PRODUCER, key_of(integration, digest))
        for (integration, digest), producer in self._producers.items():
            self._view.put(PRODUCER, key_of(integration, digest), _encode(producer))
        for integration in self._changed:
            self._view.put(PRODUCERS, integration, _encode(self._of[integration]))

    def _all(self, integration: str) -> Producers:
        found = self._of.get(integration)
        if found is None:
            stored = self._view.get(PRODUCERS, integration)
            found = Producers() if stored is None else decode_producers(stored)
            self._of[integration] = found
        return found

    def _one(self, integration: str, digest: str) -> Producer:
        found = self._producers.get((integration, digest))
        if found is None:
            stored = self._view.get(PRODUCER, key_of(integration, digest))
            assert stored is not None, "a followed producer has its document"  # noqa: S101  (our own)
            found = self._producers[integration, digest] = decode_producer(stored)
        return found

    def _make_room(self, integration: str, all_: Producers) -> None:
        """Forget a producer that is idle: of those longest in their place, one not heard since."""
        for chance in range(_CHANCES):
            digest = min(all_.known, key=lambda each: (all_.known[each], each))
            one = self._one(integration, digest)
            if one.index > all_.known[digest] and chance < _CHANCES - 1:
                all_.known[digest] = one.index
                continue
            all_.forgotten += 1
            all_.forgotten_missing = min(_LARGEST, all_.forgotten_missing + one.seen.missing())
            del all_.known[digest], self._producers[integration, digest]
            self._dropped.add((integration, digest))
            return


def key_of(integration: str, digest: str) -> str:
    """The key of a producer's document; no name can hold a space."""
    return f"{integration} {digest}"


def _digest(name: str) -> str:
    return blake2b(name.encode(), digest_size=8).hexdigest()
