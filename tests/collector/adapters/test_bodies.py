"""Bodies of model servers: what they are taken for, and how much of them is read."""

import time
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.bodies import (
    MOST_BYTES,
    MOST_NESTED,
    MOST_VALUES,
    Lines,
    json_of,
    object_of,
    value_of,
)
from collector.adapters.calls import Call, adapted
from collector.adapters.instances import MOST_ROWS, part_of
from collector.adapters.rows import rows_of
from collector.adapters.times import Moment
from collector.errors import CollectorError, Malformed, TooLarge
from tests.collector.adapters.servers import serving

MOMENT = Moment(1_700_000_000_000_000, "")


def predictions(given: Any, found: Any, **options: str) -> list[Any]:
    """The events of a call of two bodies."""
    call = Call(id="c", moment=MOMENT, request=part_of(given), response=part_of(found))
    made = adapted(call, serving("oip", **options), b"raw")
    assert not made.refused
    return made.events


@pytest.mark.parametrize(
    ("raw", "media", "value"),
    [
        (b"", "", None),
        (b' {"a": 1}', "text/csv-schema", {"a": 1}),
        (b"\xef\xbb\xbf[1]", "application/json", [1]),
        (
            b'{"a": NaN, "b": -Infinity, "c": 1e999}',
            "",
            {"a": "NaN", "b": "-Infinity", "c": "1e999"},
        ),
        (b'{"a": NaN, "b": "\\ud800"}', "", {"text": '{"a": NaN, "b": "\\ud800"}'}),
        (b"hello", "application/json", {"text": "hello"}),
        (b"\xff", "application/json", {"base64": "/w=="}),
        (b"1,2.5,x,007,1e3", "text/csv; charset=utf-8", [[1, 2.5, "x", 7.0, 1000.0]]),
        (b'{"a": 1}\n{"a": 2}\n', "application/jsonlines", [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\nx', "application/jsonlines", {"text": '{"a": 1}\nx'}),
        (b"null", "", None),
    ],
)
def test_bytes_say_more_than_the_header(raw: bytes, media: str, value: Any) -> None:
    assert value_of(raw, media) == value


def test_line_formats_are_rows_and_arrays_are_not() -> None:
    assert isinstance(value_of(b"1,2", "text/csv"), Lines)
    assert not isinstance(value_of(b"[[1,2]]"), Lines)


@pytest.mark.parametrize(
    "raw",
    [
        b" " * (MOST_BYTES + 1),
        b"[" + b"0," * (MOST_VALUES + 1) + b"0]",
        b"[" + b"[]," * MOST_NESTED + b"[]]",
        b"[" * 100 + b"]" * 100,
    ],
    ids=["long", "wide", "many", "deep"],
)
def test_more_than_the_limits_is_refused_before_it_is_built(raw: bytes) -> None:
    began = time.process_time()
    with pytest.raises(TooLarge) as caught:
        value_of(raw)
    assert caught.value.remedy
    assert time.process_time() - began < 2


def test_what_is_no_object_is_malformed() -> None:
    for raw in (b"", b"[1]", b"{", b"\xff"):
        with pytest.raises(Malformed):
            object_of(raw)
    assert json_of(b"1") == 1


def test_a_large_tensor_is_read_in_bounded_time() -> None:
    body = b'{"instances":[[' + b",".join([b"0.5"] * 900_000) + b"]]}"
    began = time.process_time()
    part = part_of(value_of(body))
    [event] = predictions(part.whole, {"predictions": [1]})
    assert time.process_time() - began < 10
    assert len(event.body) > 900_000


def test_more_rows_than_the_limit_stay_one_prediction() -> None:
    rows = [[1]] * (MOST_ROWS + 1)
    [event] = predictions({"instances": rows}, {"predictions": [0] * len(rows)})
    assert event.id == "c"
    assert b'"rows":"whole"' in event.body


def test_long_names_do_not_multiply_by_rows() -> None:
    names = ["x" * 10_000]
    rows = [[1]] * 9_000
    body = {"data": {"names": names, "ndarray": rows}}
    assert len(predictions(body, body)) == 1
    tensors = [
        {"name": name * 10_000, "shape": [9_000, 1], "datatype": "FP32", "data": [0] * 9_000}
        for name in "ab"
    ]
    assert len(predictions({"inputs": tensors}, {"outputs": tensors})) == 1


def test_rows_that_do_not_agree_in_number_stay_whole() -> None:
    [event] = predictions({"instances": [[1], [2]]}, {"predictions": [1]})
    assert event.id == "c"


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"a": 1}\n{"a": 2}', [b'{"a": 1}', b'{"a": 2}']),
        (b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n', [b'{"a": 1}\r', b'{"a": 2}\r']),
        (b'[{"a": 1}, 2]', [b'{"a": 1}', b"2"]),
        (b'{\n"a": {"b": {}\n}}', [b'{\n"a": {"b": {}\n}}']),
        (b'{"a": {}\n}\n', [b'{"a": {}\n}\n']),
    ],
)
def test_rows_are_told_apart_by_the_bytes(body: bytes, rows: list[bytes]) -> None:
    assert rows_of(body) == rows


def test_a_body_without_rows_is_malformed() -> None:
    for body in (b"", b"a,b\n1,2", b"[{"):
        with pytest.raises(Malformed):
            rows_of(body)
    with pytest.raises(TooLarge):
        rows_of(b"{}\n" * 10_001)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(0, 3) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("inputs", "outputs", "instances", "predictions", "data", "names", "ndarray"),
                    *(
                        "tensor",
                        "shape",
                        "values",
                        "dataframe_split",
                        "columns",
                        "name",
                        "datatype",
                    ),
                    *("meta", "puid", "jsonData", "strData", "error", "id", "model_version"),
                ]
            ),
            inner,
            max_size=5,
        )
    ),
    max_leaves=25,
)


@given(JSON, JSON, st.sampled_from(["", "a", "a,b"]))
def test_no_pair_of_bodies_breaks_what_becomes_of_a_call(
    given: Any, found: Any, names: str
) -> None:
    call = Call(id="c", moment=MOMENT, request=part_of(given), response=part_of(found))
    made = adapted(call, serving("oip", features=names), b"raw")
    assert made.events or made.refused
    assert len(made.refused) <= 1
    alone = Call(id="c", moment=None, received_us=1, request=part_of(given), response=None)
    adapted(alone, serving("oip"), b"raw")


@given(st.binary(max_size=200), st.sampled_from(["", "text/csv", "application/jsonlines"]))
def test_no_bytes_break_reading_a_body(raw: bytes, media: str) -> None:
    value_of(raw, media)
    with suppress(CollectorError):
        assert all(rows_of(raw))
