"""Partitions that should be there: which of them are late.

Decides what late means: the time that a partition is about has ended, `within` has passed, and no
file lies at its path. Pure but for the clock that the caller reads.
"""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

from audit.events import EPOCH
from collector.files.declaration import Expected

MOST = 1_000
"""Partitions that are looked back at."""


def late(expected: Expected, paths: Collection[str], now_us: int, since_us: int) -> list[str]:
    """Return the partitions after `since_us` that should be there and are not, oldest first."""
    return [
        wanted
        for wanted in _due(expected, now_us, since_us)
        if not any(f"/{wanted}/" in f"/{path}" or path.startswith(wanted) for path in paths)
    ]


def _due(expected: Expected, now_us: int, since_us: int) -> Iterator[str]:
    every = expected.every_us
    last = (now_us - expected.within_us) // every  # this one has not ended, or has time left
    first = max(-(-since_us // every), last - MOST)
    for number in range(first, last):
        yield _moment(number * every).strftime(expected.path).strip("/")


def _moment(us: int) -> datetime:
    return (EPOCH + timedelta(microseconds=us)).astimezone(UTC)
