"""The decision trace: can it be proved what happened, and who was told.

Decides the verdict on one entry, derived again from stored bytes at the moment of asking:

    hash       the leaf's bytes hash to what the tree holds of it, the payload's to the leaf
    inclusion  the proof leads from that leaf hash to the root of the checkpoint
    signature  the checkpoint is signed by the log's key
    retention  what must still be kept is still there

Each is ok, failed, or unchecked when the evidence for a verdict is missing; nothing is ok for
lack of evidence. Hides how evidence is fetched. Records no access: `audit.api` does, first.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol

import msgspec

from audit import checkpoint, merkle, note, tlogproof
from audit.errors import AuditError, PayloadGone, Rejected, RolledBack, Tampered, Unverifiable
from audit.events import rfc3339
from audit.reader import Leaf, Opened

DAY_US = 86_400_000_000
FLOORS_DAYS: Mapping[str, int] = {"standard": 184}
"""Shortest retention by class: logs of AI decisions for six months (AI Act, Art. 19 and 26)."""


class Reads(Protocol):
    """The part of the reader that a trace needs."""

    def leaf(self, index: int) -> Leaf: ...
    def open(self, indexes: Sequence[int]) -> list[Opened]: ...
    def prove(self, index: int) -> bytes: ...


class Check(msgspec.Struct, frozen=True):
    """One part of the verdict, and the sentence that says why."""

    state: Literal["ok", "failed", "unchecked"]
    detail: str


class Verdict(msgspec.Struct, frozen=True):
    """What an entry's evidence says at `checked_at`; `verifier` names the program and version."""

    hash: Check
    inclusion: Check
    signature: Check
    retention: Check
    checked_at: str
    verifier: str


class Evidence(msgspec.Struct, frozen=True):
    """A verdict with what it was derived from; parts that could not be read are empty or None."""

    verdict: Verdict
    leaf: Leaf | None
    opened: Opened | None
    proof: bytes = b""
    checkpoint: bytes = b""


def examine(reader: Reads, index: int, vkey: str, *, now_us: int, verifier: str) -> Evidence:
    """The verdict on an entry and its evidence.

    Raises `NotFound` beyond the log and `RolledBack` where reads can no longer be recorded;
    every other contradiction is part of the verdict.
    """
    leaf, found = _read(reader, index)
    opened = found if isinstance(found, Opened) else None
    proof, checkpoint_note, inclusion, signature = _prove(reader, index, leaf, vkey)
    verdict = Verdict(
        hash=_hashed(found, index),
        inclusion=inclusion,
        signature=signature,
        retention=_retained(leaf, found),
        checked_at=rfc3339(now_us),
        verifier=verifier,
    )
    return Evidence(verdict, leaf, opened, proof, checkpoint_note)


def _read(reader: Reads, index: int) -> tuple[Leaf | None, Opened | Tampered]:
    leaf = None
    try:
        leaf = reader.leaf(index)
        return leaf, reader.open([index])[0]
    except RolledBack:
        raise
    except Tampered as error:
        return leaf, error


def _hashed(found: Opened | Tampered, index: int) -> Check:
    if isinstance(found, Tampered):
        return Check("failed", f"{found.what} (entry {index})")
    if found.erased:
        # The reader calls a payload erased only where a logged erasure covers it.
        return Check("unchecked", "the payload was erased; the leaf was hashed again")
    return Check("ok", "the leaf was hashed again and the payload opens under it")


def _prove(
    reader: Reads, index: int, leaf: Leaf | None, vkey: str
) -> tuple[bytes, bytes, Check, Check]:
    try:
        proof = reader.prove(index)
        parsed = tlogproof.parse(proof)
    except RolledBack:
        raise
    except (Tampered, Rejected) as error:
        missing = Check("unchecked", "there is no checkpoint to check")
        return b"", b"", Check("failed", str(error)), missing
    signature = _signed(parsed.checkpoint, vkey)
    if leaf is None:
        unreadable = Check("failed", "the leaf cannot be read, so nothing leads to the root")
        return proof, parsed.checkpoint, unreadable, signature
    try:
        claimed = checkpoint.unverified(parsed.checkpoint)
        merkle.verify_inclusion(leaf.hash, index, claimed.size, parsed.hashes, claimed.root)
        told = f"{len(parsed.hashes)} hashes lead to the root over {claimed.size} entries"
        inclusion = Check("ok", told)
    except (Tampered, Rejected) as error:
        inclusion = Check("failed", str(error))
    return proof, parsed.checkpoint, inclusion, signature


def _signed(message: bytes, vkey: str) -> Check:
    try:
        verifier = note.Verifier.parse(vkey)
        signed = checkpoint.open(message, verifier)
    except Unverifiable as error:
        return Check("unchecked", str(error))
    except AuditError as error:
        return Check("failed", str(error))
    return Check("ok", f"{signed.origin} signed the checkpoint with key {verifier.key_id.hex()}")


def _retained(leaf: Leaf | None, found: Opened | Tampered) -> Check:
    if leaf is None:
        return Check("unchecked", "the leaf that names the retention class cannot be read")
    days = FLOORS_DAYS.get(leaf.retention)
    told = f"no floor is set for the retention class {leaf.retention}"
    if days is not None:
        until = rfc3339(leaf.logged_us + days * DAY_US)[:10]
        told = f"class {leaf.retention}: to be kept {days} days, until {until}"
    if isinstance(found, PayloadGone):
        return Check("failed", f"{told}; the payload is gone and no erasure accounts for it")
    if days is None:
        return Check("unchecked", told)
    if isinstance(found, Tampered):
        return Check("unchecked", f"{told}; the payload could not be opened")
    if found.erased:
        return Check("unchecked", f"{told}; the payload was erased")
    return Check("ok", f"{told}; the payload is there")
