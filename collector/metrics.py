"""What ingest counts, in Prometheus' terms.

Decides names and labels; integrations are labels because only credentials make new ones. Hides
the look-up of label values, which would cost more than the counting.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class Metrics:
    """Counters of one process in one registry."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._events = Counter(
            "modelwitness_ingest_events",
            "Items by address, integration and fate: accepted, duplicate, conflict or rejected",
            ["address", "integration", "fate"],
            registry=registry,
        )
        self._bytes = Counter(
            "modelwitness_ingest_body_bytes",
            "Bytes of the bodies that were read, as they were sent",
            registry=registry,
        )
        self._refused = Counter(
            "modelwitness_ingest_refused_requests",
            "Requests that were refused as a whole, by status",
            ["status"],
            registry=registry,
        )
        self._seconds = Histogram(
            "modelwitness_ingest_seconds",
            "Time from the request's head to the answer, durable and signed",
            ["address"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.held_bytes = Gauge(
            "modelwitness_ingest_held_bytes",
            "Bytes of bodies held at this moment",
            registry=registry,
        )
        self._fates: dict[tuple[str, str, str], Counter] = {}
        self._timers: dict[str, Histogram] = {}

    def fate(self, address: str, integration: str, fate: str, count: int = 1) -> None:
        """Count items that met this fate."""
        key = (address, integration, fate)
        counter = self._fates.get(key)
        if counter is None:
            counter = self._fates[key] = self._events.labels(*key)
        counter.inc(count)

    def answered(self, address: str, body_bytes: int, seconds: float) -> None:
        """Count a request that was answered with a success."""
        timer = self._timers.get(address)
        if timer is None:
            timer = self._timers[address] = self._seconds.labels(address)
        timer.observe(seconds)
        self._bytes.inc(body_bytes)

    def refused(self, status: int) -> None:
        """Count a request that was refused as a whole."""
        self._refused.labels(str(status)).inc()
