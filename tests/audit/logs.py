"""Small logs as files, as the writing side makes them, and ways to change them for a while."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from audit import checkpoint, merkle, tiles, verify
from audit.checkpoint import Checkpoint
from audit.note import Signer
from audit.tiles import Tile
from audit.verify import Folder, Report

SIGNER = Signer("log.example/one", bytes(range(32)))
OTHER = Signer("log.example/two", bytes(range(1, 33)))
STRANGER = Signer(SIGNER.name, bytes(range(2, 34)))


def entries_of(count: int) -> list[bytes]:
    return [b"entry %d " % each * (each % 5) for each in range(count)]


def head_of(entries: Sequence[bytes], signer: Signer = SIGNER) -> bytes:
    root = merkle.root_of(map(merkle.leaf_hash, entries))
    return checkpoint.sign(Checkpoint(signer.name, len(entries), root), [signer])


def put(folder: Path, path: str, content: bytes) -> None:
    place = folder / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)


def write_log(folder: Path, entries: Sequence[bytes], head: bytes | None = None) -> Path:
    """A log as the writing side makes it: the verifier shares no code with this."""
    row, level = [merkle.leaf_hash(each) for each in entries], 0
    while row:
        for at in range(0, len(row), tiles.WIDTH):
            width = min(tiles.WIDTH, len(row) - at)
            number = at // tiles.WIDTH
            put(folder, Tile(level, number, width).path, b"".join(row[at : at + width]))
            if level == 0:
                bundle = tiles.encode_bundle(entries[at : at + width])
                put(folder, Tile(None, number, width).path, bundle)
        full = len(row) // tiles.WIDTH * tiles.WIDTH
        row = [merkle.root_of(row[at : at + tiles.WIDTH]) for at in range(0, full, tiles.WIDTH)]
        level += 1
    put(folder, "checkpoint", head or head_of(entries))
    return folder


def check(
    folder: Path, earlier: Sequence[bytes | None] = (), vkeys: Sequence[str] = (SIGNER.vkey,)
) -> Report:
    named = [(f"number {at}", each) for at, each in enumerate(earlier)]
    return verify.verify(Folder(folder), vkeys, named)


def files_of(folder: Path) -> list[Path]:
    return sorted(each for each in folder.rglob("*") if each.is_file())


@contextmanager
def changed(place: Path, change: Callable[[bytes], bytes]) -> Iterator[None]:
    """The file with other content for a while."""
    content = place.read_bytes()
    place.write_bytes(change(content))
    try:
        yield
    finally:
        place.write_bytes(content)


@contextmanager
def absent(place: Path) -> Iterator[None]:
    content = place.read_bytes()
    place.unlink()
    try:
        yield
    finally:
        place.write_bytes(content)


def flip(at: int, bit: int = 1) -> Callable[[bytes], bytes]:
    return lambda content: content[:at] + bytes([content[at] ^ bit]) + content[at + 1 :]
