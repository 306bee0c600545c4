"""The judge: from columns to the body of one DriftMeasured event."""

import json
import multiprocessing
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pytest
from scipy.stats import false_discovery_control

from drift import columns
from drift.columns import MISSING, Categorical, Column, Columns, Numeric
from drift.judge import judge, judge_segments
from drift.pair import MAX_BINS
from drift.policy import Policy, parse
from drift.windows import Window, window_at

WINDOW = window_at("month", 1_360_000_000_000_000)
NUMERIC = [f"n{i}" for i in range(12)]
CATEGORICAL = [f"c{i}" for i in range(8)]


def policy(*names: str) -> Policy:
    kinds = {"n": "numeric", "c": "categorical"}
    listed = [f"  {name}: {{kind: {kinds[name[0]]}}}" for name in names]
    head = (
        "kind: policy\nmodel: m\nwindow: month\n"
        "reference: {from: 2013-01-01T00:00:00Z, to: 2013-02-01T00:00:00Z}\ncolumns:\n"
    )
    return parse(head + "\n".join(listed))


POLICY = policy(*NUMERIC, *CATEGORICAL)
SMALL = policy("n0", "n1", "n2", "c0")
"""Four of the columns, where twenty would show nothing more: reports take their time."""


def rows(seed: int, count: int, replaced: Mapping[str, Column] | None = None) -> Columns:
    """Twenty mixed columns without output and score; some are replaced."""
    random = np.random.default_rng(seed)
    made: dict[str, Column] = {}
    for place, name in enumerate(NUMERIC):
        shape = random.normal if place % 3 else random.lognormal
        made[name] = Numeric(shape(size=count))
    for place, name in enumerate(CATEGORICAL):
        codes = random.integers(0, 2 + place, count).astype(np.int32)
        made[name] = Categorical(codes, tuple("abcdefghi"[: 2 + place]))
    made["output"] = Categorical(np.full(count, MISSING, np.int32), ())
    made["score"] = Numeric(np.full(count, np.nan))
    return Columns(count, made | dict(replaced or {}), {})


def moved(seed: int, count: int, by: float) -> Columns:
    random = np.random.default_rng(seed + 1_000)
    return rows(seed, count, {"n1": Numeric(random.normal(by, 1, count))})


REFERENCE = rows(1, 10_000)


def test_one_column_of_twenty_moved_by_three_deviations_is_a_shift() -> None:
    """The share of moved columns, 0.05, must not hide it."""
    body = judge(POLICY, WINDOW, REFERENCE, moved(2, 1_000, 3.0), version="7")
    assert (body["verdict"], body["drifted"], body["faulty"]) == ("shift", ["n1"], [])
    assert body["reason"] == "The distribution moved in n1."
    assert len(body["columns"]) == 20


@pytest.mark.parametrize(("by", "count"), [(0.5, 200), (0.3, 500)])
def test_small_shifts_are_found_in_small_windows(by: float, count: int) -> None:
    assert judge(POLICY, WINDOW, REFERENCE, moved(3, count, by))["drifted"] == ["n1"]


@pytest.mark.parametrize("count", [200, 500, 1_000, 5_000])
def test_without_drift_all_is_quiet(count: int) -> None:
    assert judge(POLICY, WINDOW, REFERENCE, rows(count, count))["verdict"] == "ok"


def test_a_column_that_turned_ninety_percent_null_is_a_fault_and_is_not_tested() -> None:
    values = np.random.default_rng(3).normal(size=1_000)
    values[:900] = np.nan
    body = judge(SMALL, WINDOW, REFERENCE, rows(4, 1_000, {"n2": Numeric(values)}))
    assert (body["verdict"], body["drifted"], body["faulty"]) == ("fault", [], ["n2"])
    column = named(body, "n2")
    assert [fault["kind"] for fault in column["faults"]] == ["null"]
    assert (column["verdict"], column["score"], column["p"]) == ("fault", None, None)
    assert "null" in body["reason"]


