"""Signing checkpoints, and never two that contradict each other.

Decides that a root is signed only after it is committed, and only if it is not behind the largest
checkpoint that any process of this store has signed: that one is kept in a file outside the
database, so that a database rolled back to a backup is noticed before anything is signed.
"""

import fcntl
import os
from pathlib import Path
from threading import Lock
from typing import Protocol

from audit import checkpoint, note
from audit.checkpoint import Checkpoint
from audit.errors import AuditError, Rewritten, RolledBack, Tampered

_LENGTH = 4096


class Tree(Protocol):
    """The stored tree that checkpoints speak of."""

    def committed(self) -> tuple[int, bytes]:
        """Return size and root as they are committed."""

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` leaves, from stored bytes."""


class Checkpoints:
    """The signed checkpoints of one log. Safe for use by several threads and processes."""

    def __init__(self, signer: note.Signer, path: Path, tree: Tree) -> None:
        """`path` is the file of the last signed checkpoint; it is made if it is missing."""
        self._signer = signer
        self._tree = tree
        self._lock = Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        self._last, self._note = self._read()

    @property
    def verifier(self) -> note.Verifier:
        """The parsed verifier key."""
        return self._signer.verifier

    @property
    def last(self) -> Checkpoint | None:
        """The largest checkpoint that this process knows to be signed."""
        return self._last

    def require_continued(self) -> None:
        """Raise `RolledBack` or `Rewritten` unless the stored tree continues what was signed."""
        if self._last is not None:
            self._require_continued(self._last, self._tree.committed()[0])

    def newest(self) -> bytes:
        """Return a signed checkpoint that covers all that is committed; raises `RolledBack`."""
        last = self._last
        size, root = self._tree.committed()
        if last is not None and size != last.size:
            self._require_continued(last, size)  # others appended: or wrote history anew
        return self.sign(size, root)

    def sign(self, size: int, root: bytes) -> bytes:
        """Return a signed checkpoint of at least the committed tree of `size`.

        That is a later one where another thread or process has signed it meanwhile. Raises
        `Tampered` where a checkpoint of the same size has another root.
        """
        with self._lock:
            if self._last is None or size > self._last.size:
                self._advance(Checkpoint(self._signer.name, size, root))
            elif size == self._last.size and root != self._last.root:
                raise Tampered(
                    f"a checkpoint of {size} entries was signed with another root:"
                    " the database was replaced"
                )
            return self._note

    def _advance(self, wanted: Checkpoint) -> None:
        fcntl.flock(self._file, fcntl.LOCK_EX)
        try:
            if os.pread(self._file, _LENGTH, 0).rstrip(b"\n") == self._note.rstrip(b"\n"):
                kept, kept_note = self._last, self._note
            else:  # another process signed meanwhile
                kept, kept_note = self._read()
            if kept is not None and kept.size >= wanted.size:
                if kept.size == wanted.size and kept.root != wanted.root:
                    raise Tampered(
                        f"another process signed {wanted.size} entries with another root"
                    )
                if kept.size > wanted.size:
                    # Whoever signed it had committed it: unless it was taken back since.
                    self._require_continued(kept, self._tree.committed()[0])
                self._last, self._note = kept, kept_note
                return
            signed = checkpoint.sign(wanted, [self._signer])
            os.pwrite(self._file, signed.ljust(_LENGTH, b"\n"), 0)
            self._last, self._note = wanted, signed
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _require_continued(self, signed: Checkpoint, size: int) -> None:
        if size < signed.size:
            raise RolledBack(size, signed.size)
        if self._tree.root_at(signed.size) != signed.root:
            raise Rewritten(signed.size)

    def close(self) -> None:
        """Let go of the file; harmless when done already."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self) -> tuple[Checkpoint | None, bytes]:
        content = os.pread(self._file, _LENGTH, 0).rstrip(b"\n")
        if not content:
            return None, b""
        content += b"\n"
        try:
            return checkpoint.open(content, self._signer.verifier), content
        except AuditError as error:
            raise Tampered("the file of the last signed checkpoint is damaged") from error
