"""Lineage as a graph: the chain behind a version, and what came of it."""

from dataclasses import dataclass
from typing import Any

import msgspec

from audit.catalog import Released, Run
from audit.governed import Alert, Case, Named, Span, Verdict
from audit.lineage import MOST, Graph, Sources, graph


@dataclass(frozen=True, slots=True)
class Row:
    type: str
    integration: str
    model: str
    version: str
    count: int = 10
    first_us: int = 0
    last_us: int = 60_000_000


LINEAGE: dict[str, Any] = {
    "training_run": "run-7",
    "datasets": [{"name": "loans", "digest": "sha256:1"}],
    "feature_set": "features-3",
    "code_commit": "abc",
}
WINDOW = Span("2013-02-01T00:00:00Z", "2013-03-01T00:00:00Z")
SOURCES = Sources(
    series=[
        Row("PredictionLogged", "web", "credit", "1"),
        Row("PredictionLogged", "batch", "credit", "1", 5),
        Row("PredictionLogged", "web", "credit", "2"),
        Row("PredictionLogged", "web", "other", "1"),
        Row("OutcomeObserved", "web", "-", "-", 4),
        Row("OversightRecorded", "web", "credit", "1", 2),
    ],
    versions={
        ("credit", "1"): [Released("credit", "1", 3, "2013-01-01T00:00:00Z", "web", LINEAGE)],
        ("credit", "2"): [Released("credit", "2", 9, "2013-03-05T00:00:00Z", "web", case="c1")],
    },
    verdicts=[Verdict(Named("credit", "1"), WINDOW, "shift", 6)],
    alerts=[Alert("a1", "credit", "1", "raised", 7, incident=WINDOW.start, case="c1")],
    cases=[Case("c1", "credit", "1", "closed", candidate="2", windows=(WINDOW,))],
)


def drawn(version: str | None = "1", depth: int = 6, sources: Sources = SOURCES) -> Graph:
    return graph(sources, "credit", version, depth)


def edges(found: Graph) -> set[tuple[str, str]]:
    return {(each.source, each.target) for each in found.edges}


def test_the_chain_runs_from_dataset_to_case_and_on_to_the_next_version() -> None:
    drift = "drift:credit 1 all 2013-02-01T00:00:00Z"
    assert edges(drawn()) >= {
        ("dataset:sha256:1", "training_run:run-7"),
        ("training_run:run-7", "version:credit 1"),
        ("feature_set:features-3", "version:credit 1"),
        ("version:credit 1", "predictions:credit 1"),
        ("integration:web", "predictions:credit 1"),
        ("predictions:credit 1", drift),
        (drift, "alert:a1"),
        ("alert:a1", "case:c1"),
        ("case:c1", "version:credit 2"),
        ("predictions:credit 1", "oversight:version credit 1"),
        ("predictions:credit 1", "outcomes:integration web"),
    }


def test_edges_carry_how_many_events_make_them() -> None:
    counts = {(e.source, e.target): e.count for e in drawn().edges}
    assert counts["integration:batch", "predictions:credit 1"] == 5
    assert counts["version:credit 1", "predictions:credit 1"] == 15


def test_every_edge_joins_two_nodes_that_are_there() -> None:
    for depth in range(1, 7):
        found = drawn(depth=depth)
        ids = {node.id for node in found.nodes}
        assert all({edge.source, edge.target} <= ids for edge in found.edges)


def test_depth_counts_edges_from_the_version() -> None:
    near = {node.id for node in drawn(depth=1).nodes}
    assert "training_run:run-7" in near
    assert "dataset:sha256:1" not in near
    assert "dataset:sha256:1" in {node.id for node in drawn(depth=2).nodes}


def test_a_version_has_the_status_that_the_overview_gives_it() -> None:
    judged = msgspec.structs.replace(SOURCES, statuses={("credit", "1"): "bad"})
    status = {node.id: node.status for node in drawn(sources=judged).nodes}
    assert status["version:credit 1"] == "bad"
    assert status["version:credit 2"] == "unknown"
    assert status["drift:credit 1 all 2013-02-01T00:00:00Z"] == "bad"


def test_what_nothing_checked_has_no_status() -> None:
    checked = {"version", "drift", "alert", "case"}
    others = {node.status for node in drawn(None).nodes if node.kind not in checked}
    assert others == {"unknown"}


