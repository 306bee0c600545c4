"""ServiceNow: records of rules and the Table API, and its own predictor results."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Invalid, Malformed
from collector.integrations.declaration import Record
from tests.collector.adapters.business import (
    altered,
    body_of,
    damaged,
    declared,
    golden,
    one,
    read,
    sample,
    survives,
    terminal,
)

RECORDS, RESULTS = "servicenow.records", "servicenow.results"
RECORD = Record(prediction="category", outcome=terminal("state", **{"7": "closed"}))
SCORING = declared(RESULTS)


def rule(current: dict[str, Any], previous: dict[str, Any]) -> bytes:
    """What a business rule posts."""
    fixed = {
        "sys_id": "e788",
        "sys_updated_on": "2026-01-31 09:30:00",
        "sys_updated_by": "anna",
        "sys_mod_count": "4",
    }
    told = {"table": "incident", "current": {**fixed, **current}, "previous": previous}
    return json.dumps(told).encode()


def result(**fields: str) -> dict[str, Any]:
    """A row of predictor results, with the columns that its labels suggest."""
    return {
        "sys_id": "r-1",
        "sys_created_on": "2026-01-31 09:30:00",
        "sys_updated_on": "2026-02-03 10:00:00",
        "solution": {"link": "https://x", "value": "incident category"},
        "source": {"link": "https://x", "value": "e788"},
        "predicted_output_value": "network",
        "predicted_confidence": "87.5",
        "final_output_value": "",
        "predicted_correctly": "",
        **fields,
    }


def test_the_published_record_is_a_snapshot_that_the_writer_alone_predicts_with() -> None:
    body = sample("servicenow/table_api_incident.json")
    golden(
        "servicenow_incident",
        read(RECORDS, body, declared(RECORDS, record=RECORD, writers=("admin",))),
    )
    assert read(RECORDS, body, declared(RECORDS, record=RECORD)).unrelated == 1


def test_a_rule_that_posts_both_states_tells_an_override_and_an_outcome() -> None:
    body = rule({"category": "network", "state": "7"}, {"category": "inquiry", "state": "1"})
    golden("servicenow_rule", read(RECORDS, body, declared(RECORDS, record=RECORD)))


def test_references_are_their_values() -> None:
    group = {"link": "https://x", "value": "g-2"}
    body = rule({"assignment_group": group}, {"assignment_group": {"link": "", "value": "g-1"}})
    _, told = one(read(RECORDS, body, declared(RECORDS, record="assignment_group")))
    assert (told["previous_output"], told["final_output"]) == ("g-1", "g-2")


def test_a_predictor_result_is_a_prediction_and_with_its_final_value_an_outcome_too() -> None:
    rows = [result(), result(sys_id="r-2", final_output_value="software")]
    made = read(RESULTS, json.dumps({"result": rows}).encode(), SCORING)
    golden("servicenow_results", made)
    assert [each.type for each in made.events] == [
        "PredictionLogged",
        "PredictionLogged",
        "OutcomeObserved",
    ]


def test_a_row_that_is_read_again_with_its_final_value_is_the_same_prediction() -> None:
    first = read(RESULTS, json.dumps(result()).encode(), SCORING).events
    again = read(RESULTS, json.dumps(result(final_output_value="x")).encode(), SCORING).events
    assert (first[0].id, first[0].content) == (again[0].id, again[0].content)
    assert body_of(again[1])["prediction"] == {"id": "r-1"}


def test_a_model_that_is_not_declared_is_the_solution_as_a_name() -> None:
    made = read(RESULTS, json.dumps(result()).encode(), declared(RESULTS, model="-", version="-"))
    assert (made.events[0].model, made.events[0].version) == ("incident-category", "-")


def test_other_columns_are_named_by_options() -> None:
    row = result(predicted_output_value="", u_predicted="hardware")
    named = declared(RESULTS, options={"predicted": "u_predicted"})
    assert body_of(read(RESULTS, json.dumps(row).encode(), named).events[0])["output"] == "hardware"


def test_a_row_that_is_no_result_is_refused_by_itself() -> None:
    rows = [result(), result(sys_id="")]
    made = read(RESULTS, json.dumps({"result": rows}).encode(), SCORING)
    assert (len(made.events), len(made.refused)) == (1, 1)
    with pytest.raises(Invalid):
        read(RESULTS, made.refused[0].raw, SCORING)


def test_broken_bodies_are_refused() -> None:
    for name in (RECORDS, RESULTS):
        with pytest.raises(Malformed):
            read(name, b"{", SCORING)


@given(st.data())
def test_no_altered_or_damaged_record_does_more_than_be_refused(data: st.DataObject) -> None:
    body = rule({"category": "network", "state": "7"}, {"category": "inquiry", "state": "1"})
    made = data.draw(altered(body) | damaged(body) | st.binary(max_size=64))
    survives(RECORDS, made, declared(RECORDS, record=RECORD, writers=("admin",)))


@given(st.data())
def test_no_altered_or_damaged_result_does_more_than_be_refused(data: st.DataObject) -> None:
    body = json.dumps({"result": [result(final_output_value="software")]}).encode()
    made = data.draw(altered(body) | damaged(body) | st.binary(max_size=64))
    survives(RESULTS, made, SCORING)
