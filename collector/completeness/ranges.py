"""The numbers of one producer that were seen, as ranges, and the gaps between them.

Decides that a gap lies between two numbers that were seen, or at an end that the producer told
(`told`): where a producer begins to count is otherwise unknown, and a number that is not there yet
is no gap. Numbers may come late, twice and in any order. At most `MOST` ranges are told apart;
beyond it the lowest are joined to a count of what is missing below `floor`, which later arrivals
still lower. Pure, and determined by the sequence of calls.
"""

from bisect import bisect_right
from itertools import pairwise
from typing import Final

import msgspec

MOST: Final = 1_000


class Range(msgspec.Struct, array_like=True, gc=False):
    """All numbers from `low` to `high` were seen; the times are those of these two events."""

    low: int
    high: int
    low_us: int
    high_us: int


class Gap(msgspec.Struct, frozen=True, gc=False):
    """The numbers from `first` to `last` are missing; the times are of the events around them,
    None at an end that only the producer told."""

    first: int
    last: int
    after_us: int | None
    before_us: int | None

    @property
    def count(self) -> int:
        return self.last - self.first + 1


class Seen(msgspec.Struct, array_like=True):
    """What was seen of one producer; times are event times in µs."""

    ranges: list[Range] = []
    count: int = 0
    repeated: int = 0
    """Events with a number that another event had."""
    lowest: int | None = None
    floor: int = 0
    missing_below: int = 0
    first_told: int | None = None
    last_told: int | None = None

    def add(self, number: int, at_us: int) -> None:
        """Take in one event."""
        if self.lowest is not None and number < self.floor:
            self._below(self.lowest, number)
            return
        ranges = self.ranges
        place = bisect_right(ranges, number, key=_low) - 1
        before = ranges[place] if place >= 0 else None
        if before is not None and number <= before.high:
            self.repeated += 1
            return
        self.count += 1
        after = ranges[place + 1] if place + 1 < len(ranges) else None
        joins_before = before is not None and before.high + 1 == number
        joins_after = after is not None and number + 1 == after.low
        if before is not None and joins_before:
            before.high, before.high_us = number, at_us
            if after is not None and joins_after:
                before.high, before.high_us = after.high, after.high_us
                del ranges[place + 1]
        elif after is not None and joins_after:
            after.low, after.low_us = number, at_us
        else:
            ranges.insert(place + 1, Range(number, number, at_us, at_us))
            self._bound()
        if self.lowest is None or number < self.lowest:
            self.lowest = number

    def tell(self, first: int, last: int) -> None:
        """Take in that the producer gave out the numbers from `first` to `last`."""
        self.first_told = first if self.first_told is None else min(first, self.first_told)
        self.last_told = last if self.last_told is None else max(last, self.last_told)

    def missing(self) -> int:
        """Return how many numbers are missing."""
        return self.missing_below + sum(gap.count for gap in self.gaps())

    def gaps(self) -> list[Gap]:
        """Return the gaps in order; those below `floor` are only counted, in `missing_below`."""
        if not self.ranges or self.lowest is None:
            if self.first_told is None or self.last_told is None:
                return []
            return [Gap(self.first_told, self.last_told, None, None)]
        found = []
        if self.first_told is not None and self.first_told < self.lowest:
            first_us = None if self.floor else self.ranges[0].low_us
            found.append(Gap(self.first_told, self.lowest - 1, None, first_us))
        for one, other in pairwise(self.ranges):
            found.append(Gap(one.high + 1, other.low - 1, one.high_us, other.low_us))
        newest = self.ranges[-1]
        if self.last_told is not None and self.last_told > newest.high:
            found.append(Gap(newest.high + 1, self.last_told, newest.high_us, None))
        return found

    def _below(self, lowest: int, number: int) -> None:
        if number < lowest:
            self.missing_below += lowest - number - 1
            self.lowest = number
            self.count += 1
        elif self.missing_below:
            self.missing_below -= 1
            self.count += 1
        else:
            self.repeated += 1

    def _bound(self) -> None:
        if len(self.ranges) > MOST:
            one, other = self.ranges[0], self.ranges[1]
            self.missing_below += other.low - one.high - 1
            self.floor = other.low
            del self.ranges[0]


def _low(each: Range) -> int:
    return each.low
