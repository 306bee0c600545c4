"""The projection of completeness: numbers, hours and reports out of producers' own events.

Decides that an event counts for its producer when it names one or carries a number. Hides that
most events do neither and are told by a look at their bytes, since this runs in every append.
"""

from collections.abc import Sequence

import msgspec

from audit.documents import Applied, View
from audit.events import Event, micros
from collector.completeness.followed import PRODUCER, PRODUCERS, Followed, Report

REPORTED = "CountsReported"
COUNTED = frozenset(
    {"PredictionLogged", "OutcomeObserved", "OversightRecorded", "ExplanationAttached"}
)


class _Told(msgspec.Struct, gc=False):
    """What a body says of its sender."""

    producer: str | None = None
    sequence: int | None = None


class _Numbers(msgspec.Struct, gc=False):
    first: int
    last: int


class _Reported(msgspec.Struct, gc=False):
    """What a body reports; its times were checked when it became an event."""

    time: str
    counts: dict[str, int]
    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    producer: str | None = None
    dropped: int = 0
    numbers: _Numbers | None = None


_decode_told = msgspec.json.Decoder(_Told).decode
_decode_reported = msgspec.json.Decoder(_Reported).decode


class Completeness:
    """See `audit.documents.Projection`."""

    name = "completeness"
    types = COUNTED | {REPORTED}
    kinds = frozenset({PRODUCERS, PRODUCER})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        """Take in these entries, in order."""
        followed: Followed | None = None
        for each in entries:
            body = each.event.body
            silent = b'"producer":' not in body and b'"sequence":' not in body
            if silent and each.event.type != REPORTED:
                continue
            if followed is None:
                followed = Followed(view)
            if each.event.type == REPORTED:
                _report(each.index, each.event, followed)
            else:
                _count(each.index, each.event, followed)
        if followed is not None:
            followed.write()

    def forget(self, handle: int, view: View) -> None:
        """Nothing here is about a subject."""


def _count(index: int, event: Event, followed: Followed) -> None:
    told = _decode_told(event.body)
    if told.producer is None and told.sequence is None:
        return
    producer = followed.producer(event.integration, told.producer or "", index)
    if producer is None:
        return
    if told.producer is not None:
        producer.tally(event.type, event.event_us)
    if told.sequence is not None:
        producer.seen.add(told.sequence, event.event_us)


def _report(index: int, event: Event, followed: Followed) -> None:
    told = _decode_reported(event.body)
    producer = followed.producer(event.integration, told.producer or "", index)
    if producer is None:
        return
    producer.report(
        Report(
            micros(told.start),
            micros(told.end),
            micros(told.time),
            index,
            told.counts,
            told.dropped,
        )
    )
    if told.numbers is not None:
        producer.seen.tell(told.numbers.first, told.numbers.last)
