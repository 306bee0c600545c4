"""Chart specifications (ECharts option objects) from answers of the API. Pure: no Streamlit here.

Series colours come from the theme; colours that mean something (verdicts, errors, limits) are
mid-tones that reach 3:1 on the light and on the dark background. Charts only draw what the API
computed: nothing here averages percentiles or judges drift.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from dashboard import wording
from dashboard.answers import LatencyCell, LatencyPoint, Rollup

Spec = dict[str, Any]

OK: Final = "#1d9a6c"
WARN: Final = "#c97a10"
BAD: Final = "#d6494e"
NONE: Final = "#8794a1"
INFO: Final = "#3f83dc"
LINE: Final = "rgba(128,140,152,.22)"
QUIET: Final = "#76828e"
_GAPS: Final = 120
# A heat map stays readable with at most so many columns of time.
_COLUMNS: Final = 60
# An objective beyond so many times the slowest percentile would leave its chart empty.
_OUT_OF_SIGHT: Final = 10
# Bounds of neighbouring buckets may differ by what rounding does to them.
_SAME: Final = 1.02


def chart(*, top: int = 12, bottom: int = 8, legend: bool = False) -> Spec:
    spec: Spec = {
        "animation": False,
        "useUTC": True,
        "grid": {
            "left": 8,
            "right": 14,
            "top": top + (26 if legend else 0),
            "bottom": bottom,
            "containLabel": True,
        },
        "tooltip": {"trigger": "axis", "confine": True, "axisPointer": {"type": "line"}},
    }
    if legend:
        spec["legend"] = {
            "top": 0,
            "left": 0,
            "itemWidth": 14,
            "itemHeight": 9,
            "itemGap": 16,
            "type": "scroll",
            "icon": "roundRect",
        }
    return spec


def times(**more: Any) -> Spec:
    return {
        "type": "time",
        "axisTick": {"show": False},
        "axisLine": {"lineStyle": {"color": LINE}},
        "splitLine": {"show": False},
        "axisLabel": {"hideOverlap": True},
        **more,
    }


def values(**more: Any) -> Spec:
    return {
        "type": "value",
        "splitNumber": 4,
        "axisLine": {"show": False},
        "axisTick": {"show": False},
        "splitLine": {"lineStyle": {"color": LINE}},
        **more,
    }


def volume(rollups: Sequence[Rollup]) -> Spec:
    """Predictions over time, errors stacked on top."""
    spec = chart(legend=True)
    good = [[row.start, row.count - row.errors] for row in rollups]
    bad = [[row.start, row.errors] for row in rollups]
    bars: Spec = {"type": "bar", "stack": "all", "barCategoryGap": "18%", "barMaxWidth": 26}
    if len(rollups) > _GAPS:
        # Gaps of less than a pixel would be drawn as stripes: the bars overlap a little instead.
        bars = {"type": "bar", "stack": "all", "barWidth": "112%"}
    return spec | {
        "xAxis": times(),
        "yAxis": values(minInterval=1),
        "series": [
            {**bars, "name": "answered", "data": good, "itemStyle": {"color": INFO}},
            {**bars, "name": "errors", "data": bad, "itemStyle": {"color": BAD}},
        ],
    }


def lines(
    named: Mapping[str, Sequence[tuple[str, float | None]]],
    *,
    unit: str = "",
    limit: tuple[str, float] | None = None,
    logarithmic: bool = False,
) -> Spec:
    """One line per name over time; `limit` draws a labelled rule across, where it is in sight."""
    spec = chart(legend=len(named) > 1)
    axis = values(axisLabel={"formatter": "{value}" + (f" {unit}" if unit else "")})
    if logarithmic:
        axis |= {"type": "log", "logBase": 10}
    series: list[Spec] = []
    for position, (name, points) in enumerate(named.items()):
        drawn = [[when, positive(value) if logarithmic else value] for when, value in points]
        line: Spec = {
            "type": "line",
            "name": name,
            "data": drawn,
            "showSymbol": len(points) < 40,
            "symbolSize": 5,
            "lineStyle": {"width": 2},
            "connectNulls": False,
        }
        if limit is not None and position == 0:
            line["markLine"] = rule(*limit)
        series.append(line)
    spec["tooltip"]["valueFormatter"] = f"%.1f {unit}" if unit else "%.3f"
    return spec | {"xAxis": times(), "yAxis": axis, "series": series}


def positive(value: float | None) -> float | None:
    return value if value is not None and value > 0 else None


def rule(label: str, value: float) -> Spec:
    return {
        "silent": True,
        "symbol": "none",
        "lineStyle": {"color": BAD, "type": "dashed", "width": 1.5},
        "label": {"formatter": label, "position": "insideEndTop", "color": QUIET},
        "data": [{"yAxis": value}],
    }


def unit_of(latencies: Iterable[float | None]) -> tuple[str, float]:
    """The unit in which these milliseconds are easiest read, and how many of it make one."""
    known = sorted(value for value in latencies if value)
    middle = known[len(known) // 2] if known else 1.0
    if middle < 1:
        return "µs", 1_000.0
    return ("s", 0.001) if middle >= 10_000 else ("ms", 1.0)


def latency_lines(points: Sequence[LatencyPoint], slo_ms: float) -> Spec:
    """Percentiles over time on a logarithmic axis, with the objective as a rule.

    An objective far above everything is left out: the axis would be empty below it.
    """
    named = ("p50", "p95", "p99")
    known = [value for point in points for name in named if (value := getattr(point, name))]
    unit, times_ms = unit_of(known)
    limit = None
    if objective_in_sight(points, slo_ms):
        limit = (f"objective {wording.duration(slo_ms)}", slo_ms * times_ms)
    spec = lines(
        {
            name: [(point.start, _scaled(getattr(point, name), times_ms)) for point in points]
            for name in named
        },
        unit=unit,
        limit=limit,
        logarithmic=True,
    )
    if limit is not None and known:
        # A rule by itself widens no axis.
        ends = [*known, slo_ms]
        spec["yAxis"] |= {
            "min": 10.0 ** math.floor(math.log10(min(ends) * times_ms)),
            "max": 10.0 ** math.ceil(math.log10(max(ends) * times_ms)),
        }
    return spec


def objective_in_sight(points: Sequence[LatencyPoint], slo_ms: float) -> bool:
    """Whether `latency_lines` draws the objective, or it is too far above everything."""
    known = [point.p99 for point in points if point.p99]
    return slo_ms <= _OUT_OF_SIGHT * max(known, default=slo_ms)


def _scaled(value: float | None, by: float) -> float | None:
    return None if value is None else round(value * by, 6)


def latency_heat(cells: Sequence[LatencyCell]) -> Spec:
    """How many predictions fell into each latency bucket over time.

    Colour is the logarithm of the count, so that a single slow one is seen beside thousands.
    Buckets without any stand between those with some; bins of time beyond what is readable are
    added up by as many as it takes.
    """
    starts = sorted({cell.start for cell in cells})
    together = heat_bins(cells)
    column = {start: position // together for position, start in enumerate(starts)}
    buckets = _contiguous(sorted({(cell.low_ms, cell.high_ms or math.inf) for cell in cells}))
    row = {low: position for position, (low, _) in enumerate(buckets)}
    counts: dict[tuple[int, int], int] = {}
    for cell in cells:
        if cell.count:
            place = column[cell.start], row[cell.low_ms]
            counts[place] = counts.get(place, 0) + cell.count
    drawn = [[x, y, count, round(math.log10(count), 3)] for (x, y), count in counts.items()]
    most = max(counts.values(), default=1)
    spec = chart(top=4, bottom=34)
    spec["tooltip"] = {"confine": True}
    return spec | {
        "xAxis": categories([_short(start, starts) for start in starts[::together]]),
        "yAxis": categories([bucket_label(low, high) for low, high in buckets]),
        "visualMap": {
            "min": 0,
            "max": round(math.log10(most), 3) or 1,
            "dimension": 3,
            "calculable": False,
            "orient": "horizontal",
            "left": 0,
            "bottom": 0,
            "itemWidth": 10,
            "itemHeight": 90,
            "text": [f"{most:,}", "1"],
        },
        "series": [
            {
                "type": "heatmap",
                "name": "predictions",
                "data": drawn,
                "encode": {"x": 0, "y": 1, "value": 2, "tooltip": 2},
            }
        ],
    }


def heat_bins(cells: Sequence[LatencyCell]) -> int:
    """How many bins of time make one column of the heat map."""
    return max(1, math.ceil(len({cell.start for cell in cells}) / _COLUMNS))


def _contiguous(known: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The buckets with those between them that are empty: they grow by a fixed factor."""
    buckets: list[tuple[float, float]] = []
    for low, high in known:
        while buckets:
            before, end = buckets[-1]
            if before <= 0 or end * _SAME >= low:
                break
            buckets.append((end, min(end * end / before, low)))
        buckets.append((low, high))
    return buckets


