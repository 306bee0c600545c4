"""Anchors: signed checkpoints kept where whoever writes the database cannot.

Decides names and durability: DIR/<size>.checkpoint, written beside and linked into place, so that
it is whole or absent and is never written over. A database that is rolled back, or a history that
is written anew, contradicts the anchors: `fsck --earlier` and `verify --earlier` say so.
"""

import os
from collections.abc import Callable
from pathlib import Path
from threading import Event

from audit import checkpoint
from audit.errors import AuditError, Busy, Tampered
from audit.rootkey import sync_directory
from audit.store import Store


def write(store: Store, directory: Path) -> Path:
    """Keep the checkpoint of all that is committed and return its file.

    Raises `RolledBack` as the ledger does, `Tampered` where an anchor of this size says otherwise.
    """
    signed = store.ledger.checkpoint()
    known = checkpoint.unverified(signed)
    directory.mkdir(parents=True, exist_ok=True)
    path = directory / f"{known.size}.checkpoint"
    draft = path.with_name(f".{path.name}.{store.random(8).hex()}")
    with draft.open("xb") as file:
        file.write(signed)
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(draft)
    except FileExistsError:
        # Others may have put their signatures under it: what it says is what counts.
        if not path.read_bytes().startswith(f"{known}\n".encode()):
            raise Tampered(f"{path} holds another checkpoint of the same size") from None
    finally:
        draft.unlink()
    sync_directory(directory)
    return path


def keep(
    store: Store,
    directory: Path,
    seconds: float,
    report: Callable[[str], object],
    stop: Event | None = None,
) -> None:
    """Write an anchor now and every `seconds` until interrupted, or until `stop` is set.

    A database or directory that is away is reported and tried again; a contradiction is raised.
    """
    stop = stop or Event()
    kept = None
    try:
        while True:
            try:
                path = write(store, directory)
            except (Busy, OSError) as error:
                what = error.strerror if isinstance(error, OSError) else str(error)
                report(f"not anchored: {what}")
            else:
                if path != kept:
                    report(str(path))
                kept = path
            if stop.wait(seconds):
                return
    except KeyboardInterrupt:
        return
    except AuditError as error:
        report(f"not anchored: {error}")
        raise
