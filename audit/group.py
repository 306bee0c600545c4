"""A group of events on its way into the ledger: before which state, with which rows, to what end.

Hides nothing: these are the values that preparing hands to appending.
"""

from dataclasses import dataclass

import msgspec

from audit.edge import Edge, TileRow
from audit.events import Event
from audit.keys import SubjectRow
from audit.leaf import SeriesName
from audit.seal import SubjectKey


class Appended(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """Where an event stands.

    `duplicate`: it was there already, and `index` is the first one's. `conflict`: its id was
    there with other content; nothing but a ConflictRecorded was appended.
    """

    index: int
    leaf_hash: bytes
    tree_size: int
    duplicate: bool = False
    conflict: bool = False


@dataclass(frozen=True, slots=True)
class Tip:
    """The state of the ledger that a group follows."""

    edge: Edge
    root: bytes
    logged_us: int
    key_epoch: int
    next_handle: int
    next_series: int


@dataclass(slots=True)
class Prepared:
    """A group ready to be inserted after `base`; `tip` is the state that it leaves."""

    base: Tip
    tip: Tip
    fresh: list[Event]
    hashes: list[bytes]
    answers: list[Appended]
    known: dict[bytes, tuple[bytes | None, int]]
    keys_by_once: dict[bytes, SubjectKey]
    entries: list[tuple[int, bytes, int, int]]
    payloads: list[tuple[int, bytes, int, int, bytes]]
    once: list[tuple[bytes, bytes, int]]
    terms: list[tuple[int, int, bytes, int]]
    subjects: list[SubjectRow]
    series: list[tuple[int, *SeriesName]]
    tiles: list[TileRow]
    counts: list[tuple[int, int, int, int]]
