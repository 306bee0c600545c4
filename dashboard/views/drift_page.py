"""Drift: which columns moved, how far beyond their threshold, and is it confirmed?

Everything shown was judged by the scheduler and is read from the ledger; the page computes no
test and no score. A window without enough rows is shown as insufficient, never as fine.
"""

from __future__ import annotations

import streamlit as st

from dashboard import drift_charts, looks, states, wording
from dashboard.frame import Frame
from dashboard.judged import ColumnVerdict, Measured
from dashboard.looks import Field, Figure, Markup

_VERDICT_RANK = {"fault": 0, "shift": 1, "ok": 2, "insufficient": 3}
_MOST_ON_MAP = 30


def render(frame: Frame) -> None:
    if not frame.models:
        frame.empty()
        return
    model = frame.model or frame.model_names[0]
    query = {**frame.span.query, "model": model, "version": frame.version}
    answer = states.asked("Drift", lambda: frame.api.drift(query))
    if answer is None:
        return
    measured = _one_series(list(answer.items))
    if not measured:
        _nothing(frame, model)
        return
    if answer.next is not None:
        st.caption(
            f"The newest {len(answer.items)} windows; choose a shorter range for older ones."
        )
    measured.sort(key=lambda item: item.window.start or item.time)
    window = _window(measured)
    st.html(_headline(model, window, _newer(measured, window)))
    st.html(looks.figures(_figures(window)))
    column = _column(window)
    with st.container(border=True, key="map"):
        _map(measured)
    left, right = st.columns(2, gap="medium")
    with left.container(border=True, height="stretch", key="history"):
        _history(measured, column)
    with right.container(border=True, height="stretch", key="shape"):
        _shape(column)
    st.html(looks.heading("Columns of this window", "furthest beyond its threshold first"))
    st.html(_columns(window, column))
    _evidence(window)


def _nothing(frame: Frame, model: str) -> None:
    """No verdict: filtered away, or not judged yet, which is not the same as fine."""
    if frame.version or frame.span.preset != "all":
        every = states.asked("Drift", lambda: frame.api.drift({**_always(frame), "model": model}))
        if every is not None and every.items:
            frame.empty()
            return
    states.nothing_yet(
        "No window has been judged yet",
        f"{model} needs a policy with a reference window; apply one and the scheduler judges "
        "each window when it closes.",
    )
    st.code("modelwitness apply policy.yaml", language="bash")


def _always(frame: Frame) -> dict[str, str]:
    return {"from": "1990-01-01T00:00:00Z", "to": wording.rfc3339(frame.now)}


def _one_series(measured: list[Measured]) -> list[Measured]:
    """One version and one segment: each is judged by itself. The choice is in the address."""
    newest: dict[str, str] = {}
    for item in measured:
        name = f"version {item.model.version}"
        newest[name] = max(newest.get(name, ""), item.time)
    if len(newest) > 1:
        shown = st.pills(
            "Version judged",
            sorted(newest, key=lambda name: newest[name], reverse=True),
            default=max(newest, key=lambda name: newest[name]),
            required=True,
            key="judged",
            bind="query-params",
            label_visibility="collapsed",
        )
        measured = [item for item in measured if f"version {item.model.version}" == shown]
    segments = list(dict.fromkeys(_segment(item) for item in measured))
    if len(segments) > 1:
        wanted = st.selectbox("Segment", segments, key="segment", bind="query-params", width=260)
        measured = [item for item in measured if _segment(item) == wanted]
    return measured


def _segment(item: Measured) -> str:
    return wording.plain(item.segment) if item.segment else "all"


def _window(measured: list[Measured]) -> Measured:
    """The chosen window; unless one is chosen, the newest in which something was found."""
    labels = {_label(item): item for item in measured}
    names = list(reversed(labels))
    first = _label(_worth_seeing(measured))
    wanted = st.selectbox(
        "Window",
        names,
        index=names.index(first),
        key="window",
        bind="query-params",
        width=330,
        help="The windows that were judged in this range, newest first. The page opens on the "
        "newest with a shift or a fault, where there is one.",
    )
    return labels.get(wanted, measured[-1])


def _worth_seeing(measured: list[Measured]) -> Measured:
    """Of windows in the order of time: the last with trouble, else the last that was judged."""
    for wanted in ({"shift", "fault"}, {"ok"}):
        found = [item for item in measured if item.verdict in wanted]
        if found:
            return found[-1]
    return measured[-1]


