"""Refused messages of a stream are kept in parts, so that no batch is too large to be kept."""

from hypothesis import given
from hypothesis import strategies as st

from collector.adapt import TYPES
from collector.delivery import Delivery
from collector.streams.native import PARCEL_BYTES, parts


def refused(length: int) -> Delivery:
    return Delivery(address="predictions", integration="web", permitted=TYPES, body=bytes(length))


@given(st.lists(st.sampled_from([0, 1, PARCEL_BYTES // 3, PARCEL_BYTES, 2 * PARCEL_BYTES])))
def test_parts_hold_everything_in_order_and_are_bounded(lengths: list[int]) -> None:
    parcel = [refused(length) for length in lengths]
    found = list(parts(parcel))
    assert [each for part in found for each in part] == parcel
    for part in found:
        assert len(part) == 1 or sum(len(each.body) for each in part) <= PARCEL_BYTES
