"""Late partitions, where other processes see them: a work item for each declaration.

    files-late  NAME    since when partitions are expected, and which are late

Decides since when a partition counts: since the first look under the expectation that is declared
now, whatever process that was. The item is written when it changes and stays when nothing is late.
"""

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec

from audit.work import New, WorkItem
from collector.files import partitions
from collector.files.declaration import Expected, Files

KIND = "files-late"


class Late(msgspec.Struct, frozen=True, kw_only=True):
    """The partitions of one declaration that should be there and are not, oldest first.

    `changed_us` is when that was found, `since_us` the first time that anybody looked.
    """

    name: str
    integration: str
    expected: Expected
    since_us: int
    changed_us: int
    partitions: tuple[str, ...] = ()


_decode = msgspec.json.Decoder(Late).decode


class KeepsWork(Protocol):
    """The part of the work table that this needs."""

    def change(
        self, put: Sequence[New] = (), remove: Sequence[tuple[str, str]] = ()
    ) -> list[bool]: ...
    def get(self, kind: str, key: str) -> WorkItem | None: ...


class ListsWork(Protocol):
    """The part of the work table that a reader needs."""

    def list(self, kind: str, after: str = "", limit: int = 200) -> Sequence[WorkItem]: ...


def look(work: KeepsWork, files: Files, paths: Collection[str], now_us: int) -> Late | None:
    """Find what is late among files below the place, and keep it; None where nothing is expected.

    It blocks; raises `Busy`.
    """
    stored = work.get(KIND, files.name)
    if files.expected is None:
        if stored is not None:
            work.change(remove=[(KIND, files.name)])
        return None
    before = None if stored is None else _decode(stored.body)
    same = before is not None and before.expected == files.expected
    since_us = before.since_us if before is not None and same else now_us
    found = tuple(partitions.late(files.expected, paths, now_us, since_us))
    if before is not None and same and before.partitions == found:
        return before
    late = Late(
        name=files.name,
        integration=files.integration,
        expected=files.expected,
        since_us=since_us,
        changed_us=now_us,
        partitions=found,
    )
    work.change([New(KIND, files.name, msgspec.json.encode(late))], [(KIND, files.name)])
    return late


def listed(work: ListsWork, after: str = "", limit: int = 200) -> list[Late]:
    """Return what is known of declarations that expect partitions, by name; it blocks."""
    return [_decode(each.body) for each in work.list(KIND, after, limit)]
