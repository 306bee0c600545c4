"""C2SP signed notes with Ed25519 keys (c2sp.org/signed-note, RFC 8032).

Decides which keys are acceptable and whether a text was signed by a known one. Hides
key identifiers, encodings and the signature algorithm.

    TEXT, ending in a newline
    <empty line: the last one of the note>
    — NAME base64(KEYID[4] || SIGNATURE)

    KEYID = SHA-256(NAME || 0x0A || TYPE || PUBLIC)[:4]        TYPE = 0x01, Ed25519
    vkey  = NAME+hex(KEYID)+base64(TYPE || PUBLIC)
    skey  = PRIVATE+KEY+NAME+hex(KEYID)+base64(TYPE || SEED)
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)

from audit.errors import Rejected, Tampered, Unverifiable

MAX_NOTE_BYTES = 1_000_000
MAX_SIGNATURES = 100

_ED25519 = b"\x01"
_PRIVATE = "PRIVATE+KEY+"
_KEY_SIZE = 32
_DASH = "\N{EM DASH} "
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")

# RFC 8032: the field, and the curve -x^2 + y^2 = 1 + d x^2 y^2.
_P = 2**255 - 19
_D = -121665 * pow(121666, -1, _P) % _P
# One of the two y coordinates of the four points of order 8; the other is its negative.
_Y8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022
# y of the points of order 1, 2, 4 and 8. Under such a key one signature fits any text.
_LOW_ORDER_Y = frozenset({1, _P - 1, 0, _Y8, _P - _Y8})


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: who claims to have signed, with which key, and the bytes."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A text with at least one good signature; `unverified` are from unknown keys."""

    text: str
    verified: tuple[Signature, ...]
    unverified: tuple[Signature, ...]


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key pinned under a name. Only keys that can tell texts apart exist."""

    name: str
    public_key: bytes

    def __post_init__(self) -> None:
        _require_name(self.name)
        _require_point(self.public_key)

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """Read a vkey; raises `Rejected` when one character of it is not as it must be."""
        name, public_key = _parse_key(vkey)
        verifier = cls(name, public_key)
        # Only the canonical form has the right key id, so one comparison checks it all.
        if verifier.vkey != vkey:
            raise Rejected("the verifier key's id or encoding does not match its key")
        return verifier

    @property
    def key_id(self) -> bytes:
        """First four bytes of the hash that names this key beside its name."""
        return _key_id(self.name, self.public_key)

    @property
    def vkey(self) -> str:
        """The text to pin: name, key id and public key."""
        return _key_text(self.name, self.key_id, self.public_key)

    def verify(self, text: str, signature: bytes) -> None:
        """Return when this key signed the text, else raise `Tampered`."""
        key = Ed25519PublicKey.from_public_bytes(self.public_key)
        try:
            key.verify(signature, text.encode())
        except InvalidSignature:
            raise Tampered(f"the signature of {self.name!r} does not match the text") from None


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key under a name; the seed appears in no representation but `skey`."""

    name: str
    seed: bytes = field(repr=False)
    # Kept, since a log signs after every commit and a verifier is costly to check.
    _key: Ed25519PrivateKey = field(init=False, repr=False, compare=False)
    _verifier: Verifier = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _require_name(self.name)
        if len(self.seed) != _KEY_SIZE:
            raise Rejected(f"a signing key is {_KEY_SIZE} bytes long")
        key = Ed25519PrivateKey.from_private_bytes(self.seed)
        object.__setattr__(self, "_key", key)
        verifier = Verifier(self.name, key.public_key().public_bytes_raw())
        object.__setattr__(self, "_verifier", verifier)

    @classmethod
    def parse(cls, skey: str) -> Self:
        """Read an skey; raises `Rejected`, without repeating any of it."""
        if not skey.startswith(_PRIVATE):
            raise Rejected(f"a signing key must start with {_PRIVATE}")
        name, seed = _parse_key(skey.removeprefix(_PRIVATE))
        signer = cls(name, seed)
        if signer.skey != skey:
            raise Rejected("the signing key's id or encoding does not match its key")
        return signer

    @property
    def verifier(self) -> Verifier:
        """The public half."""
        return self._verifier

    @property
    def vkey(self) -> str:
        """The text that others pin."""
        return self.verifier.vkey

    @property
    def skey(self) -> str:
        """The secret in its portable form: keep it out of logs, databases and backups."""
        return _PRIVATE + _key_text(self.name, self.verifier.key_id, self.seed)

    def sign(self, text: str) -> Signature:
        """Signature of the text, whose final newline is part of it."""
        return Signature(self.name, self.verifier.key_id, self._key.sign(text.encode()))


def sign(text: str, signers: Sequence[Signer]) -> bytes:
    """The note of this text under every signer; `Rejected` if no note can hold the text."""
    if not text.endswith("\n"):
        raise Rejected("the text of a note must end in a newline")
    if not 0 < len(signers) <= MAX_SIGNATURES:
        raise Rejected(f"a note carries 1 to {MAX_SIGNATURES} signatures")
    _require_characters(text)
    lines = [_line(signer.sign(text)) for signer in signers]
    return (text + "\n" + "".join(lines)).encode()


