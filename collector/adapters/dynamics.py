"""Dynamics 365 and Dataverse: the RemoteExecutionContext that a registered webhook step posts.

Decides what of the context counts: the message, the target's attributes, and the images that the
step was registered with; a PreImage gives the old values, a PostImage the stamps that did not
change. Hides the serializer's nesting (lists of key and value, OptionSet, Money and references as
objects with `__type`).

    {"MessageName", "PrimaryEntityName", "PrimaryEntityId", "InitiatingUserId", "OperationId",
     "CorrelationId", "OperationCreatedOn": "/Date(ms-0700)/", "InputParameters": [{"key": "Target",
     "value": {"Attributes": [{"key", "value"}]}}], "PreEntityImages": [{"key", "value"}],
     "PostEntityImages": [{"key", "value"}]}

Beyond 256 KB Dataverse removes parameters and images and says so in a header; that is refused, to
be read back. It tries a second time after 502, 503 and 504 alone, and a synchronous step that is
answered an error cancels the user's own change; so what cannot be read is answered 200.

The time is the record's `modifiedon` (`createdon`) where told. `OperationCreatedOn` is second best:
a server outside UTC was seen to write it hours away from the record's own time.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from collector.adapters import changes, times
from collector.adapters.changes import Change, Reader
from collector.adapters.texts import json_of, parts_of
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Adapter, Message
from collector.errors import Invalid
from collector.integrations.declaration import Declared

OVERSIZE = "x-ms-dynamics-msg-size-exceeded"
_DEEPEST = 8
_NOBODY = "00000000-0000-0000-0000-000000000000"


class Pair(msgspec.Struct, frozen=True):
    """The serializer's entry of a dictionary."""

    key: str
    value: Any = None


class Context(msgspec.Struct, frozen=True, rename="pascal"):
    """The part of a RemoteExecutionContext that is read."""

    message_name: str
    primary_entity_name: str
    primary_entity_id: str
    initiating_user_id: str = ""
    user_id: str = ""
    operation_id: str = ""
    correlation_id: str = ""
    organization_id: str = ""
    operation_created_on: str = ""
    input_parameters: list[Pair] = []
    pre_entity_images: list[Pair] = []
    post_entity_images: list[Pair] = []


_decode = msgspec.json.Decoder(Context).decode


def read(message: Message, declared: Declared) -> Adapted:
    """Read one context; see `Adapter`."""
    cut = message.header(OVERSIZE) is not None
    reader = Reader("dynamics", declared)
    return reader.read(parts_of(message.unpacked), lambda raw: _changes(raw, cut))


def _changes(raw: bytes, cut: bool) -> Iterator[Change]:
    context = json_of(raw, _decode)
    if context.message_name not in {"Create", "Update"}:
        return
    target = _attributes(each.value for each in context.input_parameters if each.key == "Target")
    after = _attributes(each.value for each in context.post_entity_images)
    if cut or not target:
        raise Invalid(
            "Dataverse removed the record from the message, which was beyond 256 KB"
            if cut
            else "the message holds no target",
            field="/InputParameters",
            remedy="Read the record back and send its fields; register the step with filtering "
            "attributes and images of few columns.",
        )
    before = _attributes(each.value for each in context.pre_entity_images)
    new = {**before, **after, **target}
    created = context.message_name == "Create"
    operation = context.operation_id
    person = context.initiating_user_id or context.user_id
    yield Change(
        system="dataverse",
        object=context.primary_entity_name,
        id=context.primary_entity_id,
        time=_time(new, context, created),
        new=new,
        old=before,
        # A form sends fields that it did not alter, too.
        changed=frozenset(
            key for key, value in target.items() if key not in before or before[key] != value
        ),
        accounts=tuple(dict.fromkeys(each for each in (person, person.lower()) if each)),
        created=created,
        key=operation if operation not in {"", _NOBODY} else context.correlation_id,
        origin={
            "operation": operation,
            "correlation": context.correlation_id,
            "organization": context.organization_id,
            "change": context.message_name,
        },
        wire={"UserId": context.user_id},
    )


def _time(new: Mapping[str, Any], context: Context, created: bool) -> Moment:
    for text in (new.get("createdon") if created else None, new.get("modifiedon")):
        if isinstance(text, str) and text:
            return times.of_text(text)
    return times.of_text(context.operation_created_on)


def _attributes(entities: Any) -> dict[str, Any]:
    """The attributes of entities, plain; what is none has none."""
    found: dict[str, Any] = {}
    for entity in entities:
        listed = entity.get("Attributes") if isinstance(entity, dict) else None
        for each in listed if isinstance(listed, list) else []:
            if isinstance(each, dict) and isinstance(each.get("key"), str):
                found[each["key"]] = _plain(each.get("value"))
    return found


def _plain(value: Any, depth: int = 0) -> Any:
    """A value without the serializer's wrapping: an option's number, a reference's id."""
    if depth > _DEEPEST:
        return None
    if isinstance(value, list):
        return [_plain(each, depth + 1) for each in value]
    if isinstance(value, dict) and "__type" in value:
        for inner in ("Value", "Id"):
            if inner in value:
                return _plain(value[inner], depth + 1)
    if isinstance(value, dict) and set(value) == {"Value"}:
        return _plain(value["Value"], depth + 1)
    return value


ADAPTER = Adapter(
    name="dynamics",
    read=read,
    unreadable=200,
    options=changes.OPTIONS,
)
