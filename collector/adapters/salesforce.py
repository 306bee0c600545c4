"""Salesforce's Change Data Capture and platform events, as JSON.

Decides how an event of the streams becomes changes of records, wherever it comes from: the CometD
message, alone or in an array, or the EventBridge envelope of an event relay.

    {"data": {"schema", "payload": {…fields, "ChangeEventHeader"?}, "event": {"replayId",
     "EventUuid"?}}, "channel"}                                       CometD
    {"detail-type", "source": "aws.partner/salesforce.com/…", "detail": {"payload", …}}  EventBridge

Old values are not told. `changedFields` is absent in older captures, empty for other changes than
updates, and where a gateway forwarded the stream undecoded it holds bitmaps (`0x02`, `3-0x1F`);
then what changed is what the payload holds. A gap event holds no values: it is refused, and the
records it names must be read back. Platform events have no record of their own: option `record_id`
names the field that has it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from collector.adapters import changes, times
from collector.adapters.changes import Change, Reader
from collector.adapters.texts import json_of, parts_of
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

_HEADER = "ChangeEventHeader"
_STANDARD = frozenset({"CreatedDate", "CreatedById", _HEADER})
_bitmap = re.compile(r"(?:\d+-)?0x[0-9A-Fa-f]+")
_client = re.compile(r"client=([^;]{1,128})")


class Position(msgspec.Struct, frozen=True):
    """Where an event stands in its stream."""

    replay_id: int | str | None = msgspec.field(default=None, name="replayId")
    uuid: str | None = msgspec.field(default=None, name="EventUuid")


class Told(msgspec.Struct, frozen=True):
    """What both envelopes carry."""

    payload: dict[str, Any]
    event: Position = Position()
    id: str | None = None


class Envelope(msgspec.Struct, frozen=True):
    """CometD has `data`, EventBridge `detail`, and a bare event its payload."""

    data: Told | None = None
    detail: Told | None = None
    payload: dict[str, Any] | None = None
    event: Position = Position()
    channel: str = ""
    kind: str = msgspec.field(default="", name="detail-type")


class Header(msgspec.Struct, frozen=True):
    """The ChangeEventHeader."""

    entity: str = msgspec.field(name="entityName")
    type: str = msgspec.field(name="changeType")
    committed_ms: int = msgspec.field(name="commitTimestamp")
    records: list[str] = msgspec.field(name="recordIds", default_factory=list)
    user: str | None = msgspec.field(default=None, name="commitUser")
    origin: str | None = msgspec.field(default=None, name="changeOrigin")
    transaction: str | None = msgspec.field(default=None, name="transactionKey")
    sequence: int | None = msgspec.field(default=None, name="sequenceNumber")
    number: int | str | None = msgspec.field(default=None, name="commitNumber")
    changed: list[str] | None = msgspec.field(default=None, name="changedFields")
    nulled: list[str] | None = msgspec.field(default=None, name="nulledFields")


class _WithHeader(msgspec.Struct, frozen=True):
    header: Header = msgspec.field(name=_HEADER)


_decode = msgspec.json.Decoder(Envelope).decode
_decode_header = msgspec.json.Decoder(_WithHeader).decode
_encode = msgspec.json.encode


def read(message: Message, declared: Declared) -> Adapted:
    """Read one event or an array of them; see `Adapter`."""
    reader = Reader("salesforce.events", declared)
    return reader.read(parts_of(message.unpacked), lambda raw: _changes(raw, declared))


def _changes(raw: bytes, declared: Declared) -> Iterator[Change]:
    envelope = json_of(raw, _decode)
    told = envelope.data or envelope.detail
    if told is None and envelope.payload is not None:
        told = Told(envelope.payload, envelope.event)
    if told is None:
        raise Invalid(
            "the message holds no event of Salesforce",
            field="/data/payload",
            remedy="Send the CometD message or the EventBridge event whole.",
        )
    if _HEADER in told.payload:
        yield from _captured(told)
    else:
        yield _published(envelope, told, declared)


def _captured(told: Told) -> Iterator[Change]:
    header = json_of(_encode({_HEADER: told.payload[_HEADER]}), _decode_header).header
    if header.type.startswith("GAP_"):
        raise Invalid(
            "a gap: Salesforce says that records changed and not how",
            field=f"/data/payload/{_HEADER}/changeType",
            remedy="Read the named records back and send their fields; check what exceeded the "
            "limits of change events at this time.",
        )
    fields = _flat({key: value for key, value in told.payload.items() if key != _HEADER})
    named = [name for name in header.changed or [] if not _bitmap.fullmatch(name)]
    nulled = [name for name in header.nulled or [] if not _bitmap.fullmatch(name)]
    if named or nulled:
        changed = frozenset(named) | frozenset(nulled)
    elif header.changed is None:
        changed = frozenset(fields)
    else:  # a full record, where unset fields are null
        changed = frozenset(key for key, value in fields.items() if value is not None)
    if header.type in {"DELETE", "UNDELETE"}:
        changed = frozenset()
    new = {**fields, **dict.fromkeys(nulled)}
    key = header.transaction or str(header.number or told.event.replay_id or "")
    if key and header.sequence is not None:
        key = f"{key}/{header.sequence}"
    for record in header.records:
        yield Change(
            system="salesforce",
            object=header.entity,
            id=record,
            time=times.of_number(header.committed_ms),
            new=new,
            changed=changed,
            accounts=accounts(header.user, header.origin),
            created=header.type == "CREATE",
            key=key,
            origin={"transaction": header.transaction, "change": header.type},
            wire={"changeOrigin": header.origin, "commitNumber": header.number},
        )


def _published(envelope: Envelope, told: Told, declared: Declared) -> Change:
    """The change that a customer's own platform event tells."""
    payload = told.payload
    created = payload.get("CreatedDate")
    if created is None:
        raise Invalid(
            "the platform event has no time",
            field="/data/payload/CreatedDate",
            remedy="Send the event as Salesforce delivers it, with CreatedDate.",
        )
    named = declared.options.get("record_id", "")
    uuid = told.event.uuid or told.id or ""
    number = "" if told.event.replay_id is None else str(told.event.replay_id)
    record = payload.get(named) if named else uuid or number
    by = payload.get("CreatedById")
    return Change(
        system="salesforce",
        object=envelope.channel.rpartition("/")[2] or envelope.kind or "event",
        id=record if isinstance(record, str) else "",
        time=times.of_value(created),
        new=payload,
        changed=frozenset(payload) - _STANDARD,
        accounts=accounts(by if isinstance(by, str) else None, None),
        key=uuid or number,
        origin={"event": uuid or None, "replay": number or None},
    )


def accounts(user: str | None, origin: str | None) -> tuple[str, ...]:
    """All names of whoever changed a record: ids are written with 15 or 18 characters."""
    found = [user, user[:15]] if user else []
    client = _client.search(origin or "")
    if client:
        found.append(f"client={client[1]}")
    return tuple(dict.fromkeys(found))


def _flat(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Fields, with the parts of compound ones (`Name.FirstName`) beside them."""
    parts = {
        f"{name}.{part}": value
        for name, compound in fields.items()
        if isinstance(compound, dict)
        for part, value in compound.items()
    }
    return {**fields, **parts}


ADAPTER = Adapter(
    name="salesforce.events",
    read=read,
    options={
        **changes.OPTIONS,
        "record_id": "The field of a platform event that holds the id of the record.",
    },
)
