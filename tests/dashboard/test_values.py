"""Numbers, ranges, places and settings: what needs neither server nor browser."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from streamlit import config

from dashboard import charts, drift_charts, graph, options, span, wording
from dashboard.answers import Edge, LatencyCell, LatencyPoint, Lineage, Node, Rollup
from dashboard.judged import ColumnVerdict, Measured, Rows

NOW = datetime(2026, 11, 21, 12, 30, tzinfo=UTC)


@pytest.mark.parametrize(
    ("fraction", "told"),
    [
        (None, "–"),
        (0.0, "0%"),
        (1.0, "100%"),
        (0.0069, "0.69%"),
        (0.25, "25.0%"),
        (0.9961, "99.61%"),
    ],
)
def test_shares_keep_the_digits_that_matter(fraction: float | None, told: str) -> None:
    assert wording.share(fraction) == told


@pytest.mark.parametrize(
    ("ms", "told"),
    [(None, "–"), (0.0024, "2 µs"), (8.41, "8.4 ms"), (131.2, "131 ms"), (2204.5, "2.20 s")],
)
def test_durations_read_the_same_everywhere(ms: float | None, told: str) -> None:
    assert wording.duration(ms) == told


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("needs the role audit", "Needs the role audit."),
        ("Ask someone.", "Ask someone."),
        ("Is it up?", "Is it up?"),
        (" ", ""),
    ],
)
def test_what_the_api_says_is_shown_as_a_sentence(text: str, told: str) -> None:
    assert wording.sentence(text) == told


@pytest.mark.parametrize("state", ["insufficient", "unknown", None, "unchecked", "no such state"])
def test_what_is_not_known_is_never_green(state: str | None) -> None:
    assert wording.tone(state)[1] != "ok"


def test_a_month_is_written_by_its_first_and_last_day() -> None:
    assert (
        wording.window("2013-06-01T00:00:00Z", "2013-07-01T00:00:00Z") == "2013-06-01 – 2013-06-30"
    )


def test_an_old_ledger_opens_on_all_of_it_and_a_live_one_on_the_last_day() -> None:
    old = (NOW - timedelta(days=5000), NOW - timedelta(days=4700))
    assert span.resolve(None, None, None, NOW, old).preset == "all"
    live = (NOW - timedelta(days=50), NOW - timedelta(hours=1))
    chosen = span.resolve(None, None, None, NOW, live)
    assert (chosen.preset, chosen.length) == ("24h", timedelta(days=1))


def test_all_includes_the_last_prediction() -> None:
    extent = (NOW - timedelta(days=9), NOW)
    chosen = span.resolve("all", None, None, NOW, extent)
    assert chosen.start <= extent[0]
    assert chosen.end > extent[1]


def test_all_of_a_very_long_ledger_is_its_newest_years() -> None:
    chosen = span.resolve("all", None, None, NOW, (NOW - timedelta(days=9_000), NOW))
    assert timedelta(days=2_900) < chosen.length < timedelta(days=3_000)


def test_explicit_bounds_win_and_reversed_ones_do_not_count() -> None:
    start, end = datetime(2013, 1, 1, tzinfo=UTC), datetime(2013, 2, 1, tzinfo=UTC)
    assert span.resolve("24h", start, end, NOW, None).label == "2013-01-01 – 2013-01-31"
    assert span.resolve("24h", end, start, NOW, None).preset == "24h"


@pytest.mark.parametrize("days", [0.04, 1, 7, 16, 90, 365])
def test_a_chart_never_gets_more_bins_than_can_be_read(days: float) -> None:
    chosen = span.Span(NOW - timedelta(days=days), NOW, None)
    size = {"minute": 60, "hour": 3600, "day": 86400}[chosen.step]
    assert chosen.length.total_seconds() / size <= span.MOST_BINS


def column(verdict: str, score: float | None) -> ColumnVerdict:
    return ColumnVerdict("x", verdict=verdict, score=score, threshold=0.1)


@pytest.mark.parametrize(
    ("verdict", "score", "told"),
    [
        ("ok", 0.05, "below 0.7×"),
        ("ok", 0.08, "0.7–1× threshold"),
        ("ok", 0.14, "beyond, not significant"),
        ("shift", 0.14, "1–2× threshold"),
        ("shift", 0.3, "over 2× threshold"),
        ("fault", 0.01, "fault"),
        ("insufficient", 0.01, "insufficient"),
        ("ok", None, "insufficient"),
    ],
)
def test_the_map_follows_the_verdict_before_the_score(
    verdict: str, score: float | None, told: str
) -> None:
    assert drift_charts.drift_class(column(verdict, score)) == told


def test_the_map_has_one_cell_for_each_column_and_window() -> None:
    windows = [
        Measured(
            time="2013-03-01T00:00:00Z",
            window=Rows(start="2013-02-01T00:00:00Z"),
            columns=(column("ok", 0.1),),
        )
        for _ in range(3)
    ]
    drawn = drift_charts.drift_map(windows, ["x"])
    assert len(drawn["series"][0]["data"]) == 3


def test_errors_and_answers_add_up_to_the_predictions() -> None:
    drawn = charts.volume([Rollup("2013-01-01T00:00:00Z", count=10, errors=3)])
    assert [series["data"][0][1] for series in drawn["series"]] == [7, 3]


def test_latencies_are_drawn_in_the_unit_that_fits_most_of_them() -> None:
    fast = [LatencyPoint("2013-01-01T00:00:00Z", 9, p50=0.002, p95=0.003, p99=4.0)]
    drawn = charts.latency_lines(fast, 10.0)
    assert [line["data"][0][1] for line in drawn["series"]] == [2.0, 3.0, 4000.0]
    assert drawn["yAxis"]["axisLabel"]["formatter"] == "{value} µs"
    assert drawn["series"][0]["markLine"]["data"] == [{"yAxis": 10_000.0}]
    assert (drawn["yAxis"]["min"], drawn["yAxis"]["max"]) == (1.0, 10_000.0)
    slow = [LatencyPoint("2013-01-01T00:00:00Z", 9, p50=20.0, p95=30.0, p99=40.0)]
    assert charts.latency_lines(slow, 100)["yAxis"]["axisLabel"]["formatter"] == "{value} ms"


def test_an_objective_far_above_everything_does_not_empty_the_chart() -> None:
    points = [LatencyPoint("2013-01-01T00:00:00Z", 9, p50=0.002, p95=0.003, p99=0.004)]
    assert not charts.objective_in_sight(points, 100.0)
    assert "markLine" not in charts.latency_lines(points, 100.0)["series"][0]


def test_bars_and_their_limit_have_one_unit() -> None:
    drawn = charts.ranked([("a", 0.003), ("b", 0.001)], limit=("objective", 0.002))
    [bars] = drawn["series"]
    assert [bar["value"] for bar in bars["data"]] == [1.0, 3.0]
    assert [bar["itemStyle"]["color"] for bar in bars["data"]] == [charts.INFO, charts.WARN]
    assert bars["markLine"]["data"] == [{"xAxis": 2.0}]
    assert drawn["xAxis"]["axisLabel"]["formatter"] == "{value} µs"


def test_a_long_heat_map_adds_up_bins_of_time_and_loses_none() -> None:
    days = [f"{date.fromordinal(734_869 + day)}T00:00:00Z" for day in range(365)]
    cells = [LatencyCell(day, 1.0, 2.0, 3) for day in days]
    drawn = charts.latency_heat(cells)["series"][0]["data"]
    assert charts.heat_bins(cells) == 7
    assert len(drawn) == 53
    assert sum(each[2] for each in drawn) == 365 * 3


def test_empty_buckets_between_full_ones_are_shown() -> None:
    at = "2013-01-01T00:00:00Z"
    cells = [LatencyCell(at, 1.0, 2.0, 100), LatencyCell(at, 8.0, 16.0, 1)]
    drawn = charts.latency_heat(cells)
    assert drawn["yAxis"]["data"] == ["1.0–2.0 ms", "2.0–4.0 ms", "4.0–8.0 ms", "8.0–16 ms"]
    assert [each[1] for each in drawn["series"][0]["data"]] == [0, 3]


def test_every_latency_cell_finds_its_place() -> None:
    cells = [
        LatencyCell("2013-01-01T00:00:00Z", 1, 2, 5),
        LatencyCell("2013-01-02T00:00:00Z", 2, None, 6),
    ]
    drawn = charts.latency_heat(cells)
    assert [each[:3] for each in drawn["series"][0]["data"]] == [[0, 0, 5], [1, 1, 6]]
    assert drawn["yAxis"]["data"][1].startswith("≥")


def story(windows: int) -> Lineage:
    nodes = [
        Node("v", "version"),
        Node("p", "predictions"),
        Node("c", "case"),
        Node("w", "version"),
    ]
    nodes += [Node(f"m{n}", "drift", status="shift" if n == 1 else "ok") for n in range(windows)]
    edges = [Edge("v", "p"), Edge("m1", "c"), Edge("c", "w")]
    edges += [Edge("p", f"m{n}", "judged", 2) for n in range(windows)]
    return Lineage(tuple(nodes), tuple(edges))


def test_lineage_runs_from_left_to_right_and_a_way_back_is_dashed() -> None:
    graph_ = story(2)
    where = graph.places(graph_)
    assert where["v"][0] < where["p"][0] < where["m0"][0] < where["c"][0]
    links = graph.drawn(graph_, None)["series"][0]["links"]
    back = next(link for link in links if link["source"] == "c")
    assert back["lineStyle"]["type"] == "dashed"


def test_no_two_nodes_share_a_place() -> None:
    where = graph.places(story(9))
    assert len(set(where.values())) == len(where)


def test_many_windows_become_one_node_that_speaks_for_the_worst() -> None:
    whole = graph.clustered(story(9))
    [windows] = [node for node in whole.nodes if node.kind == "drift"]
    assert windows.status == "shift"
    assert len(windows.detail) == 9
    judged = next(edge for edge in whole.edges if edge.label == "judged")
    assert judged.count == 18
    assert len(graph.edge_rows(story(9))) == 12


def test_every_setting_is_one_that_streamlit_knows() -> None:
    known = config._config_options_template
    unknown = [name for name in options.flags("127.0.0.1", 8601, ()) if name not in known]
    assert unknown == []


def test_nothing_is_told_to_anyone_and_errors_say_nothing() -> None:
    flags = options.flags("127.0.0.1", 8601, ("localhost",))
    assert flags["browser.gatherUsageStats"] is False
    assert flags["server.enableAgentApi"] is False
    assert flags["client.showErrorDetails"] == "none"
    assert flags["server.allowedHosts"] == ["localhost"]


def luminance(colour: str) -> float:
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_text_and_marks_stand_out_from_their_background(mode: str) -> None:
    flags = options.theme()
    paper = str(flags[f"theme.{mode}.backgroundColor"])
    for name in ("textColor", "linkColor"):
        assert contrast(str(flags[f"theme.{mode}.{name}"]), paper) >= 4.5, name
    series = flags[f"theme.{mode}.chartCategoricalColors"]
    assert isinstance(series, list)
    for colour in [*series, charts.OK, charts.WARN, charts.BAD, charts.NONE, charts.INFO]:
        assert contrast(colour, paper) >= 3, colour


@pytest.mark.parametrize(
    ("ms", "told"),
    [(None, "–"), (840.0, "840 ms"), (90_000.0, "90.0 s"), (120_000.0, "2 min"), (2.3e10, "266 d")],
)
def test_long_lengths_of_time_are_told_in_the_unit_that_says_enough(
    ms: float | None, told: str
) -> None:
    assert wording.length(ms) == told
