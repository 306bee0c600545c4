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
    bars = {"type": "bar", "stack": "all", "barCategoryGap": "18%", "barMaxWidth": 26}
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
    """One line per name over time; `limit` draws a labelled rule across."""
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


def latency_lines(points: Sequence[LatencyPoint], slo_ms: float) -> Spec:
    """Percentiles over time on a logarithmic axis, with the objective as a rule."""
    return lines(
        {
            name: [(point.start, getattr(point, name)) for point in points]
            for name in ("p50", "p95", "p99")
        },
        unit="ms",
        limit=(f"objective {slo_ms:g} ms", slo_ms),
        logarithmic=True,
    )


def latency_heat(cells: Sequence[LatencyCell]) -> Spec:
    """How many predictions fell into each latency bucket over time; colour is the logged count."""
    starts = sorted({cell.start for cell in cells})
    buckets = sorted({(cell.low_ms, cell.high_ms or math.inf) for cell in cells})
    column = {start: position for position, start in enumerate(starts)}
    row = {bucket: position for position, bucket in enumerate(buckets)}
    drawn = [
        [column[cell.start], row[cell.low_ms, cell.high_ms or math.inf], cell.count]
        for cell in cells
        if cell.count
    ]
    most = max((cell.count for cell in cells), default=1)
    spec = chart(top=4, bottom=34)
    spec["tooltip"] = {"confine": True}
    return spec | {
        "xAxis": categories([_short(start, starts) for start in starts]),
        "yAxis": categories([bucket_label(low, high) for low, high in buckets]),
        "visualMap": {
            "min": 0,
            "max": most,
            "calculable": False,
            "orient": "horizontal",
            "left": 0,
            "bottom": 0,
            "itemWidth": 10,
            "itemHeight": 90,
            "text": [f"{most:,}", "0"],
        },
        "series": [{"type": "heatmap", "name": "predictions", "data": drawn}],
    }


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


def ranked(
    rows: Iterable[tuple[str, float | None]], *, unit: str, limit: tuple[str, float]
) -> Spec:
    """Horizontal bars, largest first; bars beyond the limit are marked."""
    known = [(name, value) for name, value in rows if value is not None]
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
            axisLabel={"formatter": "{value} " + unit, "hideOverlap": True},
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
