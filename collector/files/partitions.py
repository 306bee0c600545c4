"""Partitions that should be there: which of them are late.

Decides what late means: the time that a partition is about has ended, `within` has passed, and no
file lies at its path, wherever below the place that path begins. Pure but for the clock that the
caller reads.
"""

from bisect import bisect_left
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

from audit.events import EPOCH
from collector.files.declaration import Expected

MOST = 1_000
"""Partitions that are looked back at."""


def late(expected: Expected, paths: Collection[str], now_us: int, since_us: int) -> list[str]:
    """Return the partitions after `since_us` that should be there and are not, oldest first."""
    wanted = list(_due(expected, now_us, since_us))
    if not wanted:
        return []
    listed = sorted(paths)
    folders = _folders(paths, {each.count("/") + 1 for each in wanted})
    return [each for each in wanted if each not in folders and not _begins(each, listed)]


def _begins(start: str, listed: list[str]) -> bool:
    """Whether a path begins so: `2026-07-01` is there where `2026-07-01.csv` is."""
    at = bisect_left(listed, start)
    return at < len(listed) and listed[at].startswith(start)


def _folders(paths: Collection[str], lengths: Collection[int]) -> set[str]:
    """Every piece of a path to a file that is so many folders long."""
    found: set[str] = set()
    for folder in {path.rpartition("/")[0] for path in paths}:
        parts = folder.split("/")
        for length in lengths:
            found.update("/".join(parts[at : at + length]) for at in range(len(parts) - length + 1))
    return found


def _due(expected: Expected, now_us: int, since_us: int) -> Iterator[str]:
    every = expected.every_us
    last = (now_us - expected.within_us) // every  # this one has not ended, or has time left
    first = max(-(-since_us // every), last - MOST)
    for number in range(first, last):
        yield _moment(number * every).strftime(expected.path).strip("/")


def _moment(us: int) -> datetime:
    return (EPOCH + timedelta(microseconds=us)).astimezone(UTC)
