"""C2SP checkpoints: the signed statement of a log's size and root (c2sp.org/tlog-checkpoint).

Decides which texts are checkpoints. Stricter than the specification, so that one state
has one text: the root is 32 bytes and no extension lines exist.

    ORIGIN
    SIZE                  decimal, no leading zero
    base64(ROOT)

The name of the signing key is the origin.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from audit import note
from audit.errors import Rejected
from audit.merkle import HASH_SIZE

MAX_SIZE = 2**63 - 1
"""Largest size accepted: what a database's integer column holds."""

_TEXT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,18})\n([A-Za-z0-9+/]{43}=)\n")
_CONTROL = re.compile(r"[\x00-\x1f]")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root of one log at one moment; says nothing about who signed it."""

    origin: str
    size: int
    root: bytes

    def __post_init__(self) -> None:
        if not self.origin or _CONTROL.search(self.origin):
            raise Rejected("the origin of a checkpoint is one line, and not empty")
        if not 0 <= self.size <= MAX_SIZE:
            raise Rejected(f"the size of a checkpoint is between 0 and {MAX_SIZE}")
        if len(self.root) != HASH_SIZE:
            raise Rejected(f"the root of a checkpoint is {HASH_SIZE} bytes long")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Same as `checkpoint.parse`."""
        parts = _TEXT.fullmatch(text)
        if parts is None:
            raise Rejected("a checkpoint is an origin, a size and a root, on three lines")
        origin, size, root = parts.groups()
        return cls(origin, int(size), note.decode_base64(root))

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{b64encode(self.root).decode()}\n"


def parse(text: str) -> Checkpoint:
    """Read the text of a checkpoint, without its signatures; raises `Rejected`."""
    return Checkpoint.parse(text)


def unverified(message: bytes) -> Checkpoint:
    """Read a signed checkpoint without asking who signed it; raises `Rejected`."""
    try:
        return Checkpoint.parse(message.decode().partition("\n\n")[0] + "\n")
    except UnicodeDecodeError:
        raise Rejected("a checkpoint is UTF-8 text") from None


def format(checkpoint: Checkpoint) -> str:
    """The text that is signed: the one text for which `parse` gives this checkpoint."""
    return str(checkpoint)


def sign(checkpoint: Checkpoint, signers: Sequence[note.Signer]) -> bytes:
    """The signed checkpoint; `Rejected` unless every signer bears the log's name."""
    if any(each.name != checkpoint.origin for each in signers):
        raise Rejected("a checkpoint is signed by keys that bear its origin as their name")
    return note.sign(format(checkpoint), signers)


def open(message: bytes, verifier: note.Verifier) -> Checkpoint:
    """The checkpoint in a note signed by this key for the log of the same name.

    Raises `Rejected` for what is no checkpoint or one of another log, `Tampered` for a
    signature that does not match, `Unverifiable` when this key did not sign.
    """
    checkpoint = parse(note.open(message, [verifier]).text)
    if checkpoint.origin != verifier.name:
        raise Rejected(f"the checkpoint is not of the log {verifier.name!r}")
    return checkpoint
