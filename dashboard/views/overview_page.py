"""Overview: is anything wrong now? Worst first, then counts, then where they come from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import msgspec
import streamlit as st

from dashboard import charts, looks, states, wording
from dashboard.answers import ModelState, Overview, Rollup
from dashboard.frame import Frame
from dashboard.looks import Field, Figure

_WORST_FIRST = {"bad": 0, "warn": 1, "stale": 2, "unknown": 3, "ok": 4}
# A model that was silent for so long before the end of the range is not known to be well.
_SILENT: Final = timedelta(days=1)
_SPARKS = 6
_NAMED = 3


def render(frame: Frame) -> None:
    overview = states.asked("Overview", lambda: frame.api.overview(frame.span.query))
    if overview is None:
        return
    totals = _totals(frame, overview)
    if not totals.count:
        frame.empty()
        return
    models = sorted(
        (_aged(model, frame.span.end) for model in overview.models if _wanted(model, frame)),
        key=lambda model: (_WORST_FIRST.get(model.status, 3), model.name, model.version),
    )
    st.html(_summary(models, overview))
    st.html(looks.figures(_figures(overview, totals, models)))
    left, right = st.columns([3, 2], gap="medium")
    with left.container(border=True, height="stretch", key="volume"):
        _volume(frame)
    with right.container(border=True, height="stretch", key="speed"):
        _speed(frame)
    st.html(looks.heading("Models", "worst first"))
    st.html(_models(frame, models))
    st.html(looks.heading("Integrations", "systems that log under their own credential"))
    st.html(_integrations(frame, overview))


@dataclass(frozen=True, slots=True)
class Totals:
    """Predictions, failed ones and p95 of what the filters select."""

    count: int
    errors: int
    p95: float | None


def _totals(frame: Frame, overview: Overview) -> Totals:
    """From the overview, or for a filtered view from routes that take filters.

    Counts of bins add up; percentiles do not, so p95 is asked for and never combined.
    """
    if not any(frame.filters.values()):
        return Totals(overview.predictions, overview.errors, overview.p95)
    query = {**frame.query, "step": "day", "type": "PredictionLogged"}
    rollups = states.asked("Counts", lambda: frame.api.rollups(query))
    latency = states.asked("p95", lambda: frame.api.latency({**frame.query, "step": "day"}))
    rows = rollups.items if rollups else ()
    return Totals(
        sum(row.count for row in rows),
        sum(row.errors for row in rows),
        latency.summary.p95 if latency else None,
    )


def _wanted(model: ModelState, frame: Frame) -> bool:
    return frame.model in {None, model.name} and frame.version in {None, model.version}


def _aged(model: ModelState, end: datetime) -> ModelState:
    """The model as `stale` where its state would be that of long ago, or was never judged.

    Trouble stays trouble, however old it is.
    """
    if model.status in {"bad", "warn"}:
        return model
    newest = wording.instant(model.last_prediction)
    silent = newest is None or newest < end - _SILENT
    if silent or (model.status == "ok" and model.verdict is None):
        return msgspec.structs.replace(model, status="stale")
    return model


def _newest(model: ModelState) -> str:
    return (
        f"newest prediction {wording.moment(model.last_prediction)}"
        if model.last_prediction
        else "no prediction"
    )


def _status(model: ModelState) -> looks.Markup:
    shown = looks.badge(model.status, wording.SAID.get(model.status))
    return looks.join(shown, looks.quiet(_newest(model))) if model.status == "stale" else shown


def _drifted(model: ModelState) -> int | None:
    return len(model.drifted) if isinstance(model.drifted, tuple) else model.drifted


def _summary(models: list[ModelState], overview: Overview) -> str:
    """The answer to the page's question, in one sentence."""
    bad = [model for model in models if model.status == "bad"]
    watched = [model for model in models if model.status == "warn"]
    stale = [model for model in models if model.status == "stale"]
    unjudged = [model for model in models if model.status not in {"bad", "warn", "ok"}]
    if bad:
        needs = "needs" if len(bad) == 1 else "need"
        title = f"{wording.counted(len(bad), 'model version')} {needs} attention"
        return looks.notice("bad", title, _reasons([*bad, *watched]))
    if watched:
        title = f"No trouble, but {wording.counted(len(watched), 'model version')} to watch"
        return looks.notice("warn", title, _reasons(watched))
    if stale:
        title = f"No trouble seen, but {wording.counted(len(stale), 'model version')} stale"
        names = ", ".join(f"{each.name} {each.version} ({_newest(each)})" for each in stale[:3])
        return looks.notice("stale", title, f"Not known to be well now: {names}.")
    if unjudged:
        title = "No trouble seen, but not everything has been judged"
        names = ", ".join(f"{model.name} {model.version}" for model in unjudged[:3])
        return looks.notice("unknown", title, f"No drift verdict yet for {names}.")
    if overview.alerts_open or overview.cases_open:
        return looks.notice(
            "warn", "Models are fine; open work remains", looks.link("cases", "Alerts & retraining")
        )
    return looks.notice("ok", "Nothing needs attention", "Every model's last window was judged ok.")


