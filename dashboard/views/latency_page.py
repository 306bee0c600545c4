"""Latency: inside the objective or not, and who is slow. Percentiles come from merged histograms
of the API and are never averaged here."""

from __future__ import annotations

import streamlit as st

from dashboard import charts, looks, states, wording
from dashboard.answers import Latency, LatencyGroup, LatencySummary
from dashboard.frame import Frame
from dashboard.looks import Field, Figure

_TARGETS = {"90%": 0.90, "95%": 0.95, "99%": 0.99, "99.9%": 0.999}


def render(frame: Frame) -> None:
    if not frame.models:
        frame.empty()
        return
    slo_ms, target = _objective()
    query = {**frame.query, "step": frame.span.step, "slo_ms": slo_ms}
    answer = states.asked("Latency", lambda: frame.api.latency(query))
    if answer is None:
        return
    summary = answer.summary
    if not summary.count:
        frame.empty()
        return
    if summary.p50 is None:
        states.nothing_yet(
            "Latency was not reported",
            f"{wording.count(summary.count)} predictions are in range, none with latency_ms.total.",
        )
        return
    st.html(looks.figures(_figures(summary, slo_ms, target)))
    with st.container(border=True, key="percentiles"):
        _percentiles(answer, frame, slo_ms)
    left, right = st.columns([3, 2], gap="medium")
    with left.container(border=True, height="stretch", key="heat"):
        _heat(answer, frame)
    with right.container(border=True, height="stretch", key="who"):
        _who(answer, slo_ms)
    st.html(looks.heading("By integration and model", "slowest first"))
    st.html(_groups(answer, frame, target))
    st.html(looks.heading("Slowest predictions", "each opens as a decision"))
    st.html(_slowest(answer))


def _objective() -> tuple[float, float]:
    with st.container(horizontal=True, vertical_alignment="bottom", key="objective"):
        slo_ms = st.number_input(
            "Objective (ms)",
            min_value=0.001,
            max_value=600_000.0,
            value=100.0,
            step=10.0,
            format="%g",
            key="slo_ms",
            bind="query-params",
            width=150,
        )
        target = st.selectbox(
            "for at least",
            list(_TARGETS),
            index=1,
            key="target",
            bind="query-params",
            width=110,
            help="The share of predictions that should be at least this fast.",
        )
    return float(slo_ms), _TARGETS[target]


def _figures(summary: LatencySummary, slo_ms: float, target: float) -> list[Figure]:
    met = None if summary.under_slo is None else summary.under_slo >= target
    return [
        Figure("p50", wording.duration(summary.p50), "half are faster"),
        Figure("p95", wording.duration(summary.p95), "1 in 20 is slower"),
        Figure("p99", wording.duration(summary.p99), "1 in 100 is slower"),
        Figure(
            f"Within {wording.duration(slo_ms)}",
            wording.share(summary.under_slo),
            f"objective {wording.share(target)}",
            None if met is None else ("ok" if met else "bad"),
        ),
        Figure("Error budget left", *_budget(summary.under_slo, target)),
        Figure("Predictions", wording.count(summary.count), "in range"),
    ]


def _budget(under: float | None, target: float) -> tuple[str, str, str | None]:
    """How much of the allowed slow share is unused; negative means overspent."""
    if under is None:
        return wording.ABSENT, "", None
    left = 1 - (1 - under) / (1 - target)
    note = f"{wording.share(1 - under)} slow, {wording.share(1 - target)} allowed"
    if left < 0:
        return "spent", f"{(1 - under) / (1 - target):.1f}× of it; {note}", "bad"
    return wording.share(left), note, "ok" if left >= 0.25 else "warn"


