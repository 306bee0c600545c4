"""How many predictions were logged of one half alone, by integration and side.

Decides that the count is kept with the halves, changed in the commit that ends their wait, so that
it is the same in every process and after any crash.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Protocol

import msgspec
from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from audit.clock import Clock
from audit.work import New

HALF, UNPAIRED = "half", "unpaired"
_PAGE = 200
_LAG_US = 10_000_000
"""Counting looks at all that waits, and whoever scrapes needs no token."""


class Item(Protocol):
    """What the work table gives back."""

    @property
    def key(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class KeepsWork(Protocol):
    """The part of the work table that holds the counts."""

    def get(self, kind: str, key: str) -> Item | None: ...


class ListsWork(Protocol):
    """The part of the work table that shows the counts."""

    def list(self, kind: str, after: str = "", limit: int = 200) -> Sequence[Item]: ...
    def usage(self, kind: str, suffix: str) -> tuple[int, int]: ...


class Alone(msgspec.Struct, frozen=True):
    """Requests without a response, and responses without a request, since the store was made."""

    requests: int = 0
    responses: int = 0


_decode_alone = msgspec.msgpack.Decoder(Alone).decode


class Unpaired:
    """Counts halves that stayed alone; for one sweep at a time."""

    def __init__(self, work: KeepsWork) -> None:
        self._work = work

    def counted(self, alone: Sequence[tuple[str, str]], remove: list[tuple[str, str]]) -> list[New]:
        """Return the items that count these (integration, side); old ones are put on `remove`."""
        found: list[New] = []
        for name in sorted({integration for integration, _ in alone}):
            added = Counter(side for integration, side in alone if integration == name)
            stored = self._work.get(UNPAIRED, name)
            before = Alone() if stored is None else _decode_alone(stored.body)
            total = Alone(before.requests + added["request"], before.responses + added["response"])
            remove.append((UNPAIRED, name))
            found.append(New(UNPAIRED, name, msgspec.msgpack.encode(total)))
        return found


def unpaired(work: ListsWork) -> dict[str, Alone]:
    """Return the counts by integration, of those that have any."""
    found: dict[str, Alone] = {}
    after = ""
    while page := work.list(UNPAIRED, after, _PAGE):
        found.update((each.key, _decode_alone(each.body)) for each in page)
        after = page[-1].key
    return found


class UnpairedMetric(Collector):
    """What is known of halves, as it was when `refresh` last read the store."""

    def __init__(self, work: ListsWork, registry: CollectorRegistry, clock: Clock) -> None:
        self._work = work
        self._clock = clock
        self._read_us: int | None = None
        self._alone: dict[str, Alone] = {}
        self._waiting = 0
        registry.register(self)

    def refresh(self) -> None:
        """Read the store, unless it was read within ten seconds; raises `Busy`."""
        now = self._clock()
        if self._read_us is not None and self._read_us <= now < self._read_us + _LAG_US:
            return
        self._read_us = now
        self._waiting, _ = self._work.usage(HALF, "")
        self._alone = unpaired(self._work)

    def collect(self) -> Iterator[Metric]:
        """What a scrape shows."""
        found = CounterMetricFamily(
            "modelwitness_unpaired",
            "Requests and responses whose other half did not come in time, ever",
            labels=["integration", "side"],
        )
        for name, alone in self._alone.items():
            found.add_metric([name, "request"], alone.requests)
            found.add_metric([name, "response"], alone.responses)
        yield found
        yield GaugeMetricFamily(
            "modelwitness_waiting_halves",
            "Requests and responses that wait for their other half",
            value=self._waiting,
        )
