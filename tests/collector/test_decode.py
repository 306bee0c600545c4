"""Splitting bodies into items, within limits."""

import contextlib
import gzip
import json
import time
import zlib
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.decode import Format, format_of, require_shape, split, unpack
from collector.errors import (
    CollectorError,
    Malformed,
    TooLarge,
    UnsupportedEncoding,
    UnsupportedMedia,
)
from collector.limits import Limits

LIMITS = Limits(unpacked_bytes=100_000, item_bytes=10_000, items=100, depth=5, keys=20)


@pytest.mark.parametrize(
    ("content_type", "form"),
    [
        ("application/json", Format.JSON),
        ("Application/JSON; Charset=UTF-8", Format.JSON),
        ('application/json;charset="utf-8"', Format.JSON),
        ("application/vnd.example+json", Format.JSON),
        ("application/x-ndjson", Format.LINES),
        ("application/jsonl", Format.LINES),
    ],
)
def test_a_content_type_names_a_format(content_type: str, form: Format) -> None:
    assert format_of(content_type) is form


@pytest.mark.parametrize(
    "content_type",
    [None, "", "text/plain", "application/json; charset=latin-1", "+json", "/+json", "a b/c+json"],
)
def test_other_content_types_are_refused_by_name_of_the_header(content_type: str | None) -> None:
    with pytest.raises(UnsupportedMedia) as caught:
        format_of(content_type)
    assert caught.value.field == "Content-Type"
    assert "application/x-ndjson" in caught.value.remedy


def test_one_object_is_one_item() -> None:
    assert split(b' {"a": 1} ', Format.JSON, LIMITS).raw == [b' {"a": 1} ']
    assert not split(b"{}", Format.JSON, LIMITS).many


def test_an_array_is_many_items_even_of_one_or_none() -> None:
    items = split(b'\n[{"a": [1, 2]}, 3 ,"x"]', Format.JSON, LIMITS)
    assert (items.raw, items.many) == ([b'{"a": [1, 2]}', b"3", b'"x"'], True)
    assert split(b"[]", Format.JSON, LIMITS).many
    assert split(b"[{}]", Format.JSON, LIMITS).many


def test_lines_are_items_and_empty_lines_are_not() -> None:
    items = split(b'{"a":1}\r\n\n  \n{"b":2}', Format.LINES, LIMITS)
    assert [json.loads(each) for each in items.raw] == [{"a": 1}, {"b": 2}]
    assert items.many


def test_a_byte_order_mark_is_no_part_of_the_body() -> None:
    assert split(b"\xef\xbb\xbf{}", Format.JSON, LIMITS).raw == [b"{}"]


@pytest.mark.parametrize("body", [b"", b"  ", b"null", b'"text"', b"[1,2", b"[1]]", b"[{]", b"x"])
def test_what_is_neither_object_nor_array_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        split(body, Format.JSON, LIMITS)


def test_nesting_that_no_parser_survives_is_malformed() -> None:
    with pytest.raises(CollectorError):
        split(b"[" * 3_000_000 + b"]" * 3_000_000, Format.JSON, Limits())


@pytest.mark.parametrize("body", [b"[" + b"1," * 100 + b"1]", b"1\n" * 101, b"\n" * 201])
def test_more_items_than_the_limit_are_refused(body: bytes) -> None:
    form = Format.JSON if body.startswith(b"[") else Format.LINES
    with pytest.raises(TooLarge, match="100 items"):
        split(body, form, LIMITS)


def test_a_flood_of_tiny_items_is_refused_before_it_is_split() -> None:
    """The decoder would make an object of each: hundreds of megabytes from a few."""
    body = b"[" + b"1," * 4_000_000 + b"1]"
    began = time.perf_counter()
    with pytest.raises(TooLarge):
        split(body, Format.JSON, Limits())
    assert time.perf_counter() - began < 2


def test_commas_inside_items_are_no_items() -> None:
    item = json.dumps({"text": "," * 200, "list": [[1] * 50] * 3}).encode()
    body = b"[" + b",".join([item] * 100) + b"]"
    assert body.count(b",") > 100 * LIMITS.items
    assert len(split(body, Format.JSON, LIMITS).raw) == 100


def test_gzip_is_unpacked_also_in_several_members() -> None:
    packed = gzip.compress(b"[1,") + gzip.compress(b"2]")
    assert unpack(packed, "GZIP", LIMITS) == b"[1,2]"
    assert unpack(b"[1]", None, LIMITS) == b"[1]"
    assert unpack(b"[1]", " identity ", LIMITS) == b"[1]"


