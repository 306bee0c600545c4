"""SAP S/4HANA through Event Mesh: structured CloudEvents.

Decides what an event tells. A standard event carries the record's key and nothing else: then it
says that something changed and not what, and is refused with the remedy, to be read back. Events
that the customer extended carry fields; they are the record's latest values (see `changes`, on
snapshots; `sent_on` for events that are raised on one change alone).

    {"type": "sap.s4.beh.businesspartner.v1.BusinessPartner.Changed.v1", "specversion": "1.0",
     "source": "/default/sap.s4.beh/244572008", "id", "time",
     "data": {"BusinessPartner": "1000667"}}

The topic stands in header `x-address`, as `topic:…`. Event Mesh repeats what is not answered 2xx.
Its handshake (OPTIONS) is answered at the entrance, for the `origins` of the declaration.
"""

from collections.abc import Iterator

from collector import cloudevents
from collector.adapters import changes, times
from collector.adapters.changes import Change, Reader, sent_on
from collector.adapters.texts import object_of, parts_of
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

_CREATED = frozenset({"Created", "Create"})


def read(message: Message, declared: Declared) -> Adapted:
    """Read one event; see `Adapter`."""
    topic = (message.header("x-address") or "").removeprefix("topic:")
    reader = Reader("sap", declared)
    return reader.read(parts_of(message.unpacked), lambda raw: _changes(raw, topic, declared))


def _changes(raw: bytes, topic: str, declared: Declared) -> Iterator[Change]:
    cloud = cloudevents.of_json(raw)
    fields = object_of(cloud.data or b"{}")
    kind = str(cloud.attributes["type"])
    object_, what = _named(kind)
    record = declared.record
    if record is not None:
        watched = {record.prediction, record.outcome.field if record.outcome else record.prediction}
        if watched.isdisjoint(fields):
            raise Invalid(
                "the event holds the record's key and none of its declared fields",
                field="/data",
                remedy="Add the fields to the event (a derived event of RAP), or read the record "
                "back and send it as such an event.",
            )
    key = declared.options.get("key", object_)
    id = fields.get(key)
    if not isinstance(id, str | int) or id == "":
        raise Invalid(
            "the event does not hold the record's key",
            field=f"/data/{key}",
            remedy="Name the member of the data that is the key with option `key`.",
        )
    stamp = cloud.attributes.get("time")
    if stamp is None:
        raise Invalid("the event has no time", field="/time", remedy="Send attribute time.")
    who = fields.get(declared.options.get("actor", "LastChangedByUser"))
    yield Change(
        system="sap",
        object=object_,
        id=str(id),
        time=times.of_text(str(stamp)),
        new=fields,
        changed=sent_on(declared, fields),
        accounts=(who,) if isinstance(who, str) and who else (),
        created=what in _CREATED,
        key=str(cloud.attributes["id"]),
        origin={
            "event": cloud.attributes["id"],
            "source": cloud.attributes["source"],
            "type": kind,
            "topic": topic[:512],
        },
    )


def _named(kind: str) -> tuple[str, str]:
    """Object and event of a type `….BusinessPartner.Changed.v1`, as far as it has them."""
    parts = kind.split(".")
    if len(parts) >= 3 and parts[-1].startswith("v") and parts[-1][1:].isdigit():
        return parts[-3], parts[-2]
    return kind, ""


ADAPTER = Adapter(
    name="sap",
    read=read,
    unreadable=200,
    options={
        **changes.OPTIONS,
        "sent_on": changes.SENT_ON,
        "key": "The member of the data that is the record's key; without it, the object's name.",
        "actor": "The member of the data that names the user; without it, LastChangedByUser.",
    },
)
