"""Sealing one record, and opening it again.

Decides the encryption of a payload: a random 32-byte secret S per record; HKDF-SHA256 (RFC 5869)
with salt = record id and info "v1" gives a 32-byte data key and a 32-byte commitment `kc` that
stands in the leaf (GCM alone would let one ciphertext open under two keys); AES-256-GCM with a
random 96-bit nonce over the compressed body, associated data = the leaf without `ct` and `len`;
S is wrapped by the subject key with associated data log|id|handle|version.

    sealed  = nonce(12) ‖ ciphertext ‖ tag(16)
    wrapped = nonce(12) ‖ AES-256-GCM(subject key, S) ‖ tag(16)
"""

from hashlib import sha256
from hmac import compare_digest
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from audit import leaf
from audit.compression import Codec
from audit.errors import Tampered
from audit.events import Event

RANDOM_BYTES = 66
"""Random bytes that one record needs: S(32), nonce(12), nonce of the wrap(12), id(10)."""

_SHA256 = SHA256()


class SubjectKey(NamedTuple):
    """An unwrapped subject key: it wraps the secrets of records."""

    handle: int
    version: int
    secret: bytes

    @property
    def cipher(self) -> AESGCM:
        """Made when wanted: one takes 2.6 KB, and tens of thousands of keys are cached."""
        return AESGCM(self.secret)


class Sealed(NamedTuple):
    """One record: its leaf, and what the store keeps of it elsewhere."""

    leaf: bytes
    payload: bytes
    wrapped: bytes


class Fresh(NamedTuple):
    """A record that was just sealed; `packed` is its leaf as the store keeps it."""

    leaf: bytes
    packed: bytes
    payload: bytes
    wrapped: bytes


def seal(
    event: Event, body: bytes, log: str, logged_us: int, key: SubjectKey, random: bytes
) -> Fresh:
    """Return `event` sealed; `body` is its compressed body, `random` fresh RANDOM_BYTES."""
    secret, nonce, wrap_nonce = random[:32], random[32:44], random[44:56]
    raw_id = uuid7(logged_us, random[56:])
    id = leaf.hyphenated(raw_id)
    data_key, kc = _derive(secret, id)
    latency_us = event.latency_us
    associated = leaf.associated_data(
        leaf.series_name(event), event.event_us, latency_us, log, id, kc, logged_us
    )
    payload = nonce + AESGCM(data_key).encrypt(nonce, body, associated.encode())
    ct, length = sha256(payload).digest(), len(payload)
    return Fresh(
        leaf.complete(associated, ct, length),
        leaf.pack(raw_id, kc, ct, logged_us, latency_us, length),
        payload,
        wrap_nonce + key.cipher.encrypt(wrap_nonce, secret, _wrap_data(log, id, key)),
    )


def open_sealed(record: Sealed, key: SubjectKey, codec: Codec) -> bytes:
    """Return the body of a record.

    Raises `Tampered` where leaf, payload and key do not belong together.
    """
    fields = leaf.parse(record.leaf)
    check_payload(fields, record.payload)
    try:
        secret = key.cipher.decrypt(
            record.wrapped[:12], record.wrapped[12:], _wrap_data(fields.log, fields.id, key)
        )
    except (InvalidTag, ValueError) as error:
        raise Tampered("the secret of a record does not open under its subject key") from error
    data_key, kc = _derive(secret, fields.id)
    if not compare_digest(leaf.base64(kc), fields.kc):
        raise Tampered("the secret of a record is not the one that its leaf commits to")
    try:
        packed = AESGCM(data_key).decrypt(
            record.payload[:12], record.payload[12:], leaf.stripped(record.leaf)
        )
    except (InvalidTag, ValueError) as error:
        raise Tampered("a payload does not open under the key that its leaf commits to") from error
    return codec.decompress(packed)


def check_payload(fields: leaf.Leaf, payload: bytes) -> None:
    """Raise `Tampered` unless `payload` is the one that the leaf commits to."""
    if len(payload) != fields.len or leaf.base64(sha256(payload).digest()) != fields.ct:
        raise Tampered("a payload is not the one that its leaf commits to")


def rewrap(
    wrapped: bytes, fields: leaf.Leaf, old: SubjectKey, new: SubjectKey, nonce: bytes
) -> bytes:
    """Return a record's secret wrapped by `new` instead of `old`; raises `Tampered`."""
    try:
        secret = old.cipher.decrypt(
            wrapped[:12], wrapped[12:], _wrap_data(fields.log, fields.id, old)
        )
    except (InvalidTag, ValueError) as error:
        raise Tampered("the secret of a record does not open under its subject key") from error
    return nonce + new.cipher.encrypt(nonce, secret, _wrap_data(fields.log, fields.id, new))


def uuid7(us: int, random: bytes) -> bytes:
    """Return a UUID version 7 (RFC 9562 §5.7) for a time in µs and 10 random bytes."""
    bits = (us // 1000 << 80) | int.from_bytes(random)
    bits = bits & ~(0xF << 76) | 7 << 76
    bits = bits & ~(0x3 << 62) | 2 << 62
    return bits.to_bytes(16)


def _derive(secret: bytes, id: str) -> tuple[bytes, bytes]:
    both = HKDF(_SHA256, 64, id.encode(), b"v1").derive(secret)
    return both[:32], both[32:]


def _wrap_data(log: str, id: str, key: SubjectKey) -> bytes:
    return f"{log}|{id}|{key.handle}|{key.version}".encode()
