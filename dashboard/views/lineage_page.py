"""Lineage: what produced a model version, and what depends on it."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import graph, looks, states, wording
from dashboard.answers import Lineage, Node
from dashboard.errors import Missing
from dashboard.frame import Frame


def render(frame: Frame) -> None:
    if not frame.models:
        frame.empty()
        return
    model = frame.model or frame.model_names[0]
    with st.container(horizontal=True, vertical_alignment="bottom", key="graph-options"):
        depth, whole = _options()
    query = {"model": model, "version": frame.version, "depth": depth}
    try:
        answer = states.asked("Lineage", lambda: frame.api.lineage(query), missing_ok=True)
    except Missing:
        frame.empty()
        return
    if answer is None:
        return
    if not answer.nodes:
        states.nothing_yet(
            "No lineage for this model",
            "Send model.lineage with predictions, or a VersionReleased event, to see where a "
            "version comes from.",
        )
        return
    shown = _clipped(answer if whole else graph.clustered(answer))
    with st.container(border=True, key="graph"):
        nodes = wording.counted(len(answer.nodes), "node")
        told = f"{nodes}, {wording.counted(len(answer.edges), 'edge')}"
        st.html(looks.heading(model, told))
        picked = _draw(shown)
    more = len(answer.nodes) - len(shown.nodes) if whole else 0
    if more:
        st.caption(f"+{more} more nodes: choose a version or a smaller depth to see them.")
    left, right = st.columns([2, 3], gap="medium")
    with left.container(border=True, key="detail"):
        _detail(shown, picked)
    with right:
        st.html(looks.heading("Edges", "the graph as a table; the corner menu saves it as CSV"))
        st.dataframe(
            graph.edge_rows(answer),
            hide_index=True,
            placeholder=wording.ABSENT,
            key="edges",
            alt="Every edge of the graph",
            column_config={"count": st.column_config.NumberColumn(format="localized")},
        )


def _options() -> tuple[int, bool]:
    """How far to go, and whether many nodes of one kind are drawn one by one."""
    depth = st.segmented_control(
        "Depth",
        [1, 2, 3, 4],
        default=4,
        required=True,
        key="depth",
        bind="query-params",
        help="How many steps away from the model's versions to go, both ways.",
    )
    view = st.segmented_control(
        "Nodes",
        ["compact", "full"],
        default="compact",
        required=True,
        key="nodes",
        bind="query-params",
        help="Compact draws many nodes of one kind as one; the table has every edge.",
    )
    return int(depth), view == "full"


def _clipped(answer: Lineage) -> Lineage:
    if len(answer.nodes) <= graph.MOST_NODES:
        return answer
    nodes = answer.nodes[: graph.MOST_NODES]
    kept = {node.id for node in nodes}
    return Lineage(
        nodes, tuple(edge for edge in answer.edges if edge.source in kept and edge.target in kept)
    )


def _draw(shown: Lineage) -> str | None:
    """Draw the graph; returns the id of the node that was clicked."""
    chosen = st.session_state.get("node")
    marked = next((node.id for node in shown.nodes if _title(node) == chosen), None)
    selection = st.echarts_chart(
        graph.drawn(shown, marked),
        height=graph.height(shown),
        key="chart-graph",
        on_select="rerun",
        alt=graph.summary(shown),
    )
    for position in _positions(selection):
        if 0 <= position < len(shown.nodes):
            return shown.nodes[position].id
    return None


def _positions(selection: Any) -> list[int]:
    """Data indices of a selection; an edge has none that we want."""
    found = getattr(selection, "selection", None) or {}
    points = found.get("points", []) if hasattr(found, "get") else []
    return [
        int(point["data_index"])
        for point in points
        if "data_index" in point and point.get("data_type", "node") == "node"
    ]


def _detail(shown: Lineage, picked: str | None) -> None:
    titles = {_title(node): node for node in shown.nodes}
    if picked is not None and st.session_state.get("picked-before") != picked:
        st.session_state["picked-before"] = picked
        st.session_state["node"] = next(
            title for title, node in titles.items() if node.id == picked
        )
    first = next((title for title, node in titles.items() if node.kind == "version"), None)
    names = list(titles)
    wanted = st.selectbox(
        "Node",
        names,
        index=names.index(first) if first else 0,
        key="node",
        bind="query-params",
        help="Choose here or click in the graph.",
    )
    node = titles[wanted]
    st.html(
        looks.heading(
            node.label or node.id,
            looks.badge(node.status, wording.SAID.get(node.status or ""))
            if node.status not in {None, "unknown"}
            else "",
        )
        + looks.pairs(
            [
                ("kind", graph.KINDS.get(node.kind, (node.kind, ""))[0]),
                *((name.replace("_", " "), _value(value)) for name, value in node.detail.items()),
            ]
        )
    )
    index = node.detail.get("index")
    if isinstance(index, int):
        there = looks.link("decision", f"entry {index:,}", entry=index)
        st.html(looks.links(there))


def _title(node: Node) -> str:
    return f"{graph.KINDS.get(node.kind, (node.kind, ''))[0]} · {node.label or node.id}"


def _value(value: Any) -> looks.Text:
    text = wording.plain(value)
    return looks.mono(text) if len(text) >= 32 and " " not in text else text
