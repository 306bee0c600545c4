"""How far a file was read: a work item for each file, replaced after every batch.

Decides what makes a file the same one: its path, and that its first bytes are those that were read
then. One that is shorter than what was read, or begins otherwise, is a new file at an old path.
A row that is read twice is one event: progress only saves time, and follows the append.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Protocol

import msgspec

from audit.work import New, WorkItem

KIND = "file"
HEAD = 4_096
"""Bytes at the beginning by which a file is known again."""


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """`size` and `changed` are those of the file when it was last looked at; `done`: all read.

    `head` is the SHA-256 of its first `head_bytes`; `problem` says why it cannot be read.
    """

    path: str
    size: int = 0
    changed: str = ""
    head: str = ""
    head_bytes: int = 0
    rows: int = 0
    position: int = 0
    refused: int = 0
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

    def of(self, path: str) -> Progress:
        """How far the file at `path` was read."""
        item = self._work.get(KIND, self._key(path))
        return Progress(path=path) if item is None else _decode(item.body)

    def save(self, progress: Progress) -> None:
        """Keep it, durably."""
        key = self._key(progress.path)
        body = msgspec.json.encode(progress)
        self._work.change([New(KIND, key, body)], [(KIND, key)])

    def _key(self, path: str) -> str:
        """Paths may name persons: a key is clear, a digest is not."""
        return f"{self._name} {sha256(path.encode()).hexdigest()}"


def head_of(start: bytes) -> str:
    """The digest by which a file is known again."""
    return sha256(start).hexdigest()
