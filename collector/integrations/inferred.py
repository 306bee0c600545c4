"""Joins that only the log can make: an override of a record → the prediction that it overrode.

Decides which prediction an event means whose message had no stamp of it (`origin.joined` is
`inferred`, see `collector.adapters.changes`): the newest one under the same reference (`record`, or
the one that `origin.by` names), of the same integration, whose event time is not after the event's
own. Predictions of the same message
count too, before they are appended. Where there is none the event keeps the name of the record's
field, and stands under its reference alone. Hides the search.

The name of the prediction is no part of what is compared on redelivery, so a message that comes
again after another prediction was logged is still a duplicate.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from audit.errors import Rejected
from audit.events import Event, event_of
from audit.reader import Opened, Page
from audit.search import Query
from collector.adapters.changes import RECORD

_MARK = b'"joined":"inferred"'
_ABOUT = frozenset({"OversightRecorded", "OutcomeObserved"})
_body = msgspec.json.Decoder(dict[str, Any]).decode


class Finds(Protocol):
    """The part of the reader that joins need."""

    def search(self, query: Query) -> Page: ...
    def open(self, indexes: Sequence[int]) -> Sequence[Opened]: ...


class _Found(NamedTuple):
    event_us: int
    id: str
    model: str
    version: str


class Inferred:
    """Joins events to predictions of the log. It blocks; safe for use by several threads."""

    def __init__(self, reader: Finds) -> None:
        self._reader = reader

    def joined(self, events: Sequence[Event]) -> list[Event]:
        """Return the events, those that name only a record's field with the prediction's id."""
        return [self._joined(each, events) if is_inferred(each) else each for each in events]

    def _joined(self, event: Event, beside: Sequence[Event]) -> Event:
        name = str(_origin(event).get("by", RECORD))
        value = dict(event.references).get(name)
        if value is None:
            return event
        reference = (name, value)
        found = [
            _Found(each.event_us, each.id, each.model, each.version)
            for each in beside
            if each.type == "PredictionLogged"
            and each.event_us <= event.event_us
            and reference in each.references
        ]
        stored = self._stored(event, reference)
        if stored is not None:
            found.append(stored)
        return _naming(event, max(found)) if found else event

    def _stored(self, event: Event, reference: tuple[str, str]) -> _Found | None:
        query = Query(
            start_us=0,
            end_us=event.event_us + 1,
            integration=event.integration,
            type="PredictionLogged",
            reference=reference,
            limit=1,
        )
        leaves = self._reader.search(query).leaves
        if not leaves:
            return None
        [opened] = self._reader.open([leaves[0].index])
        if opened.erased:
            return None
        leaf = opened.leaf
        return _Found(leaf.event_us, str(_body(opened.body)["id"]), leaf.model, leaf.version)


def is_inferred(event: Event) -> bool:
    """Whether an event waits for such a join; cheap for those that do not."""
    return (
        event.type in _ABOUT and _MARK in event.body and _origin(event).get("joined") == "inferred"
    )


def _origin(event: Event) -> dict[str, Any]:
    origin = _body(event.body).get("origin")
    return origin if isinstance(origin, dict) else {}


def _naming(event: Event, found: _Found) -> Event:
    body = _body(event.body)
    body["prediction"] = {"id": found.id}
    if "model" not in body and "-" not in {found.model, found.version}:
        body["model"] = {"name": found.model, "version": found.version}
    try:
        made = event_of(event.type, event.integration, body)
    except Rejected:  # nothing was added that the prediction did not pass with
        return event
    return msgspec.structs.replace(made, content=event.content)