def _reasons(models: list[ModelState]) -> str:
    """The worst few, each with its reason."""
    told = [f"{each.name} version {each.version}: {_why(each)}." for each in models[:_NAMED]]
    more = len(models) - _NAMED
    return " ".join([*told, *([f"{more} more below."] if more > 0 else [])])


def _why(model: ModelState) -> str:
    reasons = []
    if model.verdict in {"shift", "fault"}:
        drifted = _drifted(model)
        where = f" in {wording.counted(drifted, 'column')}" if drifted else ""
        reasons.append(f"the last window judged shows a {model.verdict}{where}")
    if model.verdict == "insufficient":
        reasons.append("its last window had too few rows to judge")
    if model.open_alerts:
        reasons.append(wording.counted(model.open_alerts, "open alert"))
    if model.errors:
        failed = wording.share(wording.part(model.errors, model.predictions))
        reasons.append(f"{failed} of its predictions failed")
    return ", ".join(reasons) or "see its row below"


def _figures(overview: Overview, totals: Totals, models: list[ModelState]) -> list[Figure]:
    errors = wording.part(totals.errors, totals.count)
    moved = [model for model in models if model.verdict in {"shift", "fault"}]
    judged = [model for model in models if model.verdict not in {None, "insufficient"}]
    known = len(judged) == len(models) and not any(model.status == "stale" for model in models)
    verified = overview.verified
    return [
        Figure("Predictions", wording.count(totals.count), "in range"),
        Figure("Errors", wording.share(errors), f"{wording.count(totals.errors)} failed"),
        Figure("p95 latency", wording.duration(totals.p95), "1 in 20 was slower"),
        Figure(
            "Versions drifting",
            f"{len(moved)} of {len(models)}",
            f"{len(judged)} with a verdict",
            "shift" if moved else ("ok" if judged and known else "unknown"),
        ),
        Figure(
            "Open alerts",
            wording.count(overview.alerts_open),
            looks.link("cases", "alerts and cases"),
            "raised" if overview.alerts_open else None,
        ),
        Figure("Open cases", wording.count(overview.cases_open), "of retraining"),
        Figure(
            "Checkpoint verified",
            wording.count(verified.size) if verified and verified.at else "not yet",
            f"entries, at {wording.moment(verified.at)} UTC"
            if verified and verified.at
            else "no run recorded",
            "ok" if verified and verified.at else "unknown",
        ),
    ]


