"""NetSuite: what a SuiteScript of the customer posts, and rows of `systemnote` from SuiteQL.

Decides the body that the script sends, since NetSuite defines none, and how a note of its own
audit trail is read. Neither is verified against an account. The script is the customer's code, so
what cannot be read is answered 400, where its log shows it.

    afterSubmit   {"type": "salesorder", "id": "123", "event": "create" | "edit" | "xedit",
                   "time": "2026-01-31T09:30:00Z", "user": "1234", "context": "USERINTERFACE",
                   "old": {"custbody_score": "0.2"}, "new": {"custbody_score": "0.9"}}
    SuiteQL       {"items": [{"date", "field", "oldvalue", "newvalue", "name", "context",
                   "recordid", "recordtypeid", "id"?}], "hasMore", …}

A note's date is local to the account unless the query writes it otherwise: option `zone`. Fields
are compared in lower case, as script ids are.
"""

from collections.abc import Iterator
from typing import Any

import msgspec

from collector.adapters import changes, times
from collector.adapters.changes import Change, Reader
from collector.adapters.texts import json_of, parts_of
from collector.adapters.wire import Adapted, Adapter, Message
from collector.integrations.declaration import Declared


class Submitted(msgspec.Struct, frozen=True):
    """What the script posts for one record."""

    type: str
    id: str | int
    time: str | int
    new: dict[str, Any]
    event: str = "edit"
    old: dict[str, Any] | None = None
    user: str | int = ""
    context: str = ""


class Note(msgspec.Struct, frozen=True):
    """A row of `systemnote`."""

    date: str
    field: str
    recordid: str | int
    recordtypeid: str | int = ""
    oldvalue: Any = None
    newvalue: Any = None
    name: str | int | None = None
    context: str | None = None
    id: str | int | None = None


class Page(msgspec.Struct, frozen=True, rename="camel"):
    """A page of SuiteQL's answer."""

    items: list[msgspec.Raw]
    has_more: bool = False


_decode_submitted = msgspec.json.Decoder(Submitted).decode
_decode_note = msgspec.json.Decoder(Note).decode
_decode_page = msgspec.json.Decoder(Page).decode


def read_submitted(message: Message, declared: Declared) -> Adapted:
    """Read what a script posts, one record or an array of them; see `Adapter`."""
    reader = Reader("netsuite.script", declared, verified=False)
    return reader.read(parts_of(message.unpacked), lambda raw: _submitted(raw, declared))


def read_notes(message: Message, declared: Declared) -> Adapted:
    """Read a page of notes, an array of them or one; see `Adapter`."""
    rows = parts_of(message.unpacked)
    if len(rows) == 1 and b'"items"' in rows[0]:
        rows = [bytes(each) for each in json_of(rows[0], _decode_page).items]
    reader = Reader("netsuite.notes", declared, verified=False)
    return reader.read(rows, lambda raw: _noted(raw, declared))


def _submitted(raw: bytes, declared: Declared) -> Iterator[Change]:
    told = json_of(raw, _decode_submitted)
    if told.event.casefold() == "delete":
        return
    new, old = _lower(told.new), _lower(told.old or {})
    yield Change(
        system="netsuite",
        object=told.type,
        id=str(told.id),
        time=times.of_value(told.time, declared.options.get("zone", "")),
        new={**old, **new},
        old=old,
        changed=frozenset(name for name in new if name not in old or old[name] != new[name]),
        accounts=(str(told.user),) if str(told.user) else (),
        role=told.context,
        created=told.event.casefold() == "create",
        origin={"change": told.event},
    )


def _noted(raw: bytes, declared: Declared) -> Iterator[Change]:
    note = json_of(raw, _decode_note)
    field = note.field.lower()
    yield Change(
        system="netsuite",
        object=declared.options.get("object", "") or str(note.recordtypeid) or "record",
        id=str(note.recordid),
        time=times.of_text(note.date, declared.options.get("zone", "")),
        new={field: note.newvalue},
        old={field: note.oldvalue},
        changed=frozenset({field}),
        accounts=(str(note.name),) if note.name not in {None, ""} else (),
        role=note.context or "",
        alone=True,
        key="" if note.id is None else str(note.id),
        origin={"note": note.id},
    )


def _lower(fields: dict[str, Any]) -> dict[str, Any]:
    return {name.lower(): value for name, value in fields.items()}


ADAPTERS = (
    Adapter(name="netsuite.script", read=read_submitted, options=changes.OPTIONS),
    Adapter(
        name="netsuite.notes",
        read=read_notes,
        options={
            **changes.OPTIONS,
            "object": "The type of the records that the notes are about.",
            "account": "For `modelwitness pull`: https://ACCOUNT.suitetalk.api.netsuite.com",
            "token": "For `modelwitness pull`: an access token, as env:NAME or file:PATH.",
            "since": "For `modelwitness pull`: the first date, 2026-01-31 00:00:00.",
            "record_type": "For `modelwitness pull`: recordtypeid of the notes to read.",
        },
    ),
)