def named(body: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = [column for column in body["columns"] if column["name"] == name]
    assert len(found) == 1
    column: dict[str, Any] = found[0]
    return column


def test_a_fault_beside_a_shift_makes_the_window_a_fault_and_names_both() -> None:
    current = moved(5, 1_000, 3.0)
    broken = rows(5, 1_000, {"n1": current.columns["n1"], "n2": Numeric(np.full(1_000, np.nan))})
    body = judge(SMALL, WINDOW, REFERENCE, broken)
    assert (body["verdict"], body["drifted"], body["faulty"]) == ("fault", ["n1"], ["n2"])


@pytest.mark.parametrize("count", [0, 1, 199])
def test_below_the_minimum_sample_nothing_is_judged(count: int) -> None:
    body = judge(SMALL, WINDOW, REFERENCE, moved(6, count, 3.0))
    assert (body["verdict"], body["drifted"]) == ("insufficient", [])
    assert str(count) in body["reason"]
    assert body["report"] is None
    small = judge(SMALL, WINDOW, rows(7, count), rows(8, 500))
    assert small["verdict"] == "insufficient"


def categories(seed: int, count: int, most: int = 50, move: int = 0) -> Columns:
    """Rows whose c0 has that many values, each as likely; the first `move` rows have the first."""
    codes = np.random.default_rng(seed).integers(0, most, count).astype(np.int32)
    codes[:move] = 0
    return rows(seed, count, {"c0": Categorical(codes, tuple(f"v{i}" for i in range(most)))})


def test_rare_categories_are_pooled_as_one_until_the_rows_suffice() -> None:
    reference = categories(1, 10_000)
    for move, verdict in ((0, "ok"), (300, "shift")):
        body = judge(SMALL, WINDOW, reference, categories(2, 900, move=move))
        assert (named(body, "c0")["verdict"], body["verdict"]) == (verdict, verdict)


def test_a_column_with_too_many_categories_for_its_rows_is_left_out_and_named() -> None:
    body = judge(SMALL, WINDOW, categories(1, 10_000, 400), categories(2, 900, 400))
    assert named(body, "c0")["verdict"] == "insufficient"
    assert body["verdict"] == "ok"
    assert "Left out for too many different values: c0." in body["reason"]
    shifted = {**categories(3, 900, 400).columns, "n1": moved(3, 900, 3.0).columns["n1"]}
    found = judge(SMALL, WINDOW, categories(1, 10_000, 400), Columns(900, shifted, {}))
    assert (found["verdict"], found["drifted"]) == ("shift", ["n1"])


def test_a_column_that_never_existed_is_a_fault_though_all_others_are_calm() -> None:
    random = np.random.default_rng(1)
    typo = policy("n0", "n1", "c0", "namuont", "ckarrier")

    def side(seed: int, count: int) -> Columns:
        nothing = Categorical(np.full(count, MISSING, np.int32), ())
        absent: dict[str, Column] = {"namuont": Numeric(np.full(count, np.nan))}
        return rows(seed, count, absent | {"ckarrier": nothing})

    body = judge(typo, WINDOW, side(1, 10_000), side(2, 1_000))
    assert (body["verdict"], body["faulty"]) == ("fault", ["namuont", "ckarrier"])
    assert "no value of namuont was ever seen: is the name right?" in body["reason"]
    assert "no value of ckarrier was ever seen: is the name right?" in body["reason"]
    assert [fault["kind"] for fault in named(body, "namuont")["faults"]] == ["absent"]
    assert named(body, "n0")["verdict"] == "ok"
    assert body["confirmation"]["seen"] == 0
    assert judge(typo, WINDOW, side(1, 10_000), side(2, 199))["verdict"] == "insufficient"
    text = rows(3, 1_000, {"n0": Numeric(np.full(1_000, np.inf))})
    wrong = judge(SMALL, WINDOW, text, text)
    assert (wrong["verdict"], wrong["faulty"]) == ("fault", ["n0"])
    assert "no value of n0 was ever numeric: is the kind right?" in wrong["reason"]
    values = Numeric(random.normal(size=1_000))
    new = judge(
        typo,
        WINDOW,
        side(1, 10_000),
        rows(
            2,
            1_000,
            {"namuont": values} | {"ckarrier": Categorical(np.zeros(1_000, np.int32), ("a",))},
        ),
    )
    assert (new["verdict"], new["faulty"]) == ("insufficient", [])
    assert "2 of 5 columns lack rows: namuont, ckarrier." in new["reason"]


def test_an_undeclared_output_without_values_leaves_the_window_ok() -> None:
    assert judge(SMALL, WINDOW, REFERENCE, rows(2, 1_000))["verdict"] == "ok"


def test_too_few_rows_of_one_column_do_not_hide_a_shift_of_another() -> None:
    sparse = np.full(10_000, np.nan)
    sparse[:150] = np.random.default_rng(1).normal(size=150)
    reference = rows(1, 10_000, {"n2": Numeric(sparse)})
    body = judge(SMALL, WINDOW, reference, moved(2, 1_000, 3.0))
    assert (body["verdict"], body["drifted"]) == ("shift", ["n1"])
    assert "1 of 4 columns lack rows: n2." in body["reason"]
    calm = judge(SMALL, WINDOW, reference, rows(2, 1_000))
    assert calm["verdict"] == "insufficient"
    assert "n2" in calm["reason"]


def test_a_column_that_only_some_segments_fill_is_no_fault_of_the_others() -> None:
    flights = parse(
        "{kind: policy, model: m, reference: {trailing: 30d}, window: month,"
        " columns: {delay: {kind: numeric}}, segments: [{field: inputs.origin}]}"
    )
    random = np.random.default_rng(1)

    def read(count: int) -> Columns:
        lines = [flight("JFK", random.normal()) for _ in range(count)]
        lines += [json.dumps({"id": "1", "inputs": {"origin": "LGA"}}).encode()] * count
        return columns.read(flights, lines)

    bodies = judge_segments(flights, WINDOW, read(1_000), read(500), version="1")
    assert {body["segment"]: body["verdict"] for body in bodies} == {
        "all": "ok",
        "inputs.origin=JFK": "ok",
        "inputs.origin=LGA": "insufficient",
    }


def test_a_column_of_ids_is_insufficient_and_not_quietly_fine() -> None:
    names = tuple(f"id{i}" for i in range(10_000))

    def ids(seed: int, count: int) -> Columns:
        codes = np.random.default_rng(seed).permutation(10_000)[:count].astype(np.int32)
        return rows(seed, count, {"c0": Categorical(codes, names)})

    body = judge(SMALL, WINDOW, ids(1, 10_000), ids(2, 2_000))
    assert named(body, "c0")["verdict"] == "insufficient"


def test_adjusted_values_are_corrected_over_all_columns() -> None:
    body = judge(POLICY, WINDOW, REFERENCE, moved(9, 1_000, 0.2))
    p_values = [column["p"] for column in body["columns"]]
    expected = false_discovery_control(p_values)
    assert [column["q"] for column in body["columns"]] == pytest.approx(expected.tolist())


def test_numbers_with_few_values_are_judged_as_categories() -> None:
    random = np.random.default_rng(1)
    sides = [
        rows(seed, count, {"n0": Numeric(random.choice([0.0, 1.0], count, p=[1 - p, p]))})
        for seed, count, p in ((1, 10_000, 0.1), (2, 1_000, 0.4))
    ]
    column = named(judge(SMALL, WINDOW, *sides), "n0")
    assert (column["verdict"], column["test"], column["p_test"]) == ("shift", "jensenshannon", "z")


def test_the_body_has_the_agreed_fields_and_is_plain_json() -> None:
    body = judge(SMALL, WINDOW, REFERENCE, moved(2, 1_000, 3.0), version="7")
    assert body["id"] == f"{SMALL.revision}/7/all/2013-02-01T00:00:00Z"
    assert body["time"] == "2013-03-01T00:00:00Z"
    assert body["model"] == {"name": "m", "version": "7"}
    assert body["policy"]["revision"] == SMALL.revision
    assert body["window"] == {
        "start": "2013-02-01T00:00:00Z",
        "end": "2013-03-01T00:00:00Z",
        "rows": 1_000,
    }
    assert body["reference"]["rows"] == 10_000
    assert body["confirmation"] == {
        "needed": 2, "of": 3, "seen": 1, "confirmed": False, "entry": "clear", "since": None,
    }  # fmt: skip
    assert body["seconds"] >= 0
    assert {"name", "role", "kind", "verdict", "test", "score", "threshold", "p", "q",
            "n_reference", "n_current", "missing", "faults", "histogram"} <= set(
        body["columns"][0])  # fmt: skip
    assert json.loads(msgspec.json.encode(body)) == body


def test_equal_arguments_give_equal_bodies() -> None:
    def fixed() -> dict[str, Any]:
        body = judge(SMALL, WINDOW, REFERENCE, moved(2, 1_000, 3.0))
        return {key: body[key] for key in body if key not in {"seconds", "report"}}

    assert fixed() == fixed()


def test_the_second_shift_confirms_and_opens_an_entry() -> None:
    history: list[dict[str, Any]] = []
    for seed, window in enumerate((WINDOW, window_at("month", WINDOW.end_us))):
        body = judge(SMALL, window, REFERENCE, moved(seed, 1_000, 3.0), history=history)
        history.append({key: body[key] for key in body if key != "report"})
    confirmation = history[-1]["confirmation"]
    assert (confirmation["seen"], confirmation["confirmed"]) == (2, True)
    assert (confirmation["entry"], confirmation["since"]) == (
        "open",
        history[-1]["window"]["start"],
    )


@pytest.mark.parametrize("kind", ["numeric", "few", "categorical", "spoiled"])
def test_histograms_account_for_every_row_in_few_bins(kind: str) -> None:
    random = np.random.default_rng(4)
    values = random.lognormal(size=1_000)
    values[:50], values[50:60] = np.nan, np.inf
    choices: dict[str, tuple[str, Column]] = {
        "numeric": ("n0", Numeric(random.lognormal(size=1_000))),
        "few": ("n0", Numeric(random.integers(0, 3, 1_000).astype(float))),
        "categorical": (
            "c0",
            Categorical(random.integers(-1, 90, 1_000).astype(np.int32), letters(90)),
        ),
        "spoiled": ("n0", Numeric(values)),
    }
    name, column = choices[kind]
    body = judge(SMALL, WINDOW, REFERENCE, rows(3, 1_000, {name: column}))
    histogram = named(body, name)["histogram"]
    assert len(histogram["bins"]) == len(histogram["current"]) == len(histogram["reference"])
    assert len(histogram["bins"]) <= MAX_BINS
    assert len(set(histogram["bins"])) == len(histogram["bins"])
    assert (sum(histogram["reference"]), sum(histogram["current"])) == (10_000, 1_000)
    assert "null" in histogram["bins"]


def letters(count: int) -> tuple[str, ...]:
    return tuple(f"l{i}" for i in range(count))


def test_values_seen_fewer_than_ten_times_appear_nowhere() -> None:
    names = ("often", "sometimes", "only-nine")
    codes = np.array([0] * 1_500 + [1] * 491 + [2] * 9, np.int32)
    body = judge(
        SMALL,
        WINDOW,
        rows(1, 2_000, {"c0": Categorical(codes[::-1].copy(), names)}),
        rows(2, 2_000, {"c0": Categorical(np.minimum(codes, 1), names)}),
    )
    assert named(body, "c0")["verdict"] == "ok"
    text = json.dumps(body)
    assert "sometimes" in text
    assert "only-nine" not in text


def test_an_undeclared_output_is_judged_where_the_reference_has_it() -> None:
    random = np.random.default_rng(1)
    output = [
        Categorical(random.choice(2, count, p=[1 - p, p]).astype(np.int32), ("on time", "late"))
        for count, p in ((10_000, 0.2), (1_000, 0.6))
    ]
    body = judge(
        SMALL,
        WINDOW,
        rows(1, 10_000, {"output": output[0]}),
        rows(2, 1_000, {"output": output[1]}),
    )
    assert body["drifted"] == ["output"]
    assert named(body, "output")["role"] == "output"
    assert len(body["columns"]) == 5


def flight(origin: str, delay: float) -> bytes:
    inputs = {"delay": delay, "origin": origin}
    return json.dumps({"id": "1", "inputs": inputs, "output": "late"}).encode()


def test_a_shift_in_one_segment_is_found_there_and_corrected_together() -> None:
    flights = parse(
        "{kind: policy, model: m, reference: {trailing: 30d}, window: month,"
        " columns: {delay: {kind: numeric}}, segments: [{field: inputs.origin}]}"
    )
    random = np.random.default_rng(1)

    def read(count: int, shift: float) -> Columns:
        return columns.read(
            flights,
            [
                flight(origin, random.normal(shift if origin == "LGA" else 0.0))
                for _ in range(count)
                for origin in ("JFK", "LGA", "EWR", "EWR")
            ],
        )

    bodies = judge_segments(flights, WINDOW, read(1_000, 0), read(300, 2), version="1")
    verdicts = {body["segment"]: body["verdict"] for body in bodies}
    assert verdicts == {
        "all": "shift",
        "inputs.origin=EWR": "ok",
        "inputs.origin=JFK": "ok",
        "inputs.origin=LGA": "shift",
    }
    assert len({body["id"] for body in bodies}) == 4
    tested = [column for body in bodies for column in body["columns"] if column["p"] is not None]
    expected = false_discovery_control([column["p"] for column in tested]).tolist()
    assert [column["q"] for column in tested] == pytest.approx(expected)
    assert [body["window"]["rows"] for body in bodies] == [1_200, 600, 300, 300]


def test_an_id_stays_short_enough_for_an_event() -> None:
    text = (
        "{kind: policy, model: m, reference: {trailing: 30d}, window: month,"
        " columns: {delay: {kind: numeric}}, segments: [{field: inputs.origin}]}"
    )
    flights = parse(text)
    read = columns.read(flights, [flight("x" * 200, 1.0)] * 3)
    ids = [body["id"] for body in judge_segments(flights, WINDOW, read, read, version="v" * 128)]
    assert max(len(each) for each in ids) <= 256
    assert len(set(ids)) == 2


def test_the_judge_runs_in_a_process_pool() -> None:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        body = pool.submit(judge, SMALL, WINDOW, REFERENCE, moved(2, 1_000, 3.0)).result(120)
    here = judge(SMALL, WINDOW, REFERENCE, moved(2, 1_000, 3.0))
    assert body["columns"] == here["columns"]
    assert body["verdict"] == "shift"
    assert isinstance(WINDOW, Window)