def open(message: bytes, verifiers: Sequence[Verifier]) -> Note:
    """Parse a note and check every signature by a known key.

    Raises `Rejected` when it is no note, `Tampered` when a known key's signature does
    not match, `Unverifiable` when no known key signed it.
    """
    text, signatures = _parse(message)
    known = {(each.name, each.key_id): each for each in verifiers}
    verified: dict[tuple[str, bytes], Signature] = {}
    unverified: list[Signature] = []
    for each in signatures:
        verifier = known.get((each.name, each.key_id))
        if verifier is None:
            unverified.append(each)
        else:
            # Repeats are checked too: one bad line of a known key spoils the note.
            verifier.verify(text, each.signature)
            verified.setdefault((each.name, each.key_id), each)
    if not verified:
        raise Unverifiable("the note is signed by no known key")
    return Note(text, tuple(verified.values()), tuple(unverified))


def _parse(message: bytes) -> tuple[str, list[Signature]]:
    if len(message) > MAX_NOTE_BYTES:
        raise Rejected(f"a note is at most {MAX_NOTE_BYTES} bytes long")
    try:
        whole = message.decode()
    except UnicodeDecodeError:
        raise Rejected("a note must be UTF-8") from None
    _require_characters(whole)
    above, blank, below = whole.rpartition("\n\n")
    if not blank or not below.endswith("\n"):
        raise Rejected("a note is a text, an empty line and whole signature lines")
    lines = below[:-1].split("\n")
    if len(lines) > MAX_SIGNATURES:
        raise Rejected(f"a note carries at most {MAX_SIGNATURES} signatures")
    return above + "\n", [_parse_line(line) for line in lines]


def _parse_line(line: str) -> Signature:
    name, space, encoded = line.removeprefix(_DASH).partition(" ")
    if not line.startswith(_DASH) or not space:
        raise Rejected("a signature line is a dash, a key name and a signature")
    _require_name(name)
    raw = decode_base64(encoded)
    if len(raw) < 5:
        raise Rejected("a signature is a key id of 4 bytes and more")
    return Signature(name, raw[:4], raw[4:])


def _line(signature: Signature) -> str:
    raw = signature.key_id + signature.signature
    return f"{_DASH}{signature.name} {b64encode(raw).decode()}\n"


def decode_base64(encoded: str) -> bytes:
    """Bytes of standard base64 in its one canonical form; raises `Rejected`."""
    try:
        raw = b64decode(encoded, validate=True)
    except ValueError:
        raise Rejected("not standard base64") from None
    # The decoder ignores the unused bits before the padding.
    if b64encode(raw).decode() != encoded:
        raise Rejected("not the canonical form of base64")
    return raw


def _parse_key(key: str) -> tuple[str, bytes]:
    parts = key.split("+", 2)
    if len(parts) != 3:
        raise Rejected("a key is a name, a key id and base64, with + between them")
    raw = decode_base64(parts[2])
    if raw[:1] != _ED25519:
        raise Rejected("the key is not of type 0x01 (Ed25519), the only one supported")
    return parts[0], raw[1:]


def _key_id(name: str, public_key: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def _key_text(name: str, key_id: bytes, key: bytes) -> str:
    return f"{name}+{key_id.hex()}+{b64encode(_ED25519 + key).decode()}"


def _require_characters(text: str) -> None:
    if _CONTROL.search(text):
        raise Rejected("a note holds no control characters other than newlines")
    _require_encodable(text)


def _require_name(name: str) -> None:
    if not name or "+" in name or any(each.isspace() for each in name) or _CONTROL.search(name):
        raise Rejected("a key name is not empty and has no space, + or control character")
    _require_encodable(name)


def _require_encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Rejected("the text has characters that UTF-8 cannot carry") from None


def _require_point(key: bytes) -> None:
    """Refuse bytes that are no curve point in canonical form, or one of low order.

    The library accepts any 32 bytes and finds out, if at all, when it verifies.
    """
    if len(key) != _KEY_SIZE:
        raise Rejected(f"an Ed25519 public key is {_KEY_SIZE} bytes long")
    encoded = int.from_bytes(key, "little")
    y = encoded & (2**255 - 1)
    if y >= _P:
        raise Rejected("the Ed25519 public key is not in canonical form")
    if y in _LOW_ORDER_Y:
        raise Rejected("the Ed25519 public key has low order: it would accept forgeries")
    # x^2 = (y^2 - 1) / (d y^2 + 1) must be a square; the divisor is never zero.
    squared = (y * y - 1) * pow(_D * y * y + 1, -1, _P)
    if pow(squared, (_P - 1) // 2, _P) != 1:
        raise Rejected("the Ed25519 public key is not a point of the curve")
