"""A folder of this machine, whoever may write into it.

Decides that no link inside is followed and nothing but a plain file is opened: whoever may put a
link there could otherwise have any file of this machine logged. What vanishes while it is listed
is not there. Hides descriptors: every step of a path is taken from the folder before it.
"""

import os
import stat
from pathlib import PurePosixPath
from typing import BinaryIO

from collector.files.place import Away, Found, Listing, guarded, opening

DEEPEST = 64
"""Folders inside each other that are looked into, the first of them included."""


class Folder:
    """See `collector.files.place.Place`."""

    def __init__(self, root: str) -> None:
        self._root = os.path.abspath(root)  # noqa: PTH100 - a link that leads here is the operator's

    def list(self) -> Listing:
        """Return all its files; raises `Away` where the folder itself is not there."""
        found: list[Found] = []
        closed: list[OSError] = []
        try:
            root = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise Away("the folder cannot be read", error) from None
        try:
            for folder, below, names, descriptor in os.fwalk(
                ".", onerror=closed.append, dir_fd=root
            ):
                inside = folder.removeprefix(".").removeprefix("/")
                if inside.count("/") >= DEEPEST - 2:
                    below.clear()
                for name in names:
                    _add(found, self._root, f"{inside}/{name}" if inside else name, descriptor)
        except OSError as error:
            raise Away("the folder cannot be read", error) from None
        finally:
            os.close(root)
        gone = sum(isinstance(each, FileNotFoundError) for each in closed)
        return Listing(sorted(found), len(closed) - gone)

    def open(self, at: str) -> BinaryIO:
        """Open a plain file below the folder; raises `Missing` and `Away` for anything else."""
        inside = at.removeprefix(self._root).lstrip("/")
        try:
            return guarded(_opened(self._root, PurePosixPath(inside).parts))
        except OSError as error:
            raise opening(error) from None


def _add(found: list[Found], root: str, inside: str, folder: int) -> None:
    try:
        told = os.stat(inside.rpartition("/")[2], dir_fd=folder, follow_symlinks=False)
    except OSError:
        return
    if stat.S_ISREG(told.st_mode):
        micros = told.st_mtime_ns // 1_000
        inode = str(told.st_ino)
        changed = f"{told.st_mtime_ns}-{inode}"
        found.append(Found(f"{root}/{inside}", inside, told.st_size, changed, micros, inode))


def _opened(root: str, parts: tuple[str, ...]) -> BinaryIO:
    if not parts or ".." in parts:
        raise FileNotFoundError
    step = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts[:-1]:
            below = os.open(part, step | os.O_DIRECTORY, dir_fd=folder)
            os.close(folder)
            folder = below
        file = os.open(parts[-1], step | os.O_NONBLOCK, dir_fd=folder)  # a pipe would be waited for
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise FileNotFoundError
    return open(file, "rb", buffering=0)  # noqa: PTH123 - a descriptor, closed by its reader
