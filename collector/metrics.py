"""What ingest counts, in Prometheus' terms.

Decides names and labels; integrations are labels because only credentials make new ones. Hides
that the counting is plain addition on the event loop: the library's own counters take a lock and
a look-up each, which would cost more than the event's validation.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from collector.checks.noted import Notes

_REFUSED = frozenset({"rejected", "conflict", "unreadable"})
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics(Collector):
    """Counts of one process, shown by one registry. Belongs to one event loop.

    `strangers` tells how many requests without a valid token were turned away, wherever; `held`
    how many bytes of bodies of known senders are held at this moment, `unproved` how many of those
    whose senders are not known yet.
    """

    def __init__(
        self,
        registry: CollectorRegistry,
        strangers: Callable[[], int],
        held: Callable[[], int] = lambda: 0,
        unproved: Callable[[], int] = lambda: 0,
    ) -> None:
        self._strangers = strangers
        self._held = held
        self._unproved = unproved
        self._fates: Counter[tuple[str, str, str]] = Counter()
        self._refused: Counter[int] = Counter()
        self._not_kept: Counter[str] = Counter()
        self._unset: Counter[str] = Counter()
        self._durations: defaultdict[str, list[int]] = defaultdict(_no_durations)
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._body_bytes = 0
        self.notes: Notes | None = None
        """Where refusals are noted for whoever watches the integrations."""
        registry.register(self)

    def fate(self, address: str, integration: str, fate: str, count: int = 1) -> None:
        """Count items that met this fate."""
        self._fates[address, integration, fate] += count
        if fate in _REFUSED and self.notes is not None:
            self.notes.refused(integration, count)

    def answered(self, address: str, body_bytes: int, seconds: float) -> None:
        """Count a request that was answered with a success."""
        self._durations[address][bisect_left(_BOUNDS, seconds)] += 1
        self._seconds[address] += seconds
        self._body_bytes += body_bytes

    def refused(self, status: int) -> None:
        """Count a request that was refused as a whole."""
        self._refused[status] += 1

    def not_kept(self, integration: str, count: int = 1) -> None:
        """Count refused items for which quarantine had no room."""
        self._not_kept[integration] += count

    def unset(self, integration: str) -> None:
        """Count a request that was refused because no secret of the integration is set."""
        self._unset[integration] += 1

    def collect(self) -> Iterator[Metric]:
        """What a scrape shows."""
        events = CounterMetricFamily(
            "modelwitness_ingest_events",
            "Items by address, integration and fate: accepted, duplicate, conflict or rejected",
            labels=["address", "integration", "fate"],
        )
        for labels, count in self._fates.items():
            events.add_metric(labels, count)
        yield events
        refused = CounterMetricFamily(
            "modelwitness_ingest_refused_requests",
            "Requests that were refused as a whole, by status",
            labels=["status"],
        )
        for status, count in self._refused.items():
            refused.add_metric([str(status)], count)
        yield refused
        full = CounterMetricFamily(
            "modelwitness_quarantine_not_kept",
            "Refused items that were not kept because the integration's share was full",
            labels=["integration"],
        )
        for integration, count in self._not_kept.items():
            full.add_metric([integration], count)
        yield full
        unset = CounterMetricFamily(
            "modelwitness_integration_secret_unset",
            "Requests refused because no secret of the integration is set for this process",
            labels=["integration"],
        )
        for integration, count in self._unset.items():
            unset.add_metric([integration], count)
        yield unset
        yield CounterMetricFamily(
            "modelwitness_refused_strangers",
            "Requests to any address that carried no valid token",
            value=self._strangers(),
        )
        yield self._histogram()
        yield CounterMetricFamily(
            "modelwitness_ingest_body_bytes",
            "Bytes of the bodies that were answered with a success, as they were sent",
            value=self._body_bytes,
        )
        yield GaugeMetricFamily(
            "modelwitness_ingest_held_bytes",
            "Bytes of bodies of known senders held at this moment",
            value=self._held(),
        )
        yield GaugeMetricFamily(
            "modelwitness_ingest_unproved_bytes",
            "Bytes of bodies held at this moment whose senders are not known yet",
            value=self._unproved(),
        )

    def _histogram(self) -> HistogramMetricFamily:
        found = HistogramMetricFamily(
            "modelwitness_ingest_seconds",
            "Time from the request's head to the answer, durable and signed",
            labels=["address"],
        )
        for address, counts in self._durations.items():
            total = 0
            buckets = []
            for bound, count in zip((*map(str, _BOUNDS), "+Inf"), counts, strict=True):
                total += count
                buckets.append((bound, total))
            found.add_metric([address], buckets, self._seconds[address])
        return found


def _no_durations() -> list[int]:
    return [0] * (len(_BOUNDS) + 1)