def _volume(frame: Frame) -> None:
    step = frame.span.step
    st.html(looks.heading("Predictions", f"per {step}, UTC"))
    query = {**frame.query, "step": step, "type": "PredictionLogged"}
    answer = states.asked("Predictions over time", lambda: frame.api.rollups(query))
    if answer is None:
        return
    rows = sorted(answer.items, key=lambda row: row.start)
    total = wording.count(sum(row.count for row in rows))
    st.echarts_chart(
        charts.volume(rows),
        height=248,
        key="chart-volume",
        alt=f"Bars of predictions per {step}: {total} in all; errors are stacked on top.",
    )
    with st.expander("As a table", type="compact"):
        st.dataframe(
            [
                {
                    "start (UTC)": wording.moment(row.start),
                    "predictions": row.count,
                    "errors": row.errors,
                }
                for row in rows
            ],
            hide_index=True,
            height=240,
            alt="Predictions and errors per bin",
        )


def _speed(frame: Frame) -> None:
    """Small multiples: one line of p95 per model version, each computed by the API."""
    st.html(looks.heading("p95 latency by model", looks.link("latency", "details", **frame.params)))
    query = {
        **frame.query,
        "step": frame.span.step,
        "type": "PredictionLogged",
        "by": "model,version",
    }
    answer = states.asked("Latency by model", lambda: frame.api.rollups(query))
    if answer is None:
        return
    lines: dict[str, list[Rollup]] = defaultdict(list)
    for row in sorted(answer.items, key=lambda row: row.start):
        lines[f"{row.keys.get('model', '-')} {row.keys.get('version', '')}".strip()].append(row)
    busiest = sorted(lines, key=lambda name: -sum(row.count for row in lines[name]))
    for name in busiest[:_SPARKS]:
        rows = [row for row in lines[name] if row.p95 is not None]
        known = [row.p95 for row in rows if row.p95 is not None]
        if not known:
            continue
        told = f"{wording.duration(min(known))} – {wording.duration(max(known))}"
        st.html(looks.heading(name, f"between {told}", level=3))
        st.echarts_chart(
            charts.spark([(row.start, row.p95) for row in rows], name),
            height=56 if len(busiest) > 2 else 92,
            key=f"spark-{name}",
            alt=f"p95 latency of {name} over time, between {told}.",
        )
    if len(busiest) > _SPARKS:
        st.caption(f"and {len(busiest) - _SPARKS} more on the latency page")


def _models(frame: Frame, models: list[ModelState]) -> str:
    rows = [
        (
            _status(model),
            looks.link(
                "drift",
                model.name,
                **{**frame.params, "model": model.name, "version": model.version},
            ),
            model.version,
            wording.count(model.predictions),
            wording.share(wording.part(model.errors, model.predictions)),
            wording.duration(model.p95),
            looks.badge(model.verdict or "unknown", model.verdict or "not judged"),
            wording.count(_drifted(model)),
            wording.count(model.open_alerts),
            wording.share(model.unlabelled_share),
            wording.moment(model.last_prediction),
        )
        for model in models
    ]
    fields = (
        Field("Status"),
        Field("Model"),
        Field("Version"),
        Field("Predictions", True),
        Field("Errors", True),
        Field("p95", True),
        Field("Last verdict"),
        Field("Drifted columns", True),
        Field("Open alerts", True),
        Field("Unlabelled", True),
        Field("Last prediction", True),
    )
    return looks.table(fields, rows, caption="Models by status, worst first")


def _integrations(frame: Frame, overview: Overview) -> str:
    rows = [
        (
            looks.link("latency", item.name, **{**frame.params, "integration": item.name}),
            wording.count(item.events),
            wording.count(item.errors),
            wording.share(wording.part(item.errors, item.events)),
            wording.moment(item.last),
        )
        for item in overview.integrations
        if frame.integration in {None, item.name}
    ]
    fields = (
        Field("Integration"),
        Field("Predictions", True),
        Field("Errors", True),
        Field("Error share", True),
        Field("Last prediction", True),
    )
    return looks.table(fields, rows, caption="Integrations")
