"""Signing checkpoints, and never two that contradict each other.

Decides that a root is signed only after it is committed, and only if it is not behind the largest
checkpoint that any process of this store has signed: that one is kept in a file outside the
database, so that a database rolled back to a backup is noticed before anything is signed.

The file is one block that is written over in place: every process that signs holds it open and
locks it, which a file put in its place would take from them. A power cut leaves the old note or a
newer one: they lie in the block's first sector, which disks write whole, and what follows never
changes. Entries are durable before they are signed for, so what a power cut takes from this file is
only the knowledge of the last moment, and the next start signs for all that is committed; that
moment is at most a second while anything is signed or asked for. (To wait for the disk each time
was measured to take a quarter of the ledger's time, when few events come at a time.)
"""

import fcntl
import os
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Protocol

from audit import checkpoint, note
from audit.checkpoint import Checkpoint
from audit.errors import AuditError, Busy, Rewritten, RolledBack, Tampered
from audit.rootkey import sync_directory

_LENGTH = 4096
_MOST_BEHIND_SECONDS = 1.0
_to_disk: Callable[[int], None] = getattr(os, "fdatasync", os.fsync)


class Tree(Protocol):
    """The stored tree that checkpoints speak of."""

    def committed(self) -> tuple[int, bytes]:
        """Return size and root as they are committed."""

    def root_at(self, size: int) -> bytes:
        """Return the root of the first `size` leaves, from stored bytes."""


class Checkpoints:
    """The signed checkpoints of one log. Safe for use by several threads and processes."""

    def __init__(
        self,
        signer: note.Signer,
        path: Path,
        tree: Tree,
        to_disk: Callable[[int], None] = _to_disk,
        seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        """`path` is the file of the last signed checkpoint; it is made if it is missing.

        `to_disk` has what was written to a file descriptor survive a power cut; `seconds` only
        grow.
        """
        self._signer = signer
        self._tree = tree
        self._to_disk = to_disk
        self._seconds = seconds
        self._lock = Lock()
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        if os.fstat(self._file).st_size == 0:
            sync_directory(path.parent)
        self._on_disk_until = seconds()  # all that was written by then is on disk
        self._written = False
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
        if last == Checkpoint(self._signer.name, size, root) and not self._is_behind():
            return self._note  # without waiting for whoever signs
        if last is not None and size != last.size:
            self._require_continued(last, size)  # others appended: or wrote history anew
        return self.sign(size, root)

    def sign(self, size: int, root: bytes) -> bytes:
        """Return a signed checkpoint of at least the committed tree of `size`.

        That is a later one where another thread or process has signed it meanwhile. Raises
        `Tampered` where a checkpoint of the same size has another root, `Busy` where the file
        cannot be written or does not reach the disk.
        """
        with self._lock:
            if self._last is None or size > self._last.size:
                self._advance(Checkpoint(self._signer.name, size, root))
            elif size == self._last.size and root != self._last.root:
                raise Tampered(
                    f"a checkpoint of {size} entries was signed with another root:"
                    " the database was replaced"
                )
            if self._is_behind():
                self._flush()
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
                self._know(kept, kept_note)
                return
            signed = checkpoint.sign(wanted, [self._signer])
            try:
                os.pwrite(self._file, signed.ljust(_LENGTH, b"\n"), 0)
            except OSError as error:
                raise Busy("the last signed checkpoint cannot be written to its file") from error
            self._written = True
            self._know(wanted, signed)
        finally:
            fcntl.flock(self._file, fcntl.LOCK_UN)

    def _is_behind(self) -> bool:
        """Whether a power cut would take more than a moment from the file."""
        return self._written and self._seconds() - self._on_disk_until >= _MOST_BEHIND_SECONDS

    def _flush(self) -> None:
        now = self._seconds()
        try:
            self._to_disk(self._file)
        except OSError as error:
            raise Busy("the last signed checkpoint does not reach the disk") from error
        self._on_disk_until = now
        self._written = False

    def _know(self, last: Checkpoint, signed: bytes) -> None:
        self._note = signed  # first: whoever reads `_last` without the lock finds what covers it
        self._last = last

    def _require_continued(self, signed: Checkpoint, size: int) -> None:
        if size < signed.size:
            raise RolledBack(size, signed.size)
        if self._tree.root_at(signed.size) != signed.root:
            raise Rewritten(signed.size)

    def close(self) -> None:
        """Have the file on disk and let go of it; harmless when done already."""
        if self._file >= 0:
            if self._written:
                with suppress(OSError):  # an older note is as good for whoever starts next
                    self._to_disk(self._file)
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
