"""HubSpot's webhooks: an array of property changes, in the older and the generic form.

Decides what an event tells. It names one property, who or what changed it, and the new value; the
old one is never told, and a stamp that is written beside a score comes as an event of its own, so
joins are always inferred. HubSpot repeats a batch up to ten times after any answer but 2xx, with
another `attemptNumber`; what cannot be read is therefore answered 200 once it is in quarantine.

    [{"eventId", "subscriptionId", "portalId", "appId", "occurredAt": ms, "subscriptionType":
      "contact.propertyChange" | "object.propertyChange", "objectTypeId"?, "objectId",
      "propertyName", "propertyValue", "changeSource", "sourceId", "attemptNumber"}]

Values of sensitive properties come as REDACTED: those are refused, since nothing is told.
"""

from collections.abc import Iterator

import msgspec

from collector.adapters import changes, times
from collector.adapters.changes import Change, Reader
from collector.adapters.texts import json_of, parts_of
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared


class Notice(msgspec.Struct, frozen=True, rename="camel"):
    """One event of a batch."""

    occurred_at: int
    subscription_type: str
    object_id: int | str
    event_id: int | str = 0
    subscription_id: int | str = 0
    portal_id: int | str = 0
    app_id: int | str | None = None
    object_type_id: str | None = None
    property_name: str | None = None
    property_value: str | int | float | bool | None = None
    change_source: str | None = None
    source_id: str | None = None


_decode = msgspec.json.Decoder(Notice).decode


def read(message: Message, declared: Declared) -> Adapted:
    """Read a batch; see `Adapter`."""
    reader = Reader("hubspot", declared)
    return reader.read(parts_of(message.unpacked), lambda raw: _changes(raw, declared))


def _changes(raw: bytes, declared: Declared) -> Iterator[Change]:
    notice = json_of(raw, _decode)
    kind, _, what = notice.subscription_type.rpartition(".")
    if what != "propertyChange" or notice.property_name is None:
        return  # creations, deletions, merges and associations change no property
    name, value = notice.property_name, notice.property_value
    record = declared.record
    if value == "REDACTED" and record is not None:
        watched = {record.prediction, record.outcome.field if record.outcome else ""}
        if name in watched:
            raise Invalid(
                "HubSpot withholds the value of this property",
                field="/propertyValue",
                remedy="Do not mark the prediction's property as sensitive, or send it otherwise.",
            )
    who = [notice.source_id, (notice.source_id or "").rpartition(":")[2], notice.change_source]
    yield Change(
        system="hubspot",
        object=(notice.object_type_id or kind) if kind == "object" else kind,
        id=str(notice.object_id),
        time=times.of_number(notice.occurred_at),
        new={name: value},
        changed=frozenset({name}),
        accounts=tuple(dict.fromkeys(each for each in who if each)),
        role=notice.change_source or "",
        alone=True,
        key=f"{notice.portal_id}.{notice.subscription_id}.{notice.event_id}",
        origin={
            "event": notice.event_id,
            "subscription": notice.subscription_id,
            "portal": notice.portal_id,
        },
        wire={"appId": notice.app_id, "subscriptionType": notice.subscription_type},
    )


ADAPTER = Adapter(
    name="hubspot",
    read=read,
    unreadable=200,
    options=changes.OPTIONS,
    verifiers=frozenset({"hubspot-v1", "hubspot-v2", "hubspot-v3"}),
)
