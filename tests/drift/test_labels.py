"""The labelled export equals the join in the ledger, and the ledger knows of it first."""

import hashlib
import io
import os
from typing import Any

import msgspec
import pyarrow.parquet as pq
import pytest

from audit.events import event_of
from audit.roles import Principal
from audit.store import Store
from drift import labels, steps
from drift.apply import apply_text
from drift.cases import Case, Span
from drift.errors import TooLarge, Unknown
from tests.drift.governance import (
    MODEL,
    POLICY,
    HandClock,
    access_to,
    ledger_of,
    observe,
    predict,
)

RETRAINER = Principal("retrainer", ("retrainer",))
MOST = 64 * 1024 * 1024


def case_over(*days: int) -> Case:
    spans = tuple(
        Span(f"2013-01-{day + 1:02}T00:00:00Z", f"2013-01-{day + 2:02}T00:00:00Z") for day in days
    )
    return Case(
        id="201301020000-abc",
        model=MODEL,
        version="1",
        state="dispatched",
        opened="2013-02-01T00:00:00Z",
        changed="2013-02-01T00:00:00Z",
        proposer="scheduler",
        windows=spans,
    )


def exported(store: Store, clock: HandClock, case: Case, most: int = MOST) -> labels.Export:
    return labels.export(
        store,
        access_to(store, clock),
        RETRAINER,
        case,
        most_bytes=most,
        clock=clock,
        random=os.urandom,
    )


def rows_of(export: labels.Export) -> list[dict[str, Any]]:
    table = pq.read_table(io.BytesIO(export.parquet))
    return [dict(row) for row in table.to_pylist()]


def correct(store: Store, id: str, final: Any, at: str, *, integration: str = "tower") -> None:
    body = {
        "id": f"correction-{id}-{at}",
        "time": at,
        "prediction": {"id": id, "integration": "tower"},
        "action": "correct",
        "final_output": final,
    }
    store.ledger.append([event_of("OversightRecorded", integration, body)])


