"""C2SP tlog-tiles: a log as static files (c2sp.org/tlog-tiles).

Decides which tiles a log of some size has, how they are named and where in them the
hash of a subtree lies. Hides the arithmetic of levels and partial tiles.

    tile/<L>/<N>[.p/<W>]          up to 256 hashes of 32 bytes, level L, number N
    tile/entries/<N>[.p/<W>]      up to 256 entries, each u16be length || bytes

N is written in groups of three digits, all but the last prefixed with x (1234067 is
x001/x234/067). Hash i of tile N at level L is the root of the leaves from (256 N + i) * 256**L,
256**L of them. W, from 1 to 255, is the width of a partial tile and absent on a full one.
A partial tile is never hashed into the level above.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from audit.errors import Rejected, Tampered
from audit.merkle import HASH_SIZE, Read, root_of

WIDTH = 256
HEIGHT = 8
MAX_LEVEL = 63
MAX_ENTRY_BYTES = 65_535

_MAX_INDEX = 10**18 - 1  # six groups of three digits: more than any 63-bit size needs
_PATH = re.compile(
    r"tile/(entries|0|[1-9][0-9]?)/((?:x[0-9]{3}/){0,5}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True, slots=True)
class Tile:
    """Name of a tile: `level` None means an entry bundle; `width` 256 means full."""

    level: int | None
    index: int
    width: int = WIDTH

    def __post_init__(self) -> None:
        if self.level is not None and not 0 <= self.level <= MAX_LEVEL:
            raise Rejected(f"the level of a tile is between 0 and {MAX_LEVEL}")
        if not 0 <= self.index <= _MAX_INDEX:
            raise Rejected(f"the number of a tile is between 0 and {_MAX_INDEX}")
        if not 1 <= self.width <= WIDTH:
            raise Rejected(f"the width of a tile is between 1 and {WIDTH}")

    @classmethod
    def parse(cls, path: str) -> Self:
        """Read a path as written by `path`, and in no other form; raises `Rejected`."""
        parts = _PATH.fullmatch(path)
        if parts is None:
            raise Rejected("not the path of a tile")
        level, number, width = parts.groups()
        index = int(number.replace("x", "").replace("/", ""))
        tile = cls(
            None if level == "entries" else int(level),
            index,
            WIDTH if width is None else int(width),
        )
        if tile.path != path:
            raise Rejected("not the one path of that tile: leading zeroes or a full width")
        return tile

    @property
    def path(self) -> str:
        """Path below the log's address, without a leading slash."""
        groups = [f"{self.index % 1000:03d}"]
        rest = self.index // 1000
        while rest:
            groups.append(f"x{rest % 1000:03d}")
            rest //= 1000
        kind = "entries" if self.level is None else self.level
        suffix = "" if self.width == WIDTH else f".p/{self.width}"
        return f"tile/{kind}/{'/'.join(reversed(groups))}{suffix}"


def width_at(level: int, index: int, size: int) -> int:
    """Width of tile `index` of `level` in a log of `size` entries: 0 (absent) to 256."""
    return max(0, min(WIDTH, (size >> HEIGHT * level) - index * WIDTH))


def partial_width(level: int, size: int) -> int:
    """Width of the partial tile at `level` in a log of `size` entries; 0 for none."""
    return (size >> HEIGHT * level) % WIDTH


def entries_tile(index: int, size: int) -> Tile:
    """The bundle with entry `index` in a log of `size` entries; `Rejected` if outside."""
    if not 0 <= index < size:
        raise Rejected(f"entry {index} is not in a log of {size} entries")
    number = index // WIDTH
    return Tile(None, number, width_at(0, number, size))


def tiles_of(size: int) -> Iterator[Tile]:
    """All hash tiles of a log of `size` entries: level by level, partial tiles last."""
    yield from _tiles_between(0, size, partial=True)


def completed(before: int, after: int) -> Iterator[Tile]:
    """The full hash tiles that a log gains by growing, lower levels first."""
    yield from _tiles_between(before, after, partial=False)


def tile_coordinates(level: int, index: int) -> tuple[int, int, int, int]:
    """Where the hash of complete subtree `index` of 2**level leaves is to be found.

    Returns (tile level, tile number, first hash, count of hashes): the subtree's hash
    is the root over that many consecutive hashes of that tile.
    """
    tile_level, height = divmod(level, HEIGHT)
    number, first = divmod(index << height, WIDTH)
    return tile_level, number, first, 1 << height


def subtree_reader(size: int, fetch: Callable[[Tile], bytes]) -> Read:
    """`read` for proofs in a log of `size` entries, over a function that loads tiles.

    The returned function raises `Tampered` when a tile is too short for its name, and
    `Rejected` for a subtree that reaches beyond `size`.
    """

    def read(level: int, index: int) -> bytes:
        if (index + 1) << level > size:
            raise Rejected(f"subtree {index} of level {level} is not in a log of {size} entries")
        tile_level, number, first, count = tile_coordinates(level, index)
        tile = Tile(tile_level, number, width_at(tile_level, number, size))
        hashes = decode_hashes(fetch(tile)[: tile.width * HASH_SIZE], tile)
        return root_of(hashes[first : first + count])

    return read


def decode_hashes(content: bytes, tile: Tile) -> list[bytes]:
    """The hashes of a tile; raises `Tampered` unless there are exactly `tile.width`."""
    if len(content) != tile.width * HASH_SIZE:
        raise Tampered(f"{tile.path} does not hold {tile.width} hashes")
    return [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]


def encode_bundle(entries: Sequence[bytes]) -> bytes:
    """An entry bundle; `Rejected` for more than 256 entries or one above 65,535 bytes."""
    if len(entries) > WIDTH:
        raise Rejected(f"a bundle holds at most {WIDTH} entries")
    if any(len(each) > MAX_ENTRY_BYTES for each in entries):
        raise Rejected(f"an entry is at most {MAX_ENTRY_BYTES} bytes long")
    return b"".join(len(each).to_bytes(2) + each for each in entries)


def _tiles_between(before: int, after: int, *, partial: bool) -> Iterator[Tile]:
    level = 0
    while after >> HEIGHT * level:
        full = after >> HEIGHT * (level + 1)
        for index in range(before >> HEIGHT * (level + 1), full):
            yield Tile(level, index)
        width = partial_width(level, after)
        if partial and width:
            yield Tile(level, full, width)
        level += 1
