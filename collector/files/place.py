"""Where files lie: a folder of this machine, or whatever else fsspec reads.

Decides what a file is to those who read it, and that whatever a file system raises is one error:
each has errors of its own, and none of them may be taken for a fault of the file. Paths may name
persons: they are in no message here.
"""

import io
from collections.abc import Callable, Mapping
from contextlib import suppress
from hashlib import sha256
from typing import BinaryIO, NamedTuple, Protocol, TypeVar, cast

from audit.errors import Busy

BUFFER = 1024 * 1024
"""Bytes that are asked for at a time, at least."""
T = TypeVar("T")


class Away(Busy):
    """A place, or one of its files, cannot be reached now."""

    def __init__(self, what: str, error: Exception) -> None:
        reason = type(error).__name__
        if isinstance(error, ImportError):
            reason = "install the package that reads such addresses, such as s3fs"
        super().__init__(f"{what}: {reason}", retry_after=30)


class Missing(Away):
    """There is no such file."""


class Found(NamedTuple):
    """A file as a listing tells it.

    `at` is how its file system calls it and `inside` the same below the place; both may be no
    Unicode, unlike `path`. `changed` differs when the file does; `changed_us` is 0 where unknown.
    `inode` stays when the file is renamed, "" where there is none.
    """

    at: str
    inside: str
    size: int
    changed: str
    changed_us: int
    inode: str = ""

    @property
    def path(self) -> str:
        """How it is told to people."""
        return told(self.at)

    @property
    def key(self) -> str:
        """A digest that names it and nobody else."""
        return sha256(self.at.encode("utf-8", "surrogateescape")).hexdigest()


class Listing(NamedTuple):
    """What lies in a place, by path; `closed` folders could not be looked into."""

    found: list[Found]
    closed: int = 0


class Place(Protocol):
    """A place with files. Belongs to one thread at a time."""

    def list(self) -> Listing:
        """Return all its files; raises `Away`."""

    def open(self, at: str) -> BinaryIO:
        """Open one of them; raises `Missing`, else `Away`, as do reads."""


def told(path: str) -> str:
    """A path as Unicode."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def place_of(location: str, options: Mapping[str, str | bool | int]) -> Place:
    """The place at an address, with the options of its file system; raises `Away`."""
    from collector.files.folder import Folder

    scheme, mark, path = location.partition("://")
    if not mark:
        return Folder(location)
    if scheme in {"file", "local"} and "::" not in location:
        return Folder(path)
    from collector.files.filesystem import FileSystem

    return FileSystem(location, options)


def opening(error: Exception) -> Away:
    """What it means that a file could not be opened."""
    kind = Missing if isinstance(error, FileNotFoundError) else Away
    return kind("a file cannot be opened", error)


def guarded(file: BinaryIO) -> BinaryIO:
    """A file whose own errors are `Away`, buffered."""
    return cast(BinaryIO, io.BufferedReader(_Guarded(file), BUFFER))


class _Guarded(io.RawIOBase):
    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, into: "bytearray | memoryview") -> int:  # type: ignore[override]  # no Buffer in 3.11
        found = self._try(lambda: self._file.read(len(into)))
        into[: len(found)] = found
        return len(found)

    def seek(self, place: int, whence: int = 0) -> int:
        return self._try(lambda: self._file.seek(place, whence))

    def tell(self) -> int:
        return self._try(self._file.tell)

    def close(self) -> None:
        if not self.closed:
            with suppress(Exception):  # all that was wanted of it is read
                self._file.close()
        super().close()

    def _try(self, act: Callable[[], T]) -> T:
        try:
            return act()
        except Exception as error:  # noqa: BLE001 - see above
            raise Away("a file cannot be read on", error) from None
