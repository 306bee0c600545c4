"""Lineage: what produced a model version and what depends on it, as one graph.

Decides nodes, edges and how far from the asked-for version to go. Everything is aggregated per
version: there is a node for all predictions of a version, never one for each. Hides nothing of
what it leaves out: beyond `MOST` nodes, the farthest become one node that counts them.

    parent run → training_run; dataset → training_run → version → predictions → outcomes, oversight
    feature_set → version       integration → predictions → drift → alert → case → version
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import msgspec

from audit.catalog import Released, Run
from audit.events import rfc3339
from audit.governed import Alert, Case, Verdict
from audit.releases import UNVERIFIED

MOST = 150
MOST_DEPTH = 6
UNSPLIT = "all models of this integration"
_TOLD = 20
"""Verdicts, alerts and cases told of one version, newest first."""


class Series(Protocol):
    """The part of a series row that lineage counts."""

    @property
    def type(self) -> str: ...
    @property
    def integration(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def count(self) -> int: ...
    @property
    def first_us(self) -> int: ...
    @property
    def last_us(self) -> int: ...


class Node(msgspec.Struct, frozen=True):
    """One thing. `status` is ok, warn, bad or unknown (nothing checked it); `detail` for a panel.

    Only what was judged has another status than unknown.
    """

    id: str
    kind: str
    label: str
    detail: dict[str, Any]
    status: str = "unknown"


class Edge(msgspec.Struct, frozen=True):
    """From what was there first to what came of it; `count` where events make the edge."""

    source: str = msgspec.field(name="from")
    target: str = msgspec.field(name="to")
    label: str = ""
    count: int | None = None


class Graph(msgspec.Struct, frozen=True):
    """Nodes and the edges among them."""

    nodes: list[Node]
    edges: list[Edge]


class Sources(msgspec.Struct, frozen=True):
    """All that a graph is made of; by (model, version) `versions` as `audit.releases` tells them
    and `statuses` as the overview gives them; by its name `runs` what is believed of a run."""

    series: Sequence[Series]
    versions: Mapping[tuple[str, str], Sequence[Released]]
    verdicts: Sequence[Verdict] = ()
    alerts: Sequence[Alert] = ()
    cases: Sequence[Case] = ()
    statuses: Mapping[tuple[str, str], str] = {}
    runs: Mapping[str, Sequence[Run]] = {}


def graph(sources: Sources, model: str, version: str | None, depth: int) -> Graph:
    """The graph around a model's version (None: all its versions), `depth` edges far."""
    whole = _Whole()
    released = {version: told for (of, version), told in sources.versions.items() if of == model}
    predicted = [s for s in sources.series if s.type == "PredictionLogged" and s.model == model]
    for name in sorted(released.keys() | {each.version for each in predicted}):
        status = sources.statuses.get((model, name), "unknown")
        _version(whole, model, name, released.get(name, ()), status, sources.runs)
    _traffic(whole, sources.series, predicted)
    _governance(whole, sources, model)
    centre = [
        each.id
        for each in whole.nodes.values()
        if each.kind == "version" and each.detail["version"] == (version or each.detail["version"])
    ]
    return _around(whole, centre, min(depth, MOST_DEPTH))


