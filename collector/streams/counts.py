"""What a consumer has done, for its log and for Prometheus.

Decides names; hides nothing. The numbers are added on the event loop and read by whoever scrapes.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.streams.taking import Taken


class Counts:
    """Of one stream: messages, and what became of the events in them."""

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.messages = 0
        self.logged = 0
        self.duplicates = 0
        self.quarantined = 0
        self.waiting = 0
        self.tombstones = 0

    def add(self, messages: int, taken: Taken) -> None:
        """Count a batch that is durable."""
        self.messages += messages
        self.logged += taken.logged
        self.duplicates += taken.duplicates
        self.quarantined += taken.quarantined
        self.waiting += taken.waiting
        self.tombstones += taken.tombstones

    def told(self) -> str:
        """All of it on one line."""
        return (
            f"{self.stream}: {self.messages} messages, {self.logged} events logged, "
            f"{self.duplicates} known before, {self.quarantined} in quarantine, "
            f"{self.waiting} halves, {self.tombstones} without content"
        )


class StreamMetrics(Collector):
    """The counts of all streams of a process, as a scrape shows them."""

    def __init__(self, counts: Mapping[str, Counts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """What a scrape shows."""
        messages = CounterMetricFamily(
            "modelwitness_stream_messages",
            "Messages of a stream that are durable in ledger or quarantine",
            labels=["stream"],
        )
        events = CounterMetricFamily(
            "modelwitness_stream_events",
            "What was in them by fate: accepted, duplicate, quarantined, half or tombstone",
            labels=["stream", "fate"],
        )
        for each in list(self._counts.values()):
            messages.add_metric([each.stream], each.messages)
            events.add_metric([each.stream, "accepted"], each.logged)
            events.add_metric([each.stream, "duplicate"], each.duplicates)
            events.add_metric([each.stream, "quarantined"], each.quarantined)
            events.add_metric([each.stream, "half"], each.waiting)
            events.add_metric([each.stream, "tombstone"], each.tombstones)
        yield messages
        yield events
