"""The leaf has one spelling, and everything but `ct` and `len` is authenticated by the seal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from audit import leaf
from audit.errors import Tampered
from audit.events import Event
from tests.audit.stores import prediction

names = st.from_regex(r"[A-Za-z0-9._:/@-]{1,128}", fullmatch=True)
ID = bytes(range(16))


def written(event: Event, log: str, length: int) -> bytes:
    associated = leaf.associated_data(
        leaf.series_name(event),
        event.event_us,
        event.latency_us,
        log,
        leaf.hyphenated(ID),
        b"k" * 32,
        5,
    )
    whole = leaf.complete(associated, b"c" * 32, length)
    assert leaf.stripped(whole) == associated.encode()
    return whole


LEAF = written(prediction(1), "example/log", 77)
PACKED = leaf.pack(ID, b"k" * 32, b"c" * 32, 5, 2000, 77)


def test_a_leaf_is_compact_json_with_sorted_keys() -> None:
    fields = json.loads(LEAF)
    assert list(fields) == sorted(fields)
    assert json.dumps(fields, separators=(",", ":")).encode() == LEAF
    assert LEAF.isascii()
    assert (fields["v"], fields["len"], fields["latency_us"]) == (1, 77, 2000)


@given(names, names, names, st.integers(0, 2**53), st.integers(-1, 2**53), st.integers(0, 2**31))
def test_what_is_written_is_what_is_read(
    model: str, integration: str, log: str, event_us: int, latency_us: int, length: int
) -> None:
    event = replace(
        prediction(1),
        model=model,
        integration=integration,
        event_us=event_us,
        latency_us=latency_us,
    )
    raw = written(event, log, length)
    fields = leaf.parse(raw)
    assert (fields.model, fields.integration, fields.log) == (model, integration, log)
    assert (fields.event_us, fields.latency_us, fields.len) == (event_us, latency_us, length)
    packed = leaf.pack(ID, b"k" * 32, b"c" * 32, 5, latency_us, length)
    assert leaf.unpack(packed, event_us, log, leaf.series_name(event)) == raw


@pytest.mark.parametrize("at", range(len(PACKED)))
def test_every_changed_byte_of_a_packed_leaf_makes_another_leaf(at: int) -> None:
    changed = PACKED[:at] + bytes([PACKED[at] ^ 1]) + PACKED[at + 1 :]
    event = prediction(1)
    try:
        other = leaf.unpack(changed, event.event_us, "example/log", leaf.series_name(event))
    except Tampered:
        assert at == 0
    else:
        assert other != LEAF


@pytest.mark.parametrize("packed", [b"", PACKED[:-1], PACKED + b"\0", b"text", LEAF])
def test_bytes_that_are_no_packed_leaf_are_refused(packed: bytes) -> None:
    with pytest.raises(Tampered):
        leaf.unpack(packed, 0, "example/log", leaf.series_name(prediction(1)))


@pytest.mark.parametrize(
    "spelling",
    [
        LEAF + b"\n",
        b" " + LEAF,
        LEAF.replace(b":", b": ", 1),
        LEAF.replace(b'"v":1', b'"v":1.0'),
        LEAF.replace(b'"v":1', b'"v":2'),
        LEAF.replace(b'"v":1', b'"v":1,"x":1'),
        LEAF.replace(b'"v":1,', b""),
        LEAF.replace(b"A256GCM.zstd", b"A256GCM.none"),
        LEAF.replace(b"credit", b"cr\\u0065dit"),
        LEAF.replace(b'"len":77', b'"len":"77"'),
        LEAF[:-1],
        b"",
        b"\xff",
        b"[]",
    ],
)
def test_every_other_spelling_is_refused(spelling: bytes) -> None:
    assert spelling != LEAF
    with pytest.raises(Tampered):
        leaf.parse(spelling)
