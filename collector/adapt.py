"""From one wire item to one event: the adapters, pure functions both.

Decides which of our events an item is and whose fault a refusal is. Hides the envelope of a
CloudEvent: its id and time fill those that the data lacks, and all its attributes are kept,
sealed, as member `cloudevent` of the body. They are no part of the content that is compared on
redelivery, since brokers add to them on every hop.

    native        the JSON object of the event type that the address stands for
    CloudEvents   type modelwitness.<EventType>.v1, data as the native object
"""

import re
from collections.abc import Collection

import msgspec

from audit.errors import Rejected
from audit.events import Event, event_of_json
from collector.cloudevents import CloudEvent, carries_json
from collector.errors import Invalid, Malformed, Reserved

TYPES = frozenset(
    {
        "PredictionLogged",
        "OutcomeObserved",
        "OversightRecorded",
        "ExplanationAttached",
        "VersionReleased",
        "IntegrationDeclared",
        "CountsReported",
    }
)
"""The event types that a sender may put into the type of a CloudEvent."""

_type = re.compile(r"modelwitness\.([A-Za-z]+)\.v1")
_encode = msgspec.json.encode
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


def native(type: str, integration: str, item: bytes) -> Event:
    """The event of `type` that an item of a native address is.

    Raises `Malformed` where the item is not JSON, `Invalid` where the schema refuses it.
    """
    try:
        return event_of_json(type, integration, item)
    except Rejected as error:
        raise _classed(error, item, error.field) from None


def carried(cloud: CloudEvent, integration: str, permitted: Collection[str] = TYPES) -> Event:
    """Our event that a CloudEvent carries, owned by `integration`.

    Raises `Invalid` for an unknown type or a body that does not fit its schema, `Malformed`
    for data that is not JSON, `Reserved` for a type outside `permitted`.
    """
    type_, data, known = _event_type(cloud), _object(cloud), cloud.attributes
    if type_ not in permitted:
        raise Reserved(
            f"{type_} is not among the events that this token may send",
            field=f"{cloud.at}type",
            remedy="Use a token with role integration.",
        )
    fill: dict[str, object] = {key: known[key] for key in ("id", "time") if key in known}
    sequence = str(known.get("sequence", ""))
    # In ASCII digits, as many as fit the schema: other orderings stay in the envelope alone.
    if sequence.isascii() and sequence.isdigit() and len(sequence) <= 18:
        fill["sequence"] = int(sequence)
    try:
        # Where a key stands twice the last one counts: what the data says itself wins.
        plain = event_of_json(type_, integration, _spliced(fill, data))
        whole = event_of_json(type_, integration, _spliced({**fill, "cloudevent": known}, data))
    except Rejected as error:
        raise _located(error, cloud, data) from None
    if type_ == "IntegrationDeclared":
        _require_own(whole, cloud)
    content = plain.body if plain.content is None else plain.content
    return msgspec.structs.replace(whole, content=content)


def _require_own(event: Event, cloud: CloudEvent) -> None:
    """An integration declares itself and nobody else."""
    name = _decode_named(event.body).name
    if name is not None and name != event.integration:
        raise Invalid(
            "the declaration is of another integration than the token's",
            field="/data/name" if cloud.at == "/" else "/name",
            remedy="Leave name out, or declare with that integration's own token.",
        )


class _Named(msgspec.Struct):
    name: object = None


_decode_named = msgspec.json.Decoder(_Named).decode


def _event_type(cloud: CloudEvent) -> str:
    found = _type.fullmatch(str(cloud.attributes["type"]))
    if found is None or found[1] not in TYPES:
        known = ", ".join(f"modelwitness.{each}.v1" for each in sorted(TYPES))
        raise Invalid(
            "the type is unknown", field=f"{cloud.at}type", remedy=f"Send one of {known}."
        )
    return found[1]


def _object(cloud: CloudEvent) -> bytes:
    """The data, which must look like a JSON object."""
    if not carries_json(cloud.attributes):
        raise Invalid(
            "the data is not JSON",
            field="Content-Type" if cloud.at == "ce-" else "/datacontenttype",
            remedy="Send the data as application/json.",
        )
    data = (cloud.data or b"").strip(b" \t\r\n")
    where = "" if cloud.at == "ce-" else "/data"
    if not data.startswith(b"{"):
        raise Invalid("the data is no JSON object", field=where, remedy="Send the event as data.")
    if b'"cloudevent"' in data and "cloudevent" in _keys(data):
        raise Invalid(
            "the data has a member that is reserved for the envelope",
            field=f"{where}/cloudevent",
            remedy="Rename it.",
        )
    return data


def _spliced(first: dict[str, object], data: bytes) -> bytes:
    """The JSON object `data` with members put before its own."""
    if not first:
        return data
    rest = data[1:].lstrip(b" \t\r\n")
    return _encode(first)[:-1] + (rest if rest.startswith(b"}") else b"," + rest)


def _located(error: Rejected, cloud: CloudEvent, data: bytes) -> Rejected:
    """The same refusal, with a field that says whether envelope or data is wrong."""
    first = error.field.removeprefix("/").partition("/")[0]
    if first in {"id", "time"} and first in cloud.attributes and first not in _keys(data):
        field = cloud.at + first
    else:
        field = f"/data{error.field}" if cloud.at == "/" else error.field
    return _classed(error, data, field)


def _classed(error: Rejected, item: bytes, field: str) -> Rejected:
    """The same refusal as `Malformed` where the item is not JSON at all, else as `Invalid`."""
    try:
        msgspec.json.decode(item)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return Malformed(str(error), field=field, remedy=error.remedy)
    return Invalid(str(error), field=field, remedy=error.remedy)


def _keys(data: bytes) -> Collection[str]:
    try:
        return _members(data)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return ()