def _newer(measured: list[Measured], window: Measured) -> str:
    """What was judged after the window shown, so that old trouble is not taken for new."""
    later = [item for item in measured[measured.index(window) + 1 :] if item is not window]
    if not later:
        return ""
    counts = {item.verdict: 0 for item in later}
    for item in later:
        counts[item.verdict] += 1
    told = ", ".join(f"{count} {verdict}" for verdict, count in counts.items())
    return f"{wording.counted(len(later), 'newer window')}: {told}."


def _label(item: Measured) -> str:
    return wording.window(item.window.start, item.window.end)


def _column(window: Measured) -> ColumnVerdict | None:
    ordered = sorted(window.columns, key=_badness)
    names = [column.name for column in ordered]
    if not names:
        return None
    wanted = st.session_state.get("column") or st.query_params.get("column")
    return next((column for column in ordered if column.name == wanted), ordered[0])


def _badness(column: ColumnVerdict) -> tuple[int, float, str]:
    ratio = drift_charts.ratio_of(column)
    return (_VERDICT_RANK.get(column.verdict, 3), -(ratio or 0.0), column.name)


def _headline(model: str, window: Measured, newer: str) -> str:
    confirmation = window.confirmation
    confirmed = confirmation is not None and confirmation.confirmed
    words = {
        "ok": "no column moved beyond its threshold",
        "shift": "the data has shifted" + (", confirmed" if confirmed else ", not yet confirmed"),
        "fault": "the data is faulty",
        "insufficient": "not enough rows to judge",
    }
    title = f"{model} version {window.model.version}: {words.get(window.verdict, window.verdict)}"
    return looks.notice(window.verdict, title, looks.join(window.reason, looks.quiet(newer)))


def _figures(window: Measured) -> list[Figure]:
    outputs = [column for column in window.columns if column.role in {"output", "score"}]
    worst = min(outputs, key=_badness, default=None)
    confirmation = window.confirmation
    seen, needed = wording.ABSENT, ""
    if confirmation is not None:
        seen = f"{confirmation.seen} of {wording.counted(confirmation.of, 'window')}"
        needed = "confirmed" if confirmation.confirmed else f"{confirmation.needed} needed"
    return [
        Figure("Verdict", window.verdict, _label(window), window.verdict),
        _moved(window),
        Figure(
            "Prediction drift",
            worst.verdict if worst else "not judged",
            f"{worst.name}: {wording.number(worst.score)}" if worst else "",
            worst.verdict if worst else "unknown",
        ),
        Figure(
            "Moved in",
            seen,
            needed,
            "shift" if confirmation and confirmation.confirmed else None,
        ),
        Figure("Rows judged", wording.count(window.window.rows), "in this window"),
        Figure(
            "Reference rows",
            wording.count(window.reference.rows),
            wording.window(window.reference.start, window.reference.end),
        ),
    ]


def _moved(window: Measured) -> Figure:
    """How many inputs moved; none of those that were not judged counts as quiet."""
    inputs = [column for column in window.columns if column.role == "input"]
    judged = [column for column in inputs if column.verdict != "insufficient"]
    if window.verdict == "insufficient" or not judged:
        return Figure("Inputs drifted", "not judged", "not enough rows", "insufficient")
    moved = [column for column in judged if column.verdict == "shift"]
    return Figure("Inputs drifted", f"{len(moved)} of {len(inputs)}", _faulty(window))


def _faulty(window: Measured) -> str:
    return (
        f"{wording.counted(len(window.faulty), 'column')} faulty" if window.faulty else "no faults"
    )


def _map(measured: list[Measured]) -> None:
    st.html(looks.heading("Columns over time", "score in units of its threshold, per window"))
    st.html(looks.legend(drift_charts.DRIFT_CLASSES))
    ordered = _names_by_trouble(measured)
    shown = ordered[:_MOST_ON_MAP]
    drawn = drift_charts.drift_map(measured, shown)
    windows = wording.counted(len(measured), "window")
    st.echarts_chart(
        drawn,
        height=44 + 24 * len(shown),
        key="chart-map",
        alt=f"Map of {wording.counted(len(shown), 'column')} over {windows}, coloured by score "
        "in units of the threshold. The table below it has the same values.",
    )
    if len(ordered) > len(shown):
        st.caption(f"{len(ordered) - len(shown)} quieter columns are in the table.")
    with st.expander("As a table", type="compact"):
        st.dataframe(
            [
                {
                    "window": _label(item),
                    "verdict": wording.labelled(item.verdict),
                    "rows": item.window.rows,
                    **{column.name: _cell(column) for column in item.columns},
                }
                for item in reversed(measured)
            ],
            hide_index=True,
            alt="Score over threshold per window and column",
        )


