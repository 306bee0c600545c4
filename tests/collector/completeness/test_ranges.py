"""Numbers become ranges and gaps, whatever the order in which they come."""

from itertools import pairwise
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from collector.completeness import ranges
from collector.completeness.ranges import Gap, Seen

numbers = st.sets(st.integers(0, 120), min_size=1, max_size=80)


def seen_of(*numbers_: int) -> Seen:
    found = Seen()
    for number in numbers_:
        found.add(number, 1_000 + number)
    return found


def expected_gaps(known: set[int]) -> list[Gap]:
    """The gaps by the plainest way: look at every number between the ends."""
    found: list[Gap] = []
    ordered = sorted(known)
    for one, other in pairwise(ordered):
        if other > one + 1:
            found.append(Gap(one + 1, other - 1, 1_000 + one, 1_000 + other))
    return found


@given(st.data(), numbers)
def test_any_order_of_arrival_gives_the_same_gaps(data: st.DataObject, known: set[int]) -> None:
    found = seen_of(*data.draw(st.permutations(sorted(known))))
    assert found.gaps() == expected_gaps(known)
    assert found.missing() == max(known) - min(known) + 1 - len(known)
    assert (found.count, found.repeated, found.lowest) == (len(known), 0, min(known))


@given(st.data(), numbers, st.lists(st.integers(0, 120), max_size=30))
def test_numbers_that_come_again_are_counted_and_change_no_gap(
    data: st.DataObject, known: set[int], more: list[int]
) -> None:
    again = [number for number in more if number in known]
    found = seen_of(*data.draw(st.permutations([*sorted(known), *again])))
    assert found.missing() == max(known) - min(known) + 1 - len(known)
    assert (found.count, found.repeated) == (len(known), len(again))


def test_a_gap_names_its_numbers_and_the_times_around_it() -> None:
    assert seen_of(101, 103).gaps() == [Gap(102, 102, 1_101, 1_103)]


def test_what_comes_late_closes_its_gap() -> None:
    found = seen_of(1, 2, 5)
    found.add(4, 0)
    assert [(gap.first, gap.last) for gap in found.gaps()] == [(3, 3)]
    found.add(3, 0)
    assert (found.gaps(), len(found.ranges)) == ([], 1)


def test_where_a_producer_begins_is_no_gap_unless_it_says_so() -> None:
    found = seen_of(50, 51)
    assert found.gaps() == []
    found.tell(48, 53)
    assert found.gaps() == [Gap(48, 49, None, 1_050), Gap(52, 53, 1_051, None)]


def test_a_producer_of_which_nothing_came_has_one_gap() -> None:
    found = Seen()
    found.tell(1, 9)
    assert (found.gaps(), found.missing()) == ([Gap(1, 9, None, None)], 9)


def test_the_largest_and_the_smallest_number_make_one_gap() -> None:
    found = seen_of(2**63 - 1, 0)
    assert found.missing() == 2**63 - 2
    assert len(found.ranges) == 2


@settings(max_examples=10, deadline=None)
@given(st.randoms(use_true_random=False))
def test_beyond_the_bound_few_ranges_are_kept_and_what_is_missing_is_still_counted(
    chance: Random,
) -> None:
    every_third = list(range(10, 10 + 9 * ranges.MOST, 3))
    chance.shuffle(every_third)
    found = seen_of(*every_third)
    assert len(found.ranges) <= ranges.MOST
    assert found.missing() == 2 * (len(every_third) - 1)
    for number in range(11, 10 + 9 * ranges.MOST - 2):
        if (number - 10) % 3:
            found.add(number, 0)
    assert (found.missing(), found.repeated) == (0, 0)
