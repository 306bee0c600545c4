"""The leaf: the bytes that the Merkle tree commits to.

Decides the format: compact ASCII JSON, keys sorted, integers and strings only, no personal data

    {"alg":"A256GCM.zstd","class":R,"ct":B64,"event_us":N,"id":UUIDv7,"integration":S,"kc":B64,
     "latency_us":N,"len":N,"log":S,"logged_us":N,"model":S,"schema":"v1","status":S,"type":S,
     "v":1,"version":S}

`ct` is SHA-256 of nonce‖ciphertext‖tag and `len` their length; `kc` commits to the data key;
`latency_us` is -1 where unknown. The same text without `ct` and `len` is the associated data of
the encryption. Stored verbatim and never re-serialised: `parse` refuses every other spelling.
"""

import re
from binascii import b2a_base64

import msgspec

from audit.errors import Tampered
from audit.events import Event

ALG = "A256GCM.zstd"
SCHEMA = "v1"
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


def associated_data(event: Event, log: str, id: str, kc: bytes, logged_us: int) -> str:
    """Return the leaf without `ct` and `len`: what the seal authenticates."""
    return (
        f'{{"alg":"{ALG}","class":"{event.retention}","event_us":{event.event_us},"id":"{id}",'
        f'"integration":"{event.integration}","kc":"{base64(kc)}","latency_us":{event.latency_us},'
        f'"log":"{log}","logged_us":{logged_us},"model":"{event.model}","schema":"{SCHEMA}",'
        f'"status":"{event.status}","type":"{event.type}","v":1,"version":"{event.version}"}}'
    )


def complete(associated: str, ct: bytes, length: int) -> bytes:
    """Return the leaf: `associated` with `ct` and `len` at their sorted places."""
    head, _, rest = associated.partition(',"event_us":')
    middle, _, tail = rest.partition(',"log":')
    return (f'{head},"ct":"{base64(ct)}","event_us":{middle},"len":{length},"log":{tail}').encode()


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
