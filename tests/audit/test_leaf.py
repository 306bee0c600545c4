"""The leaf has one spelling, and everything but `ct` and `len` is authenticated by the seal."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from audit import leaf
from audit.errors import Tampered
from tests.audit.stores import prediction

names = st.from_regex(r"[A-Za-z0-9._:/@-]{1,128}", fullmatch=True)
LEAF = leaf.complete(
    leaf.associated_data(prediction(1), "example/log", "id-1", b"k" * 32, 5), b"c" * 32, 77
)


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
    associated = leaf.associated_data(event, log, "id-1", b"k" * 32, 5)
    raw = leaf.complete(associated, b"c" * 32, length)
    fields = leaf.parse(raw)
    assert (fields.model, fields.integration, fields.log) == (model, integration, log)
    assert (fields.event_us, fields.latency_us, fields.len) == (event_us, latency_us, length)
    assert leaf.stripped(raw) == associated.encode()


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
