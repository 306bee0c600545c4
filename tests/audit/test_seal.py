"""A record opens as itself, under its own key, beside its own leaf, and no other way."""

import os
import re

import pytest

from audit import leaf
from audit.compression import Codec
from audit.errors import Tampered
from audit.leaf import hyphenated, series_name, unpack
from audit.seal import RANDOM_BYTES, Sealed, SubjectKey, open_sealed, rewrap, seal, uuid7
from tests.audit.stores import prediction

CODEC = Codec()
SECRET = b"s" * 32
KEY = SubjectKey(3, 1, SECRET)
LOG = "example/log"


def _sealed(number: int = 1, key: SubjectKey = KEY) -> Sealed:
    event = prediction(number)
    [packed] = CODEC.compress([event.body])
    fresh = seal(event, packed, LOG, 1_000_000, key, os.urandom(RANDOM_BYTES))
    assert unpack(fresh.packed, event.event_us, LOG, series_name(event)) == fresh.leaf
    return Sealed(fresh.leaf, fresh.payload, fresh.wrapped)


def test_a_record_opens_to_its_body() -> None:
    assert open_sealed(_sealed(), KEY, CODEC) == prediction(1).body


def test_two_seals_of_one_event_share_nothing() -> None:
    one, two = _sealed(), _sealed()
    assert one.leaf != two.leaf
    assert one.payload != two.payload
    assert one.wrapped != two.wrapped


@pytest.mark.parametrize("part", ["payload", "wrapped"])
def test_every_flipped_bit_is_found(part: str) -> None:
    record = _sealed()
    whole = getattr(record, part)
    for at in range(len(whole)):
        flipped = whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :]
        with pytest.raises(Tampered):
            open_sealed(record._replace(**{part: flipped}), KEY, CODEC)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (rb'"model":"credit"', b'"model":"debit"'),
        (rb'"event_us":\d+', b'"event_us":7'),
        (rb'"logged_us":\d+', b'"logged_us":7'),
        (rb'"status":"ok"', b'"status":"error"'),
        (rb'"integration":"web"', b'"integration":"bew"'),
        (rb'"log":"example/log"', b'"log":"example/gol"'),
        (rb'"latency_us":\d+', b'"latency_us":7'),
        (rb'"len":\d+', b'"len":7'),
        (rb'"class":"standard"', b'"class":"short"'),
    ],
)
def test_a_changed_leaf_does_not_fit_its_payload(field: bytes, value: bytes) -> None:
    record = _sealed()
    changed = re.sub(field, value, record.leaf)
    assert changed != record.leaf
    with pytest.raises(Tampered):
        open_sealed(record._replace(leaf=changed), KEY, CODEC)


def test_a_secret_is_bound_to_its_record_handle_and_key_version() -> None:
    one, two = _sealed(1), _sealed(2)
    with pytest.raises(Tampered, match="subject key"):
        open_sealed(one._replace(wrapped=two.wrapped), KEY, CODEC)
    for other in (KEY._replace(handle=4), KEY._replace(version=2)):
        with pytest.raises(Tampered, match="subject key"):
            open_sealed(one, other, CODEC)


def test_a_secret_that_the_leaf_does_not_commit_to_is_refused() -> None:
    """Whoever holds the subject key can wrap another secret; GCM alone would not notice."""
    record = _sealed()
    fields = leaf.parse(record.leaf)
    associated = f"{LOG}|{fields.id}|{KEY.handle}|{KEY.version}".encode()
    forged = b"n" * 12 + KEY.cipher.encrypt(b"n" * 12, b"x" * 32, associated)
    with pytest.raises(Tampered, match="commits"):
        open_sealed(record._replace(wrapped=forged), KEY, CODEC)


def test_a_rewrapped_secret_opens_under_the_new_key_alone() -> None:
    record, new = _sealed(), SubjectKey(3, 2, b"t" * 32)
    wrapped = rewrap(record.wrapped, leaf.parse(record.leaf), KEY, new, os.urandom(12))
    changed = record._replace(wrapped=wrapped)
    assert open_sealed(changed, new, CODEC) == prediction(1).body
    with pytest.raises(Tampered):
        open_sealed(changed, KEY, CODEC)
    with pytest.raises(Tampered):
        rewrap(record.wrapped, leaf.parse(record.leaf), new, KEY, os.urandom(12))


def test_identifiers_are_uuids_of_version_7_that_sort_by_time() -> None:
    import uuid

    texts = [hyphenated(uuid7(us, b"\xff" * 10)) for us in (0, 1_000_000, 1_700_000_000_000_000)]
    assert texts == sorted(texts)
    assert [uuid.UUID(text).version for text in texts] == [7, 7, 7]
    assert {uuid.UUID(text).variant for text in texts} == {uuid.RFC_4122}
    assert int(uuid.UUID(texts[1])) >> 80 == 1000
