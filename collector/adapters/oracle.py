"""Oracle Fusion business events, as an Integration Cloud flow forwards them: XML with old and new.

Not verified: the one sample to be had is a blog's, with its namespaces blanked. Decides that every
element with a child `newValue` is a field. The caller is the customer's own flow, so what cannot
be read is answered 400, where the flow's error handling shows it.

    <onEvent><ApInvHoldAppliedInfo>
      <InvoiceId><newValue value="1"/><oldValue/></InvoiceId> …
    </ApInvHoldAppliedInfo></onEvent>

Options name the fields with the record's key, the time and the account. Fusion writes local times
without a zone, mostly UTC; declare it.
"""

from collections.abc import Iterator
from xml.etree.ElementTree import Element

from collector.adapters import changes, times
from collector.adapters.changes import Change, Reader
from collector.adapters.texts import local, xml_of
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

_SUFFIX = "Info"


def read(message: Message, declared: Declared) -> Adapted:
    """Read one event; see `Adapter`. Raises `Malformed` for what is no XML."""
    root = xml_of(message.unpacked)
    reader = Reader("oracle.oic", declared, verified=False)
    return reader.read([message.unpacked], lambda _: _changes(root, declared))


def _changes(root: Element, declared: Declared) -> Iterator[Change]:
    holder = next((each for each in root.iter() if any(map(_is_field, each))), None)
    if holder is None:
        raise Invalid(
            "the XML holds no field with old and new value",
            field="/onEvent",
            remedy="Forward the business event of Fusion as it comes.",
        )
    fields = [each for each in holder if _is_field(each)]
    new = {local(each.tag): _side(each, "newValue") for each in fields}
    old = {local(each.tag): _side(each, "oldValue") for each in fields}
    options = declared.options
    key = options.get("key", "")
    if not new.get(key):
        raise Invalid(
            "the event does not hold the record's key",
            field=f"/{key}",
            remedy="Name the field that is the record's key with option `key`.",
        )
    stamp = new.get(options.get("time", "LastUpdateDate"))
    if not stamp:
        raise Invalid(
            "the event does not say when the record changed",
            field=f"/{options.get('time', 'LastUpdateDate')}",
            remedy="Name the field with the time of the change with option `time`.",
        )
    who = new.get(options.get("actor", "LastUpdatedBy"))
    kind = local(holder.tag)
    yield Change(
        system="oracle",
        object=options.get("object", "") or kind.removesuffix(_SUFFIX) or kind,
        id=new[key] or "",
        time=times.of_text(stamp, options.get("zone", "")),
        new=new,
        old=old,
        changed=frozenset(name for name in new if new[name] != old[name]),
        accounts=(who,) if who else (),
        created=not any(old.values()),
        origin={"event": kind},
    )


def _is_field(element: Element) -> bool:
    return any(local(each.tag) == "newValue" for each in element)


def _side(field: Element, side: str) -> str | None:
    element = next((each for each in field if local(each.tag) == side), None)
    return (element.get("value") or None) if element is not None else None


ADAPTER = Adapter(
    name="oracle.oic",
    read=read,
    options={
        **changes.OPTIONS,
        "object": "The type of the record; without it, the event's name.",
        "key": "The field with the record's key.",
        "time": "The field with the time of the change; without it, LastUpdateDate.",
        "actor": "The field with the account that made the change; without it, LastUpdatedBy.",
    },
)
