"""Export: the log as static files, by C2SP tlog-tiles.

Decides which files: `tile/…` of every level, `tile/entries/…`, partial ones included, and at last
`checkpoint`; no payload and no key. One checkpoint gives the same bytes whenever it is exported.
"""

import os
from pathlib import Path

from audit import checkpoint, tiles
from audit.rootkey import sync_directory
from audit.store import Store


def write(store: Store, directory: Path) -> None:
    """Write the log up to its newest checkpoint; `modelwitness verify` then needs nothing else.

    The checkpoint comes last, so a directory that an older export left stays verifiable.
    """
    signed = store.ledger.checkpoint()
    size = checkpoint.unverified(signed).size
    for wanted in tiles.tiles_of(size):
        _write(directory / wanted.path, store.reader.tile(wanted))
    for first in range(0, size, tiles.WIDTH):
        wanted = tiles.entries_tile(first, size)
        _write(directory / wanted.path, store.reader.tile(wanted))
    _write(directory / "checkpoint", signed)
    sync_directory(directory)


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}")
    with draft.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
