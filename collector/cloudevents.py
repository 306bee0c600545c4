"""CloudEvents 1.0 over HTTP: binary, structured and batched mode (CloudEvents HTTP binding 1.0.2).

Decides which mode a request is in and what the attributes and the data of an event are. Hides
headers, percent-encoding and JSON envelopes. What an event means is decided in `adapt`.

    binary       ce-* headers and Content-Type are the attributes, the body is the data
    structured   application/cloudevents+json: one object holds both
    batched      application/cloudevents-batch+json: an array of such objects
"""

import re
from base64 import b64decode
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote_to_bytes

import msgspec

from audit.errors import Rejected
from audit.events import micros
from collector.decode import Items, is_json, require_utf8
from collector.errors import Invalid, Malformed, UnsupportedMedia

Attribute = str | int | bool
_required = ("specversion", "id", "source", "type")
_escape = re.compile(rb"\\(.)", re.DOTALL)
_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_attribute = msgspec.json.Decoder(str | int | bool | None).decode

_REMEDY_MODE = (
    "Send ce-specversion and the other ce- headers, or Content-Type: application/cloudevents+json "
    "or application/cloudevents-batch+json."
)
_decode_str_or_none = msgspec.json.Decoder(str | None).decode
_decode_str = msgspec.json.Decoder(str).decode


class Mode(Enum):
    """Where a request carries its attributes."""

    BINARY = "binary"
    STRUCTURED = "structured"
    BATCHED = "batched"


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """Attributes that are set, and the bytes of the data; `at` tells a problem where they were.

    `at` is "ce-" for headers and "/" for members of a JSON envelope.
    """

    attributes: dict[str, Attribute]
    data: bytes | None
    at: str


def mode_of(content_type: str | None, *, has_attributes: bool) -> Mode:
    """The mode of a request; `has_attributes` when it has a ce-specversion header.

    Raises `UnsupportedMedia` for an event format other than JSON and for what is no CloudEvent.
    """
    media, _, parameters = (content_type or "").partition(";")
    media = media.strip().lower()
    # Batch first: the one prefix begins the other.
    for prefix, mode in (
        ("application/cloudevents-batch", Mode.BATCHED),
        ("application/cloudevents", Mode.STRUCTURED),
    ):
        if media.startswith(prefix):
            if media != prefix + "+json":
                raise UnsupportedMedia(
                    "the event format is not JSON", field="Content-Type", remedy=_REMEDY_MODE
                )
            require_utf8(parameters)
            return mode
    if not has_attributes:
        raise UnsupportedMedia(
            "the request is no CloudEvent", field="Content-Type", remedy=_REMEDY_MODE
        )
    return Mode.BINARY


def of_headers(headers: Iterable[tuple[bytes, bytes]], body: bytes) -> CloudEvent:
    """The event of a request in binary mode; header names are in lower case, as in ASGI.

    Raises `Malformed` for a value that is not UTF-8 after its one percent-decoding, and for an
    attribute that is given twice or required and missing.
    """
    attributes: dict[str, Attribute] = {}
    for name, value in headers:
        if name == b"content-type":
            attributes["datacontenttype"] = value.decode("latin-1")
        elif name.startswith(b"ce-"):
            key = name[3:].decode("latin-1")
            if key in attributes:
                raise Malformed(
                    "an attribute is given twice", field=f"ce-{key}", remedy="Send it once."
                )
            attributes[key] = _header_value(key, value)
    return _complete(CloudEvent(attributes, body or None, "ce-"))


def of_json(raw: bytes) -> CloudEvent:
    """The event of a JSON envelope: a body in structured mode or an item of a batch.

    Raises `Malformed` for what is no such object, `Invalid` for an attribute of a wrong kind.
    """
    try:
        members = _members(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        raise Malformed(
            "the envelope is not a JSON object", remedy="Send one CloudEvent as a JSON object."
        ) from None
    data = members.pop("data", None)
    encoded = members.pop("data_base64", None)
    attributes: dict[str, Attribute] = {}
    for key, value in members.items():
        try:
            attribute = _attribute(value)
        except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
            raise Invalid(
                "an attribute is neither text nor a whole number nor true or false",
                field=f"/{key[:64]}",
                remedy="Move structured values into the data.",
            ) from None
        if attribute is not None:  # null means that it is not set
            attributes[key] = attribute
    content = None if data is None else bytes(data)
    if content == b"null":
        content = None
    plain = _base64(encoded)
    if plain is not None:
        if content is not None:
            raise Invalid(
                "both data and data_base64 are set", field="/data_base64", remedy="Send one."
            )
        content = plain
    elif content is not None and not carries_json(attributes):
        content = _text(content)
    return _complete(CloudEvent(attributes, content, "/"))


def batch_of(items: Items) -> Items:
    """The same items, if they came as an array, which may be empty; else raises `Malformed`."""
    if not items.many:
        raise Malformed("the batch is no array", remedy="Send an array of CloudEvents.")
    return items


def _complete(cloud: CloudEvent) -> CloudEvent:
    for key in _required:
        value = cloud.attributes.get(key)
        if not isinstance(value, str) or not value:
            raise Malformed(
                "a required attribute is missing",
                field=f"{cloud.at}{key}",
                remedy="Send specversion, id, source and type, each as text.",
            )
    if cloud.attributes["specversion"] != "1.0":
        raise Invalid(
            "the version of CloudEvents is not 1.0",
            field=f"{cloud.at}specversion",
            remedy="Send CloudEvents 1.0.",
        )
    time = cloud.attributes.get("time")
    if time is not None:
        try:
            micros(str(time))
        except Rejected as error:
            raise Invalid(str(error), field=f"{cloud.at}time", remedy=error.remedy) from None
    return cloud


def _header_value(key: str, value: bytes) -> str:
    if len(value) > 1 and value.startswith(b'"') and value.endswith(b'"'):
        value = _escape.sub(rb"\1", value[1:-1])
    try:
        return unquote_to_bytes(value).decode()
    except UnicodeDecodeError:
        raise Malformed(
            "the value of an attribute is not UTF-8",
            field=f"ce-{key}",
            remedy="Percent-encode the UTF-8 bytes of the value, once.",
        ) from None


def carries_json(attributes: dict[str, Attribute]) -> bool:
    """Whether the data is JSON, as it is where nothing is said; `UnsupportedMedia` if not UTF-8."""
    media, _, parameters = str(attributes.get("datacontenttype", "application/json")).partition(";")
    if not is_json(media.strip().lower()):
        return False
    require_utf8(parameters)
    return True


def _base64(encoded: msgspec.Raw | None) -> bytes | None:
    try:
        text = None if encoded is None else _decode_str_or_none(encoded)
        return None if text is None else b64decode(text, validate=True)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise Malformed(
            "data_base64 is not base64", field="/data_base64", remedy="Send standard base64."
        ) from None


def _text(content: bytes) -> bytes:
    """The characters of data that is not JSON, which an envelope carries as a string."""
    try:
        return _decode_str(content).encode()
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise Invalid(
            "data that is not JSON must be text",
            field="/data",
            remedy="Send it as data_base64.",
        ) from None
