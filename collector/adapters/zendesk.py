"""Zendesk's webhooks: event subscriptions, and triggers with a body of the customer's own.

Decides which of the two a body is and what it tells. An event names what changed in its type and
carries the value before and after; a trigger's body is text that a template made, often broken
JSON when a placeholder holds a quotation mark. What cannot be read is answered 200 once it is in
quarantine: enough failures and Zendesk stops sending.

    {"type": "zen:event-type:ticket.priority_changed", "id", "account_id", "time", "subject":
     "zen:ticket:19395", "zendesk_event_version", "detail": {…, "actor_id"}, "event": {"current",
     "previous"}}
    {"ticketID": "12345", "priority": "Normal", …}       a trigger: see `flat` for the options

Fields are called as in `detail`; a custom field is `custom_field_<id>`. Triggers need a time in
their body, such as {{ticket.updated_at_with_timestamp}}.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from collector.adapters import flat, times
from collector.adapters.changes import Change, Reader
from collector.adapters.texts import json_of, object_of, parts_of
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

_PREFIX = "zen:event-type:"
_CHANGED = "_changed"
_FIELDS = {
    "agent_assignment": "assignee_id",
    "brand": "brand_id",
    "form": "form_id",
    "group_assignment": "group_id",
    "organization": "organization_id",
    "requester": "requester_id",
    "submitter": "submitter_id",
}
"""What an event's type calls otherwise than `detail` does."""


class Happened(msgspec.Struct, frozen=True):
    """An event of a subscription."""

    type: str
    id: str
    subject: str
    time: str
    detail: dict[str, Any] = {}
    event: dict[str, Any] = {}
    account_id: int | str = 0


_decode = msgspec.json.Decoder(Happened).decode


def read(message: Message, declared: Declared) -> Adapted:
    """Read one body; see `Adapter`."""
    reader = Reader("zendesk", declared)
    return reader.read(parts_of(message.unpacked), lambda raw: _changes(raw, declared))


def _changes(raw: bytes, declared: Declared) -> Iterator[Change]:
    fields = object_of(raw)
    if str(fields.get("type", "")).startswith(_PREFIX):
        yield from _happened(json_of(raw, _decode))
    else:
        usual = {"object": "ticket", "key": "ticket_id", "time": "updated_at", "actor": "actor_id"}
        yield flat.change_of(fields, declared, system="zendesk", usual=usual)


def _happened(told: Happened) -> Iterator[Change]:
    _, _, place = told.subject.partition(":")
    kind, _, id = place.partition(":")
    what = told.type.removeprefix(_PREFIX).rpartition(".")[2]
    created = what == "created"
    new, old = dict(told.detail), {}
    changed: frozenset[str] = frozenset()
    if created:
        changed = frozenset(key for key, value in new.items() if value is not None)
    elif what.endswith(_CHANGED):
        name = _name(what.removesuffix(_CHANGED), told.event)
        if "current" in told.event:
            new[name] = _value(told.event["current"])
        if "previous" in told.event:
            old[name] = _value(told.event["previous"])
        changed = frozenset({name})
    actor = told.detail.get("actor_id")
    yield Change(
        system="zendesk",
        object=kind,
        id=id,
        time=times.of_text(told.time),
        new=new,
        old=old,
        changed=changed,
        accounts=(str(actor),) if isinstance(actor, str | int) and actor != "" else (),
        created=created,
        key=told.id,
        origin={"event": told.id, "tenant": told.account_id, "type": told.type},
    )


def _name(what: str, event: dict[str, Any]) -> str:
    if what != "custom_field":
        return _FIELDS.get(what, what)
    field = event.get("custom_field") or event.get("field")
    if isinstance(field, dict) and isinstance(field.get("id"), str | int):
        return f"custom_field_{field['id']}"
    raise Invalid(
        "a custom field changed, and the event does not say which",
        field="/event/custom_field/id",
        remedy="Send it by a trigger whose body names the field, with options of the declaration.",
    )


def _value(told: Any) -> Any:
    return told["value"] if isinstance(told, dict) and set(told) == {"value"} else told


ADAPTER = Adapter(
    name="zendesk",
    read=read,
    unreadable=200,
    options=flat.OPTIONS,
    verifiers=frozenset({"zendesk"}),
)
