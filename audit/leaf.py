"""The leaf: the bytes that the Merkle tree commits to.

Decides the format: compact ASCII JSON, keys sorted, integers and strings only, no personal data

    {"alg":"A256GCM.zstd","class":R,"ct":B64,"event_us":N,"id":UUIDv7,"integration":S,"kc":B64,
     "latency_us":N,"len":N,"log":S,"logged_us":N,"model":S,"schema":"v1","status":S,"type":S,
     "v":1,"version":S}

`ct` is SHA-256 of nonce‖ciphertext‖tag and `len` their length; `kc` commits to the data key;
`latency_us` is -1 where unknown. The same text without `ct` and `len` is the associated data of
the encryption. `parse` refuses every other spelling, so a leaf is its fields and nothing else: a
store keeps a row's own fields packed (101 bytes of 440) beside those that it has anyway as series
and event time, and one template writes the text whenever it is wanted. What a store holds is
checked as the text is: whatever was changed, the text hashes to another leaf.

    packed = 1 ‖ id(16) ‖ kc(32) ‖ SHA-256(32) ‖ logged_us(8) ‖ latency_us(8) ‖ len(4)
"""

import re
import struct
from binascii import b2a_base64

import msgspec

from audit.errors import Tampered
from audit.events import Event

ALG = "A256GCM.zstd"
SCHEMA = "v1"
SeriesName = tuple[str, str, str, str, str, str]
"""Type, integration, model, version, status, retention class."""
LARGEST = 65_535
"""An entry bundle carries the length of a leaf in 16 bits (tlog-tiles)."""


class Leaf(msgspec.Struct, frozen=True, gc=False, rename={"retention": "class"}):
    """The clear fields of one entry, in the order in which they stand in the leaf."""

    alg: str
    retention: str
    ct: str
    event_us: int
    id: str
    integration: str
    kc: str
    latency_us: int
    len: int
    log: str
    logged_us: int
    model: str
    schema: str
    status: str
    type: str
    v: int
    version: str


_decode = msgspec.json.Decoder(Leaf).decode
_encode = msgspec.json.encode
_packed = struct.Struct(">B16s32s32sqqI")


def associated_data(
    name: SeriesName,
    event_us: int,
    latency_us: int,
    log: str,
    id: str,
    kc: bytes,
    logged_us: int,
) -> str:
    """Return the leaf without `ct` and `len`: what the seal authenticates."""
    type, integration, model, version, status, retention = name
    return (
        f'{{"alg":"{ALG}","class":"{retention}","event_us":{event_us},"id":"{id}",'
        f'"integration":"{integration}","kc":"{base64(kc)}","latency_us":{latency_us},'
        f'"log":"{log}","logged_us":{logged_us},"model":"{model}","schema":"{SCHEMA}",'
        f'"status":"{status}","type":"{type}","v":1,"version":"{version}"}}'
    )


def complete(associated: str, ct: bytes, length: int) -> bytes:
    """Return the leaf: `associated` with `ct` and `len` at their sorted places."""
    head, _, rest = associated.partition(',"event_us":')
    middle, _, tail = rest.partition(',"log":')
    return (f'{head},"ct":"{base64(ct)}","event_us":{middle},"len":{length},"log":{tail}').encode()


def series_name(event: Event) -> SeriesName:
    """Return the clear fields by which an event is searched and counted."""
    return (
        event.type,
        event.integration,
        event.model,
        event.version,
        event.status,
        event.retention,
    )


def pack(id: bytes, kc: bytes, ct: bytes, logged_us: int, latency_us: int, length: int) -> bytes:
    """Return what a leaf does not share with its series, its event time and its log."""
    return _packed.pack(1, id, kc, ct, logged_us, latency_us, length)


def unpack(packed: bytes, event_us: int, log: str, name: SeriesName) -> bytes:
    """Return the leaf of which `packed` is a part; raises `Tampered` where it cannot be one."""
    try:
        form, id, kc, ct, logged_us, latency_us, length = _packed.unpack(packed)
    except (struct.error, TypeError) as error:
        raise Tampered("an entry holds no packed leaf") from error
    if form != 1:
        raise Tampered("an entry holds a leaf that is packed in an unknown way")
    data = associated_data(name, event_us, latency_us, log, hyphenated(id), kc, logged_us)
    return complete(data, ct, length)


def hyphenated(id: bytes) -> str:
    """Return the text of a UUID (RFC 9562 §4)."""
    text = id.hex()
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def stripped(leaf: bytes) -> bytes:
    """Return the associated data of a stored leaf: the inverse of `complete`."""
    text = re.sub(rb'"ct":"[^"]*",', b"", leaf, count=1)
    return re.sub(rb'"len":\d+,', b"", text, count=1)


def parse(leaf: bytes) -> Leaf:
    """Return the fields of a stored leaf; raises `Tampered` unless it is exactly canonical."""
    try:
        fields = _decode(leaf)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Tampered("a leaf is not in the leaf format") from error
    if _encode(fields) != leaf or fields.v != 1 or fields.alg != ALG or b"\\" in leaf:
        raise Tampered("a leaf is not in its canonical spelling")
    return fields


def base64(raw: bytes) -> str:
    """Return standard base64 with padding, as checkpoints write it."""
    return b2a_base64(raw, newline=False).decode()
