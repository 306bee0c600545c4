"""C2SP `.tlog-proof`: one file that proves an entry to be in a log (c2sp.org/tlog-proof).

Decides which bytes are a proof and when it holds for an entry. Hides nothing else: the
checkpoint inside stays verbatim, since its signatures cover its bytes.

    c2sp.org/tlog-proof@v1
    extra base64          optional, and never authenticated
    index N
    base64 of a hash      none or more, from the leaf's sibling upwards
    <empty line>
    the signed checkpoint
"""

import re
from base64 import b64encode
from dataclasses import dataclass

from audit import checkpoint, merkle, note
from audit.checkpoint import Checkpoint
from audit.errors import Rejected
from audit.merkle import HASH_SIZE

MAX_HASHES = 63
MAX_PROOF_BYTES = 2 * note.MAX_NOTE_BYTES

_HEADER = "c2sp.org/tlog-proof@v1"
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class TlogProof:
    """Place of an entry, the way from it to the root, and who vouches for the root."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < checkpoint.MAX_SIZE:
            raise Rejected(f"the index of a proof is between 0 and {checkpoint.MAX_SIZE - 1}")
        if len(self.hashes) > MAX_HASHES:
            raise Rejected(f"a proof has at most {MAX_HASHES} hashes")
        if any(len(each) != HASH_SIZE for each in self.hashes):
            raise Rejected(f"every hash of a proof must be {HASH_SIZE} bytes long")


def marshal(proof: TlogProof) -> bytes:
    """The bytes of the file."""
    lines = [_HEADER]
    if proof.extra is not None:
        lines.append("extra " + b64encode(proof.extra).decode())
    lines.append(f"index {proof.index}")
    lines.extend(b64encode(each).decode() for each in proof.hashes)
    return ("\n".join(lines) + "\n\n").encode() + proof.checkpoint


def parse(message: bytes) -> TlogProof:
    """Read the file, leaving the checkpoint unread; raises `Rejected`."""
    if len(message) > MAX_PROOF_BYTES:
        raise Rejected(f"a proof is at most {MAX_PROOF_BYTES} bytes long")
    above, blank, below = message.partition(b"\n\n")
    try:
        lines = above.decode("ascii").split("\n")
    except UnicodeDecodeError:
        raise Rejected("the lines of a proof above its checkpoint are ASCII") from None
    if not blank or lines.pop(0) != _HEADER:
        raise Rejected(f"a proof starts with {_HEADER} and has an empty line before its checkpoint")
    extra = None
    if lines and lines[0].startswith("extra "):
        extra = note.decode_base64(lines.pop(0).removeprefix("extra "))
    index = _INDEX.fullmatch(lines.pop(0)) if lines else None
    if index is None:
        raise Rejected("a proof names the index of its entry")
    hashes = tuple(note.decode_base64(line) for line in lines)
    return TlogProof(int(index[1]), hashes, below, extra)


def verify(proof: TlogProof, leaf_hash: bytes, verifier: note.Verifier) -> Checkpoint:
    """Return the checkpoint under which the proof puts this leaf at `proof.index`.

    Raises as `checkpoint.open` and `merkle.verify_inclusion` do. `proof.extra` is not
    covered by anything.
    """
    signed = checkpoint.open(proof.checkpoint, verifier)
    merkle.verify_inclusion(leaf_hash, proof.index, signed.size, proof.hashes, signed.root)
    return signed