def test_the_data_set_equals_the_join_of_predictions_with_what_was_said_of_them(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    first = predict(store, 1, 1.0)
    second = predict(store, 2, 2.0)
    predict(store, 3, 3.0)  # outside the windows of the case
    predict(store, 2, 2.0, version="2")  # of another version
    observe(store, first[:10], "late", at="2013-01-20T00:00:00Z")
    observe(store, first[:2], "on time", at="2013-01-21T00:00:00Z")  # newer truth
    observe(store, first[2:4], "on time", at="2013-01-19T00:00:00Z")  # older, though it came later
    correct(store, first[0], "late", "2013-01-25T00:00:00Z")  # the truth goes before it
    correct(store, second[5], "late", "2013-01-22T00:00:00Z")
    export = exported(store, clock, case_over(1, 2))
    expected = []
    for body in ledger_of(store, "PredictionLogged"):
        known = dict.fromkeys(first[:10], "late")
        known |= {first[0]: "on time", first[1]: "on time", second[5]: "late"}
        if body["model"]["version"] == "1" and body["id"] in known:
            expected.append(
                {
                    "entry": body["at"],
                    "delay": body["inputs"]["delay"],
                    "output": body["output"],
                    "score": None,
                    "label": known[body["id"]],
                    "label_source": "correction" if body["id"] == second[5] else "outcome",
                }
            )
    found = rows_of(export)
    assert [{k: v for k, v in row.items() if k != "time"} for row in found] == expected
    assert export.rows == len(expected) == 11
    assert [row["time"] for row in found] == sorted(row["time"] for row in found)


def test_digest_rows_query_and_entries_are_on_the_ledger_before_the_data_leaves(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    ids = predict(store, 1, 1.0)
    observe(store, ids, "late", at="2013-01-20T00:00:00Z")
    before = store.reader.size()
    export = exported(store, clock, case_over(1))
    access, of_labels, told = ledger_of(store, "AccessRecorded", "LabelsExported")
    assert before <= access["at"] < of_labels["at"] < told["at"]
    assert access["filter"]["from"] == "2013-01-02T00:00:00Z"
    outcomes = [body["at"] for body in ledger_of(store, "OutcomeObserved")]
    assert of_labels["indexes"] == outcomes
    assert told["digest"] == f"sha256:{hashlib.sha256(export.parquet).hexdigest()}"
    assert told["rows"] == len(ids)
    assert told["actor"] == "retrainer"
    assert told["query"]["columns"] == ["delay", "output", "score"]
    [[first, last]] = told["entries"]
    assert {body["at"] for body in ledger_of(store, "PredictionLogged")} == {
        *range(first, last + 1)
    }
    metadata = pq.read_table(io.BytesIO(export.parquet)).schema.metadata
    lineage = msgspec.json.decode(metadata[b"modelwitness"])
    assert lineage["case"] == "201301020000-abc"
    assert lineage["policy"]["revision"] == told["policy"]["revision"]


def test_who_looked_at_predictions_outcomes_and_corrections_shows_the_export(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    start = store.reader.size()
    first, *others = predict(store, 1, 1.0)
    observe(store, others, "late", at="2013-02-20T00:00:00Z")  # long after the window
    correct(store, first, "late", "2013-02-21T00:00:00Z")
    end = store.reader.size()
    [unrelated] = predict(store, 3, 1.0, rows=1)
    observe(store, [unrelated], "late", at="2013-02-20T00:00:00Z")
    size = store.reader.size()
    exported(store, clock, case_over(1))
    access = access_to(store, clock)
    looked = {
        index: [(look.actor, look.action) for look in access.looked(store.reader.leaf(index))]
        for index in range(size)
    }
    for index, looks in looked.items():
        of_the_case = start <= index < end
        assert looks == ([("retrainer", "labelled_export")] if of_the_case else [])


def test_the_same_ledger_gives_the_same_rows_and_a_later_label_restates_them(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    ids = predict(store, 1, 1.0)
    observe(store, ids[:5], "late", at="2013-01-20T00:00:00Z")
    first = rows_of(exported(store, clock, case_over(1)))
    assert rows_of(exported(store, clock, case_over(1))) == first
    observe(store, ids[:1], "on time", at="2013-02-20T00:00:00Z")
    assert rows_of(exported(store, clock, case_over(1)))[0]["label"] == "on time"


@pytest.mark.parametrize(
    ("said", "kind"), [((True, False), "bool"), ((1, 2.5), "double"), ((1, "x"), "string")]
)
def test_labels_have_the_type_that_all_of_them_have(
    store: Store, clock: HandClock, said: tuple[Any, Any], kind: str
) -> None:
    apply_text(store, POLICY, "ann")
    ids = predict(store, 1, 1.0)
    for id, label in zip(ids, said, strict=False):
        observe(store, [id], label, at="2013-01-20T00:00:00Z")
    export = exported(store, clock, case_over(1))
    assert str(pq.read_schema(io.BytesIO(export.parquet)).field("label").type) == kind


def test_windows_that_touch_are_read_as_one(store: Store, clock: HandClock) -> None:
    days = case_over(3, 1, 2, 5).windows
    assert labels.merged(days) == [
        Span("2013-01-02T00:00:00Z", "2013-01-05T00:00:00Z"),
        Span("2013-01-06T00:00:00Z", "2013-01-07T00:00:00Z"),
    ]


def test_nothing_is_exported_where_nothing_is_labelled(store: Store, clock: HandClock) -> None:
    apply_text(store, POLICY, "ann")
    predict(store, 1, 1.0)
    with pytest.raises(Unknown):
        exported(store, clock, case_over(1))
    assert ledger_of(store, "LabelsExported") == []


def test_a_data_set_beyond_the_memory_allowed_is_refused_before_it_is_told(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    observe(store, predict(store, 1, 1.0), "late", at="2013-01-20T00:00:00Z")
    with pytest.raises(TooLarge):
        exported(store, clock, case_over(1), most=100)
    assert ledger_of(store, "LabelsExported") == []


def test_a_case_of_no_policy_exports_nothing(store: Store, clock: HandClock) -> None:
    with pytest.raises(Unknown):
        exported(store, clock, case_over(1))
    with pytest.raises(Unknown):
        steps.case_of(store, "none")


def test_only_the_predicting_integration_and_those_the_policy_lists_label_its_predictions(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY + "labels: {from: [arrivals]}\n", "ann")
    ids = predict(store, 1, 1.0, rows=4)
    observe(store, ids[:2], "late", at="2013-01-20T00:00:00Z")
    observe(store, ids[2:3], "late", at="2013-01-20T00:00:00Z", integration="arrivals", of="tower")
    for id in ids:  # newer, but nobody asked them
        correct(store, id, "wrong", "2013-01-26T00:00:00Z", integration="stranger")
        observe(store, [id], "wrong", at="2013-01-25T00:00:00Z", integration="rival", of="tower")
    export = exported(store, clock, case_over(1))
    assert [row["label"] for row in rows_of(export)] == ["late"] * 3
    not_used = {"source not listed": {"rival": 4, "stranger": 4}}
    metadata = pq.read_table(io.BytesIO(export.parquet)).schema.metadata
    [told] = ledger_of(store, "LabelsExported")
    for manifest in (told, msgspec.json.decode(metadata[b"modelwitness"])):
        assert (manifest["not_used"], manifest["contradicted"]) == (not_used, 0)


def test_rows_of_an_unlisted_sender_with_its_own_outcomes_are_neither_exported_nor_silent(
    store: Store, clock: HandClock
) -> None:
    listed = "predictions: {from: [tower]}\nlabels: {from: [arrivals]}\n"
    apply_text(store, POLICY + listed, "ann")
    ids = predict(store, 1, 1.0, rows=4)
    observe(store, ids, "late", at="2013-01-20T00:00:00Z")
    forged = predict(store, 1, -999.0, rows=6, integration="evil")
    observe(store, forged, "EVIL", at="2013-01-20T00:00:00Z", integration="evil")
    export = exported(store, clock, case_over(1))
    assert [row["label"] for row in rows_of(export)] == ["late"] * 4
    metadata = pq.read_table(io.BytesIO(export.parquet)).schema.metadata
    [told] = ledger_of(store, "LabelsExported")
    for manifest in (told, msgspec.json.decode(metadata[b"modelwitness"])):
        assert manifest["predictions"] == {
            "used": {"tower": 4},
            "not_used": {"source not listed": {"evil": 6}},
        }


def test_without_a_list_every_sender_of_a_model_counts_and_is_told(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    for integration, rows in (("tower", 4), ("gate", 2)):
        ids = predict(store, 1, 1.0, rows=rows, integration=integration)
        observe(store, ids, "late", at="2013-01-20T00:00:00Z", integration=integration)
    assert exported(store, clock, case_over(1)).rows == 6
    [told] = ledger_of(store, "LabelsExported")
    assert told["predictions"] == {"used": {"gate": 2, "tower": 4}, "not_used": {}}


def test_labels_of_strangers_alone_are_no_labels_and_the_refusal_counts_them(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY, "ann")
    ids = predict(store, 1, 1.0, rows=4)
    observe(store, ids, "wrong", at="2013-01-20T00:00:00Z", integration="rival", of="tower")
    with pytest.raises(Unknown, match="4 not used: source not listed"):
        exported(store, clock, case_over(1))


def test_of_conflicting_outcomes_the_newest_by_event_time_stands_and_the_others_are_counted(
    store: Store, clock: HandClock
) -> None:
    apply_text(store, POLICY + "labels: {from: [arrivals]}\n", "ann")
    ids = predict(store, 1, 1.0, rows=3)
    observe(store, ids, "late", at="2013-01-22T00:00:00Z")
    older = {"at": "2013-01-21T00:00:00Z", "integration": "arrivals", "of": "tower"}
    observe(store, ids[:2], "on time", **older)
    observe(store, ids[2:], "late", **older)  # says the same
    export = exported(store, clock, case_over(1))
    assert [row["label"] for row in rows_of(export)] == ["late"] * 3
    [told] = ledger_of(store, "LabelsExported")
    assert (told["not_used"], told["contradicted"]) == ({}, 2)
