"""Chart specifications of the drift page: the map of columns over windows, scores, shapes.

The verdicts and scores come from the API; these functions only place and colour them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from dashboard import wording
from dashboard.charts import BAD, INFO, NONE, Spec, above, categories, chart, lines, values
from dashboard.judged import ColumnVerdict, Histogram, Measured

# The drift map: (class, colour). Order is the order of the legend. What is fine stays pale, on
# either background, so that the eye goes to what is not.
DRIFT_CLASSES: Final = (
    ("fault", BAD),
    ("over 2× threshold", "#c25a00"),
    ("1–2× threshold", "#eba53a"),
    ("0.7–1× threshold", "rgba(29,154,108,.5)"),
    ("below 0.7×", "rgba(29,154,108,.2)"),
    ("beyond, not significant", "rgba(235,165,58,.35)"),
    ("insufficient", "rgba(128,140,152,.45)"),
)


def drift_class(column: ColumnVerdict) -> str:
    """Where a column falls on the map. The verdict comes from the API; this only bins its score."""
    if column.verdict == "fault":
        return "fault"
    ratio = ratio_of(column)
    if column.verdict == "insufficient" or ratio is None:
        return "insufficient"
    if ratio >= 1 and column.verdict == "ok":
        return "beyond, not significant"
    if ratio >= 2:
        return "over 2× threshold"
    if ratio >= 1:
        return "1–2× threshold"
    return "0.7–1× threshold" if ratio >= 0.7 else "below 0.7×"


def ratio_of(column: ColumnVerdict) -> float | None:
    """Score in units of its threshold, for drawing and sorting."""
    if column.score is None or not column.threshold:
        return None
    return column.score / column.threshold


def drift_map(windows: Sequence[Measured], columns: Sequence[str]) -> Spec:
    """Columns × windows, coloured by how far each score is from its threshold."""
    classes = [name for name, _ in DRIFT_CLASSES]
    drawn = []
    for across, window in enumerate(windows):
        for verdict in window.columns:
            if verdict.name not in columns:
                continue
            down = len(columns) - 1 - columns.index(verdict.name)
            drawn.append([across, down, classes.index(drift_class(verdict))])
    spec = chart(top=4, bottom=4)
    spec["tooltip"] = {"show": False}
    return spec | {
        "xAxis": categories([_start_of(window) for window in windows], position="bottom"),
        "yAxis": categories(
            list(reversed(columns)), axisLabel={"width": 118, "overflow": "truncate"}
        ),
        "visualMap": {
            "type": "piecewise",
            "show": False,
            "pieces": [
                {"value": position, "label": name, "color": colour}
                for position, (name, colour) in enumerate(DRIFT_CLASSES)
            ],
        },
        "series": [
            {
                "type": "heatmap",
                "data": drawn,
                "itemStyle": {
                    "borderColor": "rgba(128,140,152,.25)",
                    "borderWidth": 1,
                    "borderRadius": 2,
                },
                "emphasis": {"itemStyle": {"borderColor": INFO, "borderWidth": 2}},
            }
        ],
    }


def _start_of(window: Measured) -> str:
    """The name of a window on an axis: the month where it is one, else its first day."""
    first, last = wording.instant(window.window.start), wording.instant(window.window.end)
    if first is not None and last is not None and first.day == last.day == 1:
        return f"{first:%b %Y}"
    return wording.moment(window.window.start or window.time)[:10]


def score_line(windows: Sequence[Measured], name: str) -> Spec:
    """The score of one column over the windows, with its threshold."""
    points: list[tuple[str, float | None]] = []
    threshold: float | None = None
    for window in windows:
        found = next((column for column in window.columns if column.name == name), None)
        points.append((window.window.start or window.time, found.score if found else None))
        if found is not None and found.threshold is not None:
            threshold = found.threshold
    limit = None if threshold is None else (f"threshold {threshold:g}", threshold)
    spec = lines({"score": points}, limit=limit)
    known = [value for _, value in points if value is not None]
    if threshold is not None and known:
        # The rule's name stands at the end where the line is further away from it.
        near_end = abs(known[-1] - threshold) < abs(known[0] - threshold)
        place = "insideStartTop" if near_end else "insideEndTop"
        spec["series"][0]["markLine"]["label"]["position"] = place
    spec["series"][0]["areaStyle"] = {"opacity": 0.08}
    if threshold is not None:
        most = max((value for _, value in points if value is not None), default=0.0)
        spec["yAxis"] |= {"min": 0, "max": above(max(most, threshold))}
    return spec


def histogram(shown: Histogram) -> Spec:
    """Reference beside current as shares, since the two have different sizes."""
    spec = chart(legend=True)
    spec["tooltip"]["valueFormatter"] = "percent"
    bars = {"type": "bar", "barGap": "0%", "barCategoryGap": "22%"}
    return spec | {
        "xAxis": categories([_bin(label) for label in shown.bins]),
        "yAxis": values(axisLabel={"show": False}, splitNumber=3),
        "series": [
            {
                **bars,
                "name": "reference",
                "data": shares(shown.reference),
                "itemStyle": {"color": NONE},
            },
            {
                **bars,
                "name": "current",
                "data": shares(shown.current),
                "itemStyle": {"color": INFO},
            },
        ],
    }


def _bin(label: Any) -> str:
    if isinstance(label, float):
        return f"{label:g}"
    return str(label)


def shares(counts: Sequence[float]) -> list[float]:
    total = sum(counts)
    return [round(value / total, 5) if total else 0.0 for value in counts]
