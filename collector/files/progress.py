"""How far a file was read: a work item for each file, replaced after every batch.

Decides what makes a file the same one: its path (or its inode, where a log was renamed), and that
its first bytes are those that were read then. One that is shorter than what was read, or begins
otherwise, is a new file at an old path.
A row that is read twice is one event: progress only saves time, and follows the append.
"""

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Protocol

import msgspec

from audit.work import New, WorkItem
from collector.files.place import Found

KIND, INODE = "file", "file-inode"
HEAD = 4_096
"""Bytes at the beginning by which a file is known again."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """`size` and `changed` are those of the file when it was last looked at, the same since
    `since_us`. `ended`: it was read as far as it was whole then; `done`: to its end.

    `head` is the SHA-256 of its first `head_bytes`; `problem` says why it cannot be read.
    """

    path: str
    size: int = 0
    changed: str = ""
    since_us: int = 0
    head: str = ""
    head_bytes: int = 0
    rows: int = 0
    position: int = 0
    refused: int = 0
    ended: bool = False
    done: bool = False
    problem: str = ""


class KeepsWork(Protocol):
    """The part of the work table that progress needs."""

    def change(
        self, put: Sequence[New] = (), remove: Sequence[tuple[str, str]] = ()
    ) -> list[bool]: ...
    def get(self, kind: str, key: str) -> WorkItem | None: ...


_decode = msgspec.json.Decoder(Progress).decode


class Progresses:
    """Progress of the files of one declaration."""

    def __init__(self, work: KeepsWork, name: str) -> None:
        self._work = work
        self._name = name

    def of(self, file: Found) -> Progress:
        """How far a file was read."""
        item = self._work.get(KIND, self._key(file))
        return Progress(path=file.path) if item is None else _decode(item.body)

    def save(self, file: Found, progress: Progress) -> None:
        """Keep it, durably."""
        put = [New(KIND, self._key(file), msgspec.json.encode(progress))]
        if file.inode:
            put.append(New(INODE, self._at(file), file.key.encode()))
        self._work.change(put, [(each.kind, each.key) for each in put])

    def follow_renamed(self, files: Iterable[Found]) -> None:
        """Let files that lay elsewhere before be known where they lie now.

        It only says where to look: that it is the same file, its first bytes have to show.
        """
        for file in files:
            if not file.inode or self._work.get(KIND, self._key(file)) is not None:
                continue
            before = self._work.get(INODE, self._at(file))
            if before is not None:
                there = self._work.get(KIND, f"{self._name} {before.body.decode()}")
                if there is not None:
                    moved = msgspec.structs.replace(_decode(there.body), path=file.path)
                    self.save(file, moved)

    def _key(self, file: Found) -> str:
        """Paths may name persons: a key is clear, a digest tells nobody."""
        return f"{self._name} {file.key}"

    def _at(self, file: Found) -> str:
        return f"{self._name} {file.inode}"


def head_of(start: bytes) -> str:
    """The digest by which a file is known again."""
    return sha256(start).hexdigest()