def test_a_version_of_unknown_origin_says_so() -> None:
    detail = {node.id: node.detail for node in drawn().nodes}
    assert "nobody told" in detail["version:credit 2"]["origin"]
    assert "origin" not in detail["version:credit 1"]


def test_outcomes_that_name_no_model_are_counted_once_for_their_integration() -> None:
    found = drawn(None)
    [outcomes] = [node for node in found.nodes if node.kind == "outcomes"]
    assert outcomes.label == "4 outcomes, all models of this integration"
    assert outcomes.detail["count"] == 4
    # The other model of the integration had outcomes too: no version may claim the number.
    into = [(edge.source, edge.count) for edge in found.edges if edge.target == outcomes.id]
    assert sorted(into) == [("predictions:credit 1", None), ("predictions:credit 2", None)]


def test_outcomes_that_name_their_version_are_counted_for_it_alone() -> None:
    series = [
        *SOURCES.series,
        Row("OutcomeObserved", "web", "credit", "2", 3),
        Row("OutcomeObserved", "batch", "credit", "2", 2),
        Row("OutcomeObserved", "web", "other", "1", 50),
    ]
    found = drawn(None, sources=msgspec.structs.replace(SOURCES, series=series))
    own = [edge for edge in found.edges if edge.target == "outcomes:version credit 2"]
    assert [(edge.source, edge.count) for edge in own] == [("predictions:credit 2", 5)]
    counts = {node.id: node.detail["count"] for node in found.nodes if node.kind == "outcomes"}
    assert counts == {"outcomes:version credit 2": 5, "outcomes:integration web": 4}


def test_other_models_are_not_in_the_graph() -> None:
    assert not [node for node in drawn(None).nodes if "other" in node.id]


def test_an_unknown_version_has_no_graph() -> None:
    assert drawn("9").nodes == []


def test_what_is_too_much_to_draw_is_counted() -> None:
    datasets = [{"name": f"d{n}", "digest": f"sha256:{n}"} for n in range(MOST + 37)]
    lineage = {**LINEAGE, "datasets": datasets}
    released = [Released("credit", "1", 3, "2013-01-01T00:00:00Z", "web", lineage)]
    found = drawn(sources=Sources(series=[], versions={("credit", "1"): released}))
    assert len(found.nodes) == MOST + 1
    left = found.nodes[-1]
    # The version, its run and its feature set are nodes too.
    assert (left.kind, left.detail["count"]) == ("more", 37 + 3)


def test_a_release_of_an_unverified_source_is_drawn_as_such() -> None:
    said = Released("credit", "1", 3, "2013-01-01T00:00:00Z", "rival", LINEAGE, unverified=True)
    found = drawn(sources=Sources(series=[], versions={("credit", "1"): [said]}))
    [version] = [node for node in found.nodes if node.kind == "version"]
    assert version.detail["source"] == "unverified source: rival"
    labels = {edge.label for edge in found.edges if edge.target == version.id}
    assert labels == {"trained, unverified source", "features of, unverified source"}


def test_what_a_stranger_said_beside_a_believed_release_is_told_and_not_drawn() -> None:
    good = Released("credit", "1", 3, "2013-01-01T00:00:00Z", "web", {"training_run": "run-7"})
    lie = Released("credit", "1", 5, good.time, "rival", {"training_run": "x"}, unverified=True)
    found = drawn(sources=Sources(series=[], versions={("credit", "1"): [good, lie]}))
    assert [node.id for node in found.nodes if node.kind == "training_run"] == [
        "training_run:run-7"
    ]
    [version] = [node for node in found.nodes if node.kind == "version"]
    assert version.detail["also said"] == "unverified source: rival, entry 5"


def test_what_an_orchestrator_told_of_the_run_stands_before_the_version() -> None:
    told = Run(
        "run-7",
        "airflow",
        4,
        job="ml/train",
        state="COMPLETE",
        parent_run="dag-1",
        parent_job="airflow/retrain",
        inputs={"loans": "sha256:1", "rates": "7"},
    )
    found = drawn(sources=msgspec.structs.replace(SOURCES, runs={"run-7": [told]}))
    assert edges(found) >= {
        ("training_run:dag-1", "training_run:run-7"),
        ("dataset:sha256:1", "training_run:run-7"),
        ("dataset:7", "training_run:run-7"),
    }
    [run] = [each for each in found.nodes if each.id == "training_run:run-7"]
    assert (run.label, run.detail["code_commit"]) == ("ml/train", "abc")
    assert len([each for each in found.nodes if each.kind == "dataset"]) == 2