def _cell(column: ColumnVerdict) -> str:
    ratio = drift_charts.ratio_of(column)
    if column.verdict in {"fault", "insufficient"} or ratio is None:
        return wording.labelled(column.verdict)
    return f"{ratio:.2f}×"


def _names_by_trouble(measured: list[Measured]) -> list[str]:
    worst: dict[str, tuple[int, float, str]] = {}
    for item in measured:
        for column in item.columns:
            worst[column.name] = min(worst.get(column.name, (9, 0.0, "")), _badness(column))
    return sorted(worst, key=lambda name: worst[name])


def _history(measured: list[Measured], column: ColumnVerdict | None) -> None:
    if column is None:
        st.html(looks.heading("Score over time"))
        return
    names = _names_by_trouble(measured)
    st.selectbox("Column", names, index=names.index(column.name), key="column", bind="query-params")
    st.html(looks.heading(f"{column.name} over time", column.test or "", level=3))
    st.echarts_chart(
        drift_charts.score_line(measured, column.name),
        height=230,
        key="chart-score",
        alt=f"Drift score of {column.name} per window, and its threshold as a dashed line.",
    )


def _shape(column: ColumnVerdict | None) -> None:
    name = column.name if column else ""
    st.html(looks.heading(f"{name}: reference and this window", "share of rows"))
    if column is None or column.histogram is None or not column.histogram.bins:
        states.nothing_yet("No histogram", "This column was not counted in this window.")
        return
    shown = column.histogram
    reference, current = drift_charts.shares(shown.reference), drift_charts.shares(shown.current)
    st.echarts_chart(
        drift_charts.histogram(shown),
        height=270,
        key="chart-shape",
        alt=f"Shares of {name} per bin, reference beside current.",
    )
    with st.expander("As a table", type="compact"):
        st.dataframe(
            [
                {"bin": str(label), "reference": wording.share(was), "current": wording.share(now)}
                for label, was, now in zip(shown.bins, reference, current, strict=False)
            ],
            hide_index=True,
            height=220,
            alt=f"Shares of {name} per bin",
        )


def _columns(window: Measured, chosen: ColumnVerdict | None) -> str:
    ordered = sorted(window.columns, key=_badness)
    rows = [
        (
            column.name,
            column.role,
            looks.badge(column.verdict),
            column.test or wording.ABSENT,
            wording.number(column.score),
            wording.number(column.threshold, 2),
            _bar(column),
            wording.number(column.q),
            wording.count(column.n_current),
            wording.share(wording.part(column.missing or 0, window.window.rows)),
            _notes(column),
        )
        for column in ordered
    ]
    fields = (
        Field("Column"),
        Field("Role"),
        Field("Verdict"),
        Field("Test"),
        Field("Score", True),
        Field("Threshold", True),
        Field("Score ÷ threshold"),
        Field("q (adjusted p)", True),
        Field("Rows", True),
        Field("Missing", True),
        Field("Notes"),
    )
    position = ordered.index(chosen) if chosen in ordered else -1
    return looks.table(fields, rows, caption="Columns of the chosen window", chosen=position)


def _notes(column: ColumnVerdict) -> str:
    notes = [f"{fault.kind}: {fault.detail}".strip(": ") for fault in column.faults]
    if drift_charts.drift_class(column) == "beyond, not significant":
        notes.append("beyond its threshold, but not significantly")
    return "; ".join(notes) or wording.ABSENT


def _bar(column: ColumnVerdict) -> Markup | str:
    ratio = drift_charts.ratio_of(column)
    if ratio is None:
        return wording.ABSENT
    beyond = ratio >= 1 and column.verdict == "ok"
    tone = "none" if beyond else wording.tone(column.verdict)[1]
    width = min(100.0, ratio / 3 * 100)
    return looks.bar(tone, width, f"{ratio:.2f}×")


def _evidence(window: Measured) -> None:
    if window.index is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        proof = f"Proof of this verdict: entry {window.index:,}"
        policy = looks.mono(window.policy.revision[:12])
        st.html(
            looks.links(
                looks.link("decision", proof, entry=window.index),
                looks.quiet(looks.join("policy", window.policy.name, "revision", policy)),
            )
        )
    if st.toggle("Show the Evidently report", key="report", bind="query-params"):
        st.iframe(
            f"/report/{window.index}", height=900, alt="Evidently report of this window, sandboxed"
        )