class _Whole:
    """The graph as it grows: a node or an edge that is there already is not added twice."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.edges: dict[tuple[str, str, str], Edge] = {}

    def node(
        self, kind: str, key: str, label: str, detail: Mapping[str, Any], status: str = "unknown"
    ) -> str:
        id = f"{kind}:{key}"
        self.nodes.setdefault(id, Node(id, kind, label, dict(detail), status))
        return id

    def edge(self, source: str, target: str, label: str, count: int | None = None) -> None:
        before = self.edges.get((source, target, label))
        if before is not None and before.count is not None and count is not None:
            count += before.count
        self.edges[source, target, label] = Edge(source, target, label, count)


def _version(
    whole: _Whole,
    model: str,
    version: str,
    releases: Sequence[Released],
    status: str,
    runs: Mapping[str, Sequence[Run]],
) -> None:
    released = releases[0] if releases else None
    lineage = released.lineage if released else {}
    detail: dict[str, Any] = {"model": model, "version": version}
    doubt = ""
    if released:
        detail |= {"released": released.time, "index": released.index, **lineage}
        detail |= {"metrics": released.metrics} if released.metrics else {}
        if released.unverified:
            doubt = f", {UNVERIFIED}"
            detail["source"] = f"{UNVERIFIED}: {released.integration}"
    others = [each for each in releases[1:] if each.unverified]
    if others:
        said = [f"{each.integration}, entry {each.index}" for each in others]
        detail["also said"] = f"{UNVERIFIED}: {'; '.join(said)}"
    if not lineage.get("training_run"):
        # A broken chain must be told, but says nothing about how the version behaves.
        detail["origin"] = "nobody told what trained it"
    node = whole.node("version", f"{model} {version}", f"{model} {version}", detail, status)
    run = lineage.get("training_run")
    target = node
    if run:
        facts = {key: lineage[key] for key in ("code_commit",) if lineage.get(key)}
        target = _run(whole, str(run), facts, runs.get(str(run), ()))
        whole.edge(target, node, f"trained{doubt}")
    datasets = list(lineage.get("datasets") or [])
    named = {each.get("name") for each in datasets}
    for told in runs.get(str(run), ()):
        inputs = [name for name in told.inputs if name not in named]
        named.update(inputs)
        datasets += [{"name": name, "digest": told.inputs[name]} for name in inputs]
    for dataset in datasets:
        name, digest = dataset.get("name"), dataset.get("digest")
        key = digest or name
        source = whole.node("dataset", f"{key}", str(name), dataset)
        whole.edge(source, target, f"trained on{doubt}")
    if lineage.get("feature_set"):
        name = str(lineage["feature_set"])
        whole.edge(whole.node("feature_set", name, name, {}), node, f"features of{doubt}")


def _run(whole: _Whole, run: str, facts: dict[str, Any], told: Sequence[Run]) -> str:
    """The node of a training run, with what orchestrators told of it, and what started it."""
    for each in told:
        known = msgspec.to_builtins(each)
        for key in ("job", "state", "started", "ended", "code_commit", "index"):
            if known.get(key) is not None:
                facts.setdefault(key, known[key])
    detail = {"run": run, **facts} if told else facts
    node = whole.node("training_run", run, str(facts.get("job") or run), detail)
    for each in told:
        if each.parent_run:
            label = each.parent_job or each.parent_run
            parent = whole.node("training_run", each.parent_run, label, {"run": each.parent_run})
            whole.edge(parent, node, "started")
    return node


def _traffic(whole: _Whole, series: Sequence[Series], predicted: Sequence[Series]) -> None:
    by_version: dict[tuple[str, str], list[Series]] = {}
    for row in predicted:
        by_version.setdefault((row.model, row.version), []).append(row)
    for (model, version), rows in by_version.items():
        count = sum(row.count for row in rows)
        detail = {
            "model": model,
            "version": version,
            "count": count,
            "first": rfc3339(min(row.first_us for row in rows)),
            "last": rfc3339(max(row.last_us for row in rows)),
        }
        label = counted(count, "prediction")
        node = whole.node("predictions", f"{model} {version}", label, detail)
        whole.edge(f"version:{model} {version}", node, "predicted", count)
        for row in rows:
            sender = whole.node("integration", row.integration, row.integration, {})
            whole.edge(sender, node, "logged", row.count)
        _named(whole, series, (model, version), node)
    _shared(whole, series, predicted)


_AFTERMATH = (
    ("OutcomeObserved", "outcomes", "outcome", "observed"),
    ("OversightRecorded", "oversight", "review", "reviewed"),
)


def _named(
    whole: _Whole, series: Sequence[Series], named: tuple[str, str], predictions: str
) -> None:
    """Outcomes and oversight that name this very version."""
    for type, kind, one, label in _AFTERMATH:
        own = sum(r.count for r in series if (r.type, r.model, r.version) == (type, *named))
        if own:
            detail = {"count": own, "model": named[0], "version": named[1]}
            node = whole.node(kind, f"version {' '.join(named)}", counted(own, one), detail)
            whole.edge(predictions, node, label, own)


def _shared(whole: _Whole, series: Sequence[Series], predicted: Sequence[Series]) -> None:
    """Those that name no model: once for each integration, since no clear field splits them.

    Edges to them carry no count: how many belong to which version is not known here.
    """
    senders: dict[str, set[str]] = {}
    for row in predicted:
        key = f"predictions:{row.model} {row.version}"
        senders.setdefault(row.integration, set()).add(key)
    for type, kind, one, label in _AFTERMATH:
        for integration, sources in sorted(senders.items()):
            of_these = (type, integration, "-")
            count = sum(r.count for r in series if (r.type, r.integration, r.model) == of_these)
            if not count:
                continue
            detail = {"count": count, "integration": integration, "covers": UNSPLIT}
            told = f"{counted(count, one)}, {UNSPLIT}"
            node = whole.node(kind, f"integration {integration}", told, detail)
            for source in sorted(sources):
                whole.edge(source, node, label)


def _governance(whole: _Whole, sources: Sources, model: str) -> None:
    colours = {"ok": "ok", "shift": "bad", "fault": "bad", "insufficient": "unknown"}
    windows: dict[tuple[str, str, str], str] = {}
    for each in [v for v in sources.verdicts if v.model.name == model][:_TOLD]:
        key = f"{model} {each.model.version} {each.segment} {each.window.start}"
        detail = {
            "index": each.index,
            "verdict": each.verdict,
            "reason": each.reason,
            "window": {"start": each.window.start, "end": each.window.end},
            "segment": each.segment,
            "drifted": each.drifted,
        }
        label = f"{each.verdict} {each.window.start[:10]}"
        node = whole.node("drift", key, label, detail, colours.get(each.verdict, "unknown"))
        windows[each.model.version, each.segment, each.window.start] = node
        whole.edge(f"predictions:{model} {each.model.version}", node, "judged")
    alerts = [a for a in sources.alerts if a.model == model][:_TOLD]
    for alert in alerts:
        status = "ok" if alert.state == "resolved" else "bad"
        node = whole.node("alert", alert.id, f"{alert.kind} alert", _facts(alert), status)
        cause = windows.get((alert.version, alert.segment, alert.incident))
        whole.edge(cause or f"version:{model} {alert.version}", node, "raised")
    for case in [c for c in sources.cases if c.model == model][:_TOLD]:
        status = "ok" if case.settled else "warn"
        node = whole.node("case", case.id, f"case {case.state}", _facts(case), status)
        causes = [f"alert:{a.id}" for a in alerts if a.case == case.id]
        spans = {span.start for span in case.windows}
        causes += [
            id for (v, _, start), id in windows.items() if v == case.version and start in spans
        ]
        for cause in causes or [f"version:{model} {case.version}"]:
            whole.edge(cause, node, "opened")
        if case.candidate:
            whole.edge(node, f"version:{model} {case.candidate}", "gave")


def counted(count: int, one: str) -> str:
    """A number of things in words: "1 outcome", "2,000 outcomes"."""
    return f"{count:,} {one}" if count == 1 else f"{count:,} {one}s"


def _facts(found: Alert | Case) -> dict[str, Any]:
    facts: dict[str, Any] = msgspec.to_builtins(found)
    facts.pop("steps", None)
    return facts


def _around(whole: _Whole, centre: Iterable[str], depth: int) -> Graph:
    near: dict[str, list[str]] = {}
    edges = [e for e in whole.edges.values() if e.source in whole.nodes and e.target in whole.nodes]
    for edge in edges:
        near.setdefault(edge.source, []).append(edge.target)
        near.setdefault(edge.target, []).append(edge.source)
    reached = dict.fromkeys(centre)
    ring = list(reached)
    for _ in range(depth):
        ring = [b for a in ring for b in near.get(a, ()) if b not in reached]
        ring = list(dict.fromkeys(ring))
        reached |= dict.fromkeys(ring)
    kept = list(reached)[:MOST]
    shown = set(kept)
    nodes = [whole.nodes[id] for id in kept]
    left = len(reached) - len(kept)
    if left:
        nodes.append(Node("more:", "more", f"+{left} more", {"count": left}))
    return Graph(nodes, [e for e in edges if e.source in shown and e.target in shown])
