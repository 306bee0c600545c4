"""Erasures: which entries may be without their payload or its key.

Decides the body of ErasureCompleted, {"ranges": [[first, last], …]} with both ends included, and
that it covers only entries before itself. Whatever else is gone was tampered with.
"""

from collections.abc import Iterable

import msgspec

Range = tuple[int, int]
COMPLETED = "ErasureCompleted"


class _Completed(msgspec.Struct):
    ranges: list[Range]


_decode_completed = msgspec.json.Decoder(_Completed).decode


def ranges(index: int, body: bytes) -> list[Range]:
    """Return the ranges, ends included, that the ErasureCompleted at `index` covers."""
    completed = _decode_completed(body)
    return [(first, min(last, index - 1)) for first, last in completed.ranges]


def first_uncovered(indexes: Iterable[int], covered: Iterable[Range]) -> int | None:
    """Return the first of `indexes` that is in no range, None where all are."""
    covering = list(covered)
    for index in sorted(indexes):
        if not any(first <= index <= last for first, last in covering):
            return index
    return None
