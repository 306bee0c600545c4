"""Pages of verdicts, alerts and cases, newest first, from documents alone.

Decides order and cursor: verdicts by window start, then key, over one model or all; alerts and
cases by id, which begins with the time of the incident. A cursor is the place of the last item.
"""

import heapq
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from audit.documents import Documents
from audit.errors import Rejected
from audit.events import micros
from drift.alerts import Alert
from drift.cases import Case
from drift.verdicts import Verdict

PAGE = 200
_LAST = "\U0010ffff"
_decode_case = msgspec.json.Decoder(Case).decode
_decode_verdict = msgspec.json.Decoder(Verdict).decode
_decode_alert = msgspec.json.Decoder(Alert).decode


class Place(NamedTuple):
    """Where a verdict stands in the list; greater is newer."""

    start: str
    key: str


class Wanted(NamedTuple):
    """Which verdicts are listed; `start` and `end` bound the windows that overlap, in RFC 3339."""

    model: str | None = None
    version: str | None = None
    start: str | None = None
    end: str | None = None


def verdicts(
    documents: Documents, wanted: Wanted, cursor: str | None, limit: int = PAGE
) -> tuple[list[dict[str, Any]], str | None]:
    """Return one page of summaries and the cursor of the next, None at the end.

    Raises `Rejected` for a cursor that no page gave.
    """
    before = None if cursor is None else _parsed(cursor)
    models = (
        [wanted.model] if wanted.model is not None else [key for key, _ in documents.each("policy")]
    )
    streams = [_of_model(documents, model, wanted, before) for model in models]
    merged = heapq.merge(*streams, key=lambda each: each[0], reverse=True)
    page = list(islice(merged, limit + 1))
    items = [msgspec.json.decode(body) for _, body in page[:limit]]
    last = page[limit - 1][0] if len(page) > limit else None
    return items, None if last is None else f"{last.start} {last.key}"


def alerts(
    documents: Documents, state: str | None, cursor: str | None, limit: int = PAGE
) -> tuple[list[Alert], str | None]:
    """Return one page of alerts, of one state or all, and the cursor of the next."""
    found = (
        alert
        for _, body in documents.each("alert", after=cursor or "", descending=True)
        if (alert := _decode_alert(body)).state == (state or alert.state)
    )
    page = list(islice(found, limit + 1))
    return page[:limit], page[limit - 1].id if len(page) > limit else None


def cases(
    documents: Documents, cursor: str | None, limit: int = PAGE
) -> tuple[list[Case], str | None]:
    """Return one page of cases and the cursor of the next."""
    rows = documents.list("case", after=cursor or "", limit=limit + 1, descending=True)
    page = [_decode_case(body) for _, body in rows]
    return page[:limit], page[limit - 1].id if len(page) > limit else None


def _of_model(
    documents: Documents, model: str, wanted: Wanted, before: Place | None
) -> Iterator[tuple[Place, bytes]]:
    bounds = [each for each in (wanted.end, before and before.start) if each]
    after = f"{model}/{min(bounds)}{_LAST}" if bounds else ""
    for key, body in documents.each("drift", f"{model}/", after=after, descending=True):
        verdict = _decode_verdict(body)
        window = verdict.window
        if verdict.model.name != model:  # its name continues this one with a slash
            continue
        if wanted.start is not None and micros(window.end) <= micros(wanted.start):
            return
        if wanted.end is not None and micros(window.start) >= micros(wanted.end):
            continue
        if wanted.version is not None and verdict.model.version != wanted.version:
            continue
        place = Place(window.start, key)
        if before is None or place < before:
            yield place, body


def _parsed(cursor: str) -> Place:
    start, _, key = cursor.partition(" ")
    if not start or not key:
        raise Rejected("the cursor is not one of this list", field="cursor", remedy="Leave it out.")
    return Place(start, key)
