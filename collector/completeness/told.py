"""What is told of the completeness of an integration: gaps and compared counts.

Decides order and how much: producers that miss most come first, of all together at most
`MOST_GAPS` gaps and `MOST_REPORTS` reports are listed; the totals are of everything.
"""

from collections.abc import Iterator, Sequence
from typing import Final, Protocol

import msgspec

from audit.events import rfc3339
from collector.completeness.comparing import Compared, Count, compared
from collector.completeness.followed import (
    PRODUCER,
    PRODUCERS,
    Producer,
    Producers,
    Report,
    decode_producer,
    decode_producers,
)
from collector.completeness.ranges import Gap

MOST_GAPS: Final = 1_000
MOST_LISTED: Final = 200
_LARGEST: Final = 2**63 - 1
_COMPARED: Final = 100
"""Reports of each producer that are compared, newest first."""
_RANK = {"differs": 0, "unknown": 1, "waiting": 2, "equal": 3}


class Documented(Protocol):
    """The part of the documents that is read."""

    def get(self, kind: str, key: str) -> bytes | None: ...
    def each(self, kind: str, prefix: str = "") -> Iterator[tuple[str, bytes]]: ...


class GapRow(msgspec.Struct, frozen=True):
    """Missing numbers, both ends included; `after` and `before` are the times of the events around
    them, null at an end that only the producer told."""

    first: int
    last: int
    count: int
    after: str | None
    before: str | None


class ProducerRow(msgspec.Struct, frozen=True):
    """One producer; `seen` numbers between `lowest` and `highest`, of which `gaps` are missing.

    `uncounted` numbers are missing too, but so many gaps were between them that they are no longer
    told apart; `repeated` events had a number that another one had.
    """

    producer: str
    seen: int
    lowest: int | None
    highest: int | None
    missing: int
    uncounted: int
    repeated: int
    gaps: list[GapRow]


class Gaps(msgspec.Struct, frozen=True):
    """What numbers say is missing, of all `producers` that are followed; `items` are the worst.

    `forgotten` producers gave way to newer ones, when `forgotten_missing` of their numbers were
    missing; `strange` events name producers that were never followed: there were too many.
    """

    integration: str
    missing: int
    repeated: int
    producers: int
    forgotten: int
    forgotten_missing: int
    strange: int
    items: list[ProducerRow]


class Counts(msgspec.Struct, frozen=True):
    """What was reported beside what is there, differences first, then the newest."""

    integration: str
    reports: int
    differing: int
    lacking: int
    beyond: int
    dropped: int
    items: list[Compared]


def producers_of(documents: Documented, integration: str) -> list[Producer]:
    """Return the producers of an integration that are followed."""
    return [decode_producer(body) for _, body in documents.each(PRODUCER, f"{integration} ")]


def gaps(documents: Documented, integration: str) -> Gaps:
    """Return what is missing by the producers' numbers."""
    stored = documents.get(PRODUCERS, integration)
    all_ = Producers() if stored is None else decode_producers(stored)
    found = [(each.seen.missing(), each) for each in producers_of(documents, integration)]
    found.sort(key=lambda each: (-each[0], -each[1].seen.repeated, -each[1].index))
    left, items = MOST_GAPS, []
    for missing, producer in found[:MOST_LISTED]:
        row = _row(producer, missing, left)
        left -= len(row.gaps)
        items.append(row)
    return Gaps(
        integration=integration,
        missing=min(_LARGEST, sum(missing for missing, _ in found)),
        repeated=sum(each.seen.repeated for _, each in found),
        producers=len(all_.known),
        forgotten=all_.forgotten,
        forgotten_missing=all_.forgotten_missing,
        strange=all_.strange,
        items=items,
    )


def counts(
    documents: Documented, integration: str, count: Count, now_us: int, most: int = MOST_LISTED
) -> Counts:
    """Return the reports of an integration beside what is there."""
    found = _compared(producers_of(documents, integration), count, now_us)
    found.sort(key=lambda each: each.start, reverse=True)
    found.sort(key=lambda each: _RANK[each.state])
    differing = [each for each in found if each.state == "differs"]
    return Counts(
        integration=integration,
        reports=len(found),
        differing=len(differing),
        lacking=min(_LARGEST, sum(each.lacking for each in differing)),
        beyond=min(_LARGEST, sum(each.beyond for each in differing)),
        dropped=min(_LARGEST, sum(each.dropped for each in found)),
        items=found[:most],
    )


def _compared(producers: Sequence[Producer], count: Count, now_us: int) -> list[Compared]:
    return [
        compared(producer, report, count, now_us)
        for producer in producers
        for report in sorted(producer.reports.values(), reverse=True, key=_start)[:_COMPARED]
    ]


def _start(report: Report) -> int:
    return report.start_us


def _row(producer: Producer, missing: int, most: int) -> ProducerRow:
    seen = producer.seen
    return ProducerRow(
        producer=producer.name,
        seen=seen.count,
        lowest=seen.lowest,
        highest=seen.ranges[-1].high if seen.ranges else None,
        missing=missing,
        uncounted=seen.missing_below,
        repeated=seen.repeated,
        gaps=[_gap(each) for each in seen.gaps()[: max(0, most)]],
    )


def _gap(gap: Gap) -> GapRow:
    return GapRow(
        first=gap.first,
        last=gap.last,
        count=gap.count,
        after=None if gap.after_us is None else rfc3339(gap.after_us),
        before=None if gap.before_us is None else rfc3339(gap.before_us),
    )