def _percentiles(answer: Latency, frame: Frame, slo_ms: float) -> None:
    points = [point for point in answer.points if point.count]
    beyond = "" if charts.objective_in_sight(points, slo_ms) else ", the objective is far above"
    st.html(looks.heading("Percentiles", f"per {frame.span.step}, logarithmic, UTC{beyond}"))
    st.echarts_chart(
        charts.latency_lines(points, slo_ms),
        height=260,
        key="chart-percentiles",
        alt="Lines of p50, p95 and p99 over time, with the objective as a dashed line.",
    )
    with st.expander("As a table", type="compact"):
        st.dataframe(
            [
                {
                    "start (UTC)": wording.moment(point.start),
                    "predictions": point.count,
                    "p50": wording.duration(point.p50),
                    "p95": wording.duration(point.p95),
                    "p99": wording.duration(point.p99),
                    "within": wording.share(point.under_slo),
                }
                for point in points
            ],
            hide_index=True,
            height=240,
            alt="Percentiles per bin",
        )


def _heat(answer: Latency, frame: Frame) -> None:
    cells = [cell for cell in answer.heat if cell.count]
    bins = charts.heat_bins(cells)
    each = frame.span.step if bins == 1 else f"{bins} {frame.span.step}s"
    st.html(looks.heading("Distribution", f"predictions per latency bucket and {each}"))
    buckets = len({(cell.low_ms, cell.high_ms) for cell in cells})
    st.echarts_chart(
        charts.latency_heat(cells),
        height=max(240, min(420, 90 + 18 * buckets)),
        key="chart-heat",
        alt=f"Heat map of {buckets} latency buckets over time; darker means more predictions.",
    )
    with st.expander("As a table", type="compact"):
        st.dataframe(
            [
                {
                    "start (UTC)": wording.moment(cell.start),
                    "from ms": cell.low_ms,
                    "to ms": cell.high_ms,
                    "predictions": cell.count,
                }
                for cell in cells
            ],
            hide_index=True,
            height=240,
            alt="Predictions per bin and latency bucket",
        )


def _who(answer: Latency, slo_ms: float) -> None:
    st.html(looks.heading("Who is slow", "p95 by group"))
    groups = sorted(answer.by, key=lambda group: -(group.p95 or 0))[:12]
    st.echarts_chart(
        charts.ranked(
            [(_name(group), group.p95) for group in groups],
            limit=("objective", slo_ms),
        ),
        height=max(180, min(420, 60 + 30 * len(groups))),
        key="chart-who",
        alt="Bars of p95 latency by integration and model version, slowest first; table below.",
    )


def _name(group: LatencyGroup) -> str:
    return f"{group.integration} · {group.model} {group.version}"


def _groups(answer: Latency, frame: Frame, target: float) -> str:
    groups = sorted(answer.by, key=lambda group: -(group.p95 or 0))
    rows = [
        (
            looks.link(
                "latency", group.integration, **{**frame.params, "integration": group.integration}
            ),
            group.model,
            group.version,
            wording.count(group.count),
            wording.duration(group.p50),
            wording.duration(group.p95),
            wording.duration(group.p99),
            looks.badge(_met(group, target), wording.share(group.under_slo)),
        )
        for group in groups
    ]
    fields = (
        Field("Integration"),
        Field("Model"),
        Field("Version"),
        Field("Predictions", True),
        Field("p50", True),
        Field("p95", True),
        Field("p99", True),
        Field("Within objective"),
    )
    return looks.table(fields, rows, caption="Latency by integration, model and version")


def _met(group: LatencyGroup, target: float) -> str:
    if group.under_slo is None:
        return "unknown"
    return "ok" if group.under_slo >= target else "bad"


def _slowest(answer: Latency) -> str:
    rows = [
        (
            wording.duration(slow.latency_ms),
            wording.moment(slow.time, seconds=True),
            slow.integration,
            slow.model,
            slow.version,
            looks.link("decision", f"entry {slow.index:,}", entry=slow.index),
        )
        for slow in answer.slowest[:10]
    ]
    fields = (
        Field("Latency", True),
        Field("Time (UTC)"),
        Field("Integration"),
        Field("Model"),
        Field("Version"),
        Field("Decision"),
    )
    return looks.table(fields, rows, caption="Slowest predictions")
