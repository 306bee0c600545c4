"""Freshdesk's automation webhooks, simple and advanced. Not verified: no delivery was to be had.

Decides that both modes are a flat object (see `flat`): the simple one wraps chosen fields in
`freshdesk_webhook`, the advanced one is the customer's own text. Freshdesk repeats after 5, 30 and
60 minutes, so what cannot be read is answered 200 once it is in quarantine. A status comes as its
label or as its code, depending on the placeholder: declare both as terminal.

    {"freshdesk_webhook": {"ticket_id": 11, "ticket_priority": "High", …}}

Both modes need a member with the time and one with the agent, from placeholders; with
`old_suffix` the body may tell the value before.
"""

from collections.abc import Iterator

from collector.adapters import flat
from collector.adapters.changes import Change, Reader
from collector.adapters.texts import object_of, parts_of
from collector.adapters.wire import Adapted, Adapter, Message
from collector.integrations.declaration import Declared

_USUAL = {
    "object": "ticket",
    "key": "ticket_id",
    "time": "ticket_updated_at",
    "actor": "ticket_performed_by",
}


def read(message: Message, declared: Declared) -> Adapted:
    """Read one body; see `Adapter`."""
    reader = Reader("freshdesk", declared, verified=False)
    return reader.read(parts_of(message.unpacked), lambda raw: _changes(raw, declared))


def _changes(raw: bytes, declared: Declared) -> Iterator[Change]:
    fields = object_of(raw)
    wrapped = fields.get("freshdesk_webhook")
    yield flat.change_of(
        wrapped if isinstance(wrapped, dict) else fields,
        declared,
        system="freshdesk",
        usual=_USUAL,
        origin={"mode": "simple" if isinstance(wrapped, dict) else "advanced"},
    )


ADAPTER = Adapter(name="freshdesk", read=read, unreadable=200, options=flat.OPTIONS)
