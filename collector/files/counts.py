"""What watching has done, for its log and for Prometheus.

Decides names; hides nothing. The numbers are added on the event loop and read by whoever scrapes.
"""

from collections.abc import Iterator, Mapping

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from collector.streams.taking import Taken


class FileCounts:
    """Of one declaration: files read to their end, rows, and what became of them.

    `late`, `unreadable` and `away` are how it stands: partitions that are missing, files that
    cannot be read, and whether the place cannot be reached.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.files = 0
        self.rows = 0
        self.logged = 0
        self.duplicates = 0
        self.quarantined = 0
        self.not_kept = 0
        self.waiting = 0
        self.late: tuple[str, ...] = ()
        self.unreadable = 0
        self.away = False

    def add(self, rows: int, taken: Taken) -> None:
        """Count a batch that is durable."""
        self.rows += rows
        self.logged += taken.logged
        self.duplicates += taken.duplicates
        self.quarantined += taken.quarantined
        self.not_kept += taken.not_kept
        self.waiting += taken.waiting

    @property
    def done(self) -> int:
        """What grows with all that is done."""
        return self.rows + self.files

    def told(self) -> str:
        """All of it on one line."""
        return (
            f"{self.name}: {self.files} files, {self.rows} rows, {self.logged} events logged, "
            f"{self.duplicates} known before, {self.quarantined} in quarantine, "
            f"{self.not_kept} refused and not kept, "
            f"{self.waiting} halves, {self.unreadable} files unreadable, "
            f"{len(self.late)} partitions late"
        )


class FileMetrics(Collector):
    """The counts of all files of a process, as a scrape shows them."""

    def __init__(self, counts: Mapping[str, FileCounts]) -> None:
        self._counts = counts

    def collect(self) -> Iterator[Metric]:
        """What a scrape shows."""
        shown = list(self._counts.values())
        files = CounterMetricFamily(
            "modelwitness_files_read", "Files that were read to their end", labels=["files"]
        )
        rows = CounterMetricFamily(
            "modelwitness_files_rows",
            "Rows that are durable in ledger or quarantine",
            labels=["files"],
        )
        events = CounterMetricFamily(
            "modelwitness_files_events",
            "What was in them by fate: accepted, duplicate, quarantined, not_kept or half",
            labels=["files", "fate"],
        )
        late = GaugeMetricFamily(
            "modelwitness_files_late_partitions",
            "Partitions that should be there and are not",
            labels=["files"],
        )
        unreadable = GaugeMetricFamily(
            "modelwitness_files_unreadable", "Files that cannot be read", labels=["files"]
        )
        away = GaugeMetricFamily(
            "modelwitness_files_away", "1 where the place cannot be reached", labels=["files"]
        )
        for each in shown:
            files.add_metric([each.name], each.files)
            rows.add_metric([each.name], each.rows)
            events.add_metric([each.name, "accepted"], each.logged)
            events.add_metric([each.name, "duplicate"], each.duplicates)
            events.add_metric([each.name, "quarantined"], each.quarantined)
            events.add_metric([each.name, "not_kept"], each.not_kept)
            events.add_metric([each.name, "half"], each.waiting)
            late.add_metric([each.name], len(each.late))
            unreadable.add_metric([each.name], each.unreadable)
            away.add_metric([each.name], float(each.away))
        yield from (files, rows, events, late, unreadable, away)