@pytest.mark.parametrize(
    "packed",
    [b"", b"x", gzip.compress(b"[1]")[:-1], gzip.compress(b"[1]") + b"rest", zlib.compress(b"[1]")],
)
def test_what_is_no_whole_gzip_is_malformed(packed: bytes) -> None:
    with pytest.raises(Malformed) as caught:
        unpack(packed, "gzip", LIMITS)
    assert caught.value.field == "Content-Encoding"


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip"])
def test_other_encodings_are_refused_with_the_one_that_works(encoding: str) -> None:
    with pytest.raises(UnsupportedEncoding) as caught:
        unpack(b"", encoding, LIMITS)
    assert caught.value.headers == {"Accept-Encoding": "gzip"}


def test_a_bomb_is_refused_at_the_limit_and_not_at_its_end() -> None:
    bomb = gzip.compress(b"0" * 400_000_000, compresslevel=1)
    began = time.perf_counter()
    with pytest.raises(TooLarge, match="100000 bytes"):
        unpack(bomb, "gzip", LIMITS)
    assert time.perf_counter() - began < 0.2


def test_members_count_together() -> None:
    with pytest.raises(TooLarge):
        unpack(gzip.compress(b"0" * 60_000) * 2, "gzip", LIMITS)


@pytest.mark.parametrize(
    "item",
    [
        b'{"a":' * 6 + b"1" + b"}" * 6,
        b"[" * 6 + b"]" * 6,
        b'{"s":"}}}}}}","a":' + b"[" * 5 + b"]" * 5 + b"}",
        json.dumps({str(i): 0 for i in range(21)}).encode(),
        b'{"a":"' + b"x" * 10_000 + b'"}',
    ],
)
def test_items_deeper_wider_or_longer_than_the_limits_are_refused(item: bytes) -> None:
    with pytest.raises(TooLarge):
        require_shape(item, LIMITS)


@pytest.mark.parametrize(
    "item",
    [
        b'{"a":' * 5 + b"1" + b"}" * 5,
        b'{"s":"' + rb"{[\"{[\\" * 40 + b'"}',
        json.dumps([{"a": []}, [], {}, {"b": [1]}, [[]], []]).encode(),
        json.dumps({str(i): ":" * 40 for i in range(20)}).encode(),
    ],
)
def test_brackets_and_colons_in_strings_or_side_by_side_do_not_count(item: bytes) -> None:
    require_shape(item, LIMITS)


@pytest.mark.parametrize("unit", [b'\\"', b'"', b"\\", b'"\\', b"[", b'"{', b'\\"['])
def test_no_bytes_make_the_scan_slow(unit: bytes) -> None:
    """Quadratic work on the largest item would be minutes."""
    item = (b'{"' + unit * 600_000)[: 2**20]
    began = time.perf_counter()
    with contextlib.suppress(TooLarge):
        require_shape(item, Limits(keys=1))
    assert time.perf_counter() - began < 2


def _or_refused(call: Callable[[], object]) -> None:
    with contextlib.suppress(CollectorError):
        call()


@given(body=st.binary(max_size=300), form=st.sampled_from(Format))
def test_any_bytes_are_split_or_refused(body: bytes, form: Format) -> None:
    _or_refused(lambda: split(body, form, LIMITS))
    _or_refused(lambda: unpack(body, "gzip", LIMITS))
    _or_refused(lambda: require_shape(body, LIMITS))


@given(text=st.text(max_size=60))
def test_any_header_is_read_or_refused(text: str) -> None:
    _or_refused(lambda: format_of(text))
    _or_refused(lambda: unpack(b"", text, LIMITS))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=20,
)


@given(values=st.lists(json_values, max_size=20), indent=st.sampled_from([None, 2]))
def test_items_of_an_array_are_the_bytes_of_its_values(
    values: list[object], indent: int | None
) -> None:
    body = json.dumps(values, indent=indent).encode()
    found = split(body, Format.JSON, Limits())
    assert [json.loads(each) for each in found.raw] == values


@given(value=json_values)
def test_the_scan_measures_depth_and_keys_as_a_parser_would(value: object) -> None:
    item = msgspec.json.encode(value)
    depth, keys = _measured(value)
    for limits, fits in [
        (Limits(depth=max(depth, 1), keys=max(keys, 1)), True),
        (Limits(depth=max(depth - 1, 1), keys=max(keys, 1)), depth <= max(depth - 1, 1)),
        (Limits(depth=max(depth, 1), keys=max(keys - 1, 1)), keys <= max(keys - 1, 1)),
    ]:
        if fits:
            require_shape(item, limits)
        else:
            with pytest.raises(TooLarge):
                require_shape(item, limits)


def _measured(value: object) -> tuple[int, int]:
    if not isinstance(value, dict | list):
        return 0, 0
    inner = value.values() if isinstance(value, dict) else value
    parts = [_measured(each) for each in inner]
    own = len(value) if isinstance(value, dict) else 0
    return 1 + max((d for d, _ in parts), default=0), own + sum(k for _, k in parts)


def test_many_gzip_members_are_refused_before_they_cost_anything() -> None:
    packed = gzip.compress(b"") * 100_000
    with pytest.raises(TooLarge, match="members"):
        unpack(packed, "gzip", Limits())