def bucket_label(low: float, high: float) -> str:
    if math.isinf(high):
        return f"≥ {wording.duration(low)}"
    if high <= 1:
        return f"{_round(low * 1000)}–{_round(high * 1000)} µs"
    return f"{_round(low)}–{_round(high)} ms"


def _round(value: float) -> str:
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def _short(start: str, starts: Sequence[str]) -> str:
    """The part of a time that differs along the axis."""
    days = {text[:10] for text in starts}
    if len(days) == len(starts):
        return start[:10]
    return start[5:16].replace("T", " ") if len(days) > 1 else start[11:16]


def categories(names: Sequence[str], **more: Any) -> Spec:
    return {
        "type": "category",
        "data": list(names),
        "axisTick": {"show": False},
        "axisLine": {"lineStyle": {"color": LINE}},
        "splitArea": {"show": False},
        "axisLabel": {"hideOverlap": True},
        **more,
    }


def above(value: float) -> float:
    """The next round number above, for the end of an axis."""
    size = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    steps = (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8, 10, 12)
    return next(round(step * size, 9) for step in steps if step * size > value * 1.04)


def ranked(rows: Iterable[tuple[str, float | None]], *, limit: tuple[str, float]) -> Spec:
    """Horizontal bars of milliseconds, largest first; bars beyond the limit are marked."""
    given = [(name, value) for name, value in rows if value is not None]
    unit, times_ms = unit_of(value for _, value in given)
    known = [(name, round(value * times_ms, 6)) for name, value in given]
    limit = limit[0], limit[1] * times_ms
    known.sort(key=lambda row: row[1])
    spec = chart(top=22)
    spec["tooltip"] = {"trigger": "item", "confine": True, "valueFormatter": f"%.1f {unit}"}
    data = [
        {"value": value, "itemStyle": {"color": WARN if value > limit[1] else INFO}}
        for _, value in known
    ]
    most = max((value for _, value in known), default=limit[1])
    series: Spec = {"type": "bar", "data": data, "barMaxWidth": 16}
    # A limit far beyond every bar would press them flat: then the table below tells enough.
    if limit[1] <= most * 4:
        most = max(most, limit[1])
        series["markLine"] = rule(*limit)
        series["markLine"]["data"] = [{"xAxis": limit[1]}]
        series["markLine"]["label"]["position"] = "end"
    return spec | {
        "xAxis": values(
            axisLabel={
                "formatter": "{value} " + unit,
                "hideOverlap": True,
                "alignMaxLabel": "right",
            },
            min=0,
            max=above(most),
        ),
        "yAxis": categories(
            [name for name, _ in known], axisLabel={"width": 150, "overflow": "truncate"}
        ),
        "series": [series],
    }


def spark(points: Sequence[tuple[str, float | None]], name: str) -> Spec:
    """A small line without axes, for one of many."""
    return {
        "animation": False,
        "useUTC": True,
        "grid": {"left": 2, "right": 2, "top": 6, "bottom": 4},
        "tooltip": {"trigger": "axis", "confine": True, "valueFormatter": "%.1f ms"},
        "xAxis": {"type": "time", "show": False},
        "yAxis": {"type": "value", "show": False, "min": 0},
        "series": [
            {
                "type": "line",
                "name": name,
                "data": [[when, value] for when, value in points],
                "showSymbol": False,
                "lineStyle": {"width": 1.8},
                "areaStyle": {"opacity": 0.1},
            }
        ],
    }
