"""Places a lineage graph in layers, left to right, and draws it. Pure: no Streamlit here.

The layer of a node follows from its kind, so that graphs of two models can be read alike; edges
back (a case that leads to a new version) are dashed. Within a layer, nodes stand near the mean of
what they come from, which keeps edges from crossing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, Final

from dashboard import wording
from dashboard.answers import Edge, Lineage, Node
from dashboard.charts import BAD, INFO, NONE, OK, QUIET, WARN

# Kind → (words, colour), in the order of the story that they tell.
KINDS: Final[dict[str, tuple[str, str]]] = {
    "dataset": ("dataset", "#8a6fc4"),
    "feature_set": ("feature set", "#8a6fc4"),
    "training_run": ("training run", "#8a6fc4"),
    "version": ("model version", INFO),
    "integration": ("integration", "#2a9d8f"),
    "predictions": ("predictions", INFO),
    "outcomes": ("outcomes", "#2a9d8f"),
    "oversight": ("oversight", "#2a9d8f"),
    "drift": ("drift verdicts", WARN),
    "alert": ("alert", WARN),
    "case": ("retraining case", WARN),
}
_TONES: Final = {"ok": OK, "warn": WARN, "bad": BAD, "info": INFO, "none": NONE}
_LAYERS: Final = {
    "dataset": 0,
    "feature_set": 0,
    "training_run": 1,
    "version": 2,
    "integration": 2,
    "predictions": 3,
    "outcomes": 4,
    "oversight": 4,
    "drift": 4,
    "alert": 5,
    "case": 6,
}
# Kinds that come in numbers, and which state of a member speaks for all of them.
_MANY: Final = {"drift", "outcomes", "oversight", "integration", "alert"}
_WORST: Final = ("bad", "fault", "shift", "warn", "raised", "insufficient", "ok")
_SQUARE: Final = {"dataset", "feature_set", "predictions"}
MOST_NODES: Final = 150


def layers(graph: Lineage) -> dict[str, int]:
    """Node id → layer from 0, by kind; layers without nodes are left out."""
    wanted = {node.id: _LAYERS.get(node.kind, len(_LAYERS)) for node in graph.nodes}
    used = {layer: place for place, layer in enumerate(sorted(set(wanted.values())))}
    return {name: used[layer] for name, layer in wanted.items()}


def clustered(graph: Lineage) -> Lineage:
    """The graph with many nodes of one kind and the same origin drawn as one.

    A year of judged windows is one story, not twelve; the members stand in the cluster's detail,
    and the table of edges keeps every one.
    """
    origins: dict[str, set[str]] = defaultdict(set)
    for edge in graph.edges:
        origins[edge.target].add(edge.source)
    groups: dict[tuple[str, frozenset[str]], list[Node]] = defaultdict(list)
    for node in graph.nodes:
        key = frozenset(origins[node.id]) if node.kind == "drift" else frozenset[str]()
        groups[node.kind, key].append(node)
    became: dict[str, Node] = {}
    for (kind, _), members in groups.items():
        whole = _cluster(kind, members) if kind in _MANY and len(members) > 2 else None
        became |= {node.id: whole or node for node in members}
    counts: dict[tuple[str, str, str], int | None] = {}
    for edge in graph.edges:
        if edge.source not in became or edge.target not in became:
            continue
        place = became[edge.source].id, became[edge.target].id, edge.label
        before = counts.get(place)
        counts[place] = edge.count if before is None else before + (edge.count or 0)
    nodes = tuple({node.id: became[node.id] for node in graph.nodes}.values())
    return Lineage(
        tuple({node.id: node for node in nodes}.values()),
        tuple(Edge(source, target, label, n) for (source, target, label), n in counts.items()),
    )


def _cluster(kind: str, members: Sequence[Node]) -> Node:
    states = [node.status or "unknown" for node in members]
    worst = next((state for state in _WORST if state in states), "unknown")
    words = KINDS[kind][0]
    return Node(
        id=f"all:{members[0].id}",
        kind=kind,
        label=f"{len(members)} {words if words.endswith('s') else words + 's'}",
        detail={node.label or node.id: node.status or "unknown" for node in members},
        status=worst,
    )


def places(graph: Lineage) -> dict[str, tuple[float, float]]:
    """Node id → (x, y): x by layer, y near the mean of what the node comes from."""
    layer = layers(graph)
    columns: dict[int, list[str]] = defaultdict(list)
    for node in graph.nodes:
        columns[layer[node.id]].append(node.id)
    sources: dict[str, list[str]] = defaultdict(list)
    for edge in graph.edges:
        if layer.get(edge.source, 0) < layer.get(edge.target, 0):
            sources[edge.target].append(edge.source)
    tallest = max((len(names) for names in columns.values()), default=1)
    where: dict[str, tuple[float, float]] = {}
    for across in sorted(columns):
        names = columns[across]
        wish = {name: _mean_y(sources[name], where, (tallest - 1) / 2) for name in names}
        names.sort(key=lambda name: (wish[name], not sources[name], name))
        gap = tallest / len(names)
        for row, name in enumerate(names):
            where[name] = (float(across), (row + 0.5) * gap - 0.5)
    return where


def _mean_y(
    sources: Sequence[str], where: Mapping[str, tuple[float, float]], else_: float
) -> float:
    known = [where[source][1] for source in sources if source in where]
    return sum(known) / len(known) if known else else_


def drawn(graph: Lineage, chosen: str | None) -> dict[str, Any]:
    """The graph as an ECharts option object; data index = position in `graph.nodes`.

    Nodes stand on hidden axes rather than in ECharts' own graph view, which would stretch them
    with the width of the page.
    """
    where = places(graph)
    edges = [edge for edge in graph.edges if edge.source in where and edge.target in where]
    right = max((x for x, _ in where.values()), default=0.0)
    low = max((y for _, y in where.values()), default=0.0)
    # An edge back bends below everything else and needs room there.
    room = 0.7 if any(where[e.source][0] >= where[e.target][0] for e in edges) else 0.0
    hidden = {"type": "value", "show": False}
    return {
        "animation": False,
        "tooltip": {"confine": True, "formatter": "{b}"},
        "grid": {"left": 84, "right": 84, "top": 22, "bottom": 52},
        "xAxis": {**hidden, "min": 0, "max": max(right, 1)},
        "yAxis": {**hidden, "min": -0.2, "max": max(low, 1) + room, "inverse": True},
        "series": [
            {
                "type": "graph",
                "coordinateSystem": "cartesian2d",
                "selectedMode": "single",
                "edgeSymbol": ["none", "arrow"],
                "edgeSymbolSize": 7,
                "label": {
                    "show": True,
                    "position": "bottom",
                    "distance": 6,
                    "fontSize": 11,
                    "lineHeight": 15,
                },
                "lineStyle": {"color": QUIET, "width": 1.3, "opacity": 0.7},
                "emphasis": {"focus": "adjacency", "lineStyle": {"width": 2.5}},
                "select": {"itemStyle": {"borderWidth": 3}},
                "data": [_node(node, where[node.id], node.id == chosen) for node in graph.nodes],
                "links": [_link(edge, where) for edge in edges],
            }
        ],
    }


def _node(node: Node, at: tuple[float, float], chosen: bool) -> dict[str, Any]:
    kind, colour = KINDS.get(node.kind, (node.kind, NONE))
    known = node.status not in {None, "", "unknown"}
    glyph, tone = wording.tone(node.status) if known else ("", "")
    mark = f"{glyph} " if glyph else ""
    label = clipped(node.label or node.id)
    below = "" if kind in label else f"\n{kind}"
    return {
        "name": f"{mark}{label}{below}",
        "id": node.id,
        "value": [at[0], at[1]],
        "symbol": "roundRect" if node.kind in _SQUARE else "circle",
        "symbolSize": 26 if chosen else 20,
        "itemStyle": {
            "color": colour,
            "borderColor": _TONES.get(tone, colour),
            "borderWidth": 4 if tone in {"warn", "bad"} or chosen else 1,
        },
    }


def _link(edge: Edge, where: dict[str, tuple[float, float]]) -> dict[str, Any]:
    (x, y), (to_x, to_y) = where[edge.source], where[edge.target]
    link: dict[str, Any] = {"source": edge.source, "target": edge.target}
    if x >= to_x:
        link["lineStyle"] = {"type": "dashed", "curveness": 0.22}
    elif abs(y - to_y) < 0.01 and to_x - x > 1:
        # Past a neighbour rather than through it.
        link["lineStyle"] = {"curveness": 0.25}
    else:
        link["lineStyle"] = {"curveness": 0.0 if abs(y - to_y) < 0.01 else 0.08}
    return link


def clipped(text: str, most: int = 24) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def height(graph: Lineage) -> int:
    """Pixels that give the fullest layer room for its labels."""
    layer = layers(graph)
    fullest = max((list(layer.values()).count(place) for place in set(layer.values())), default=1)
    return min(760, max(300, 96 * fullest + 40))


def summary(graph: Lineage) -> str:
    """The graph in one sentence, for people who cannot see it."""
    kinds: dict[str, int] = defaultdict(int)
    for node in graph.nodes:
        kinds[KINDS.get(node.kind, (node.kind, ""))[0]] += 1
    told = ", ".join(wording.counted(amount, kind) for kind, amount in sorted(kinds.items()))
    return f"Lineage graph with {told}; the table below lists every edge."


def edge_rows(graph: Lineage) -> Sequence[dict[str, Any]]:
    names = {node.id: node for node in graph.nodes}
    return [
        {
            "from": _said(names.get(edge.source), edge.source),
            "relation": edge.label,
            "to": _said(names.get(edge.target), edge.target),
            "count": edge.count,
        }
        for edge in graph.edges
    ]


def _said(node: Node | None, fallback: str) -> str:
    if node is None:
        return fallback
    return f"{KINDS.get(node.kind, (node.kind, ''))[0]}: {node.label or node.id}"
