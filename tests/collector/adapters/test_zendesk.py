"""Zendesk: events of subscriptions, and triggers with bodies of the customer's own."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.registry import ADAPTERS
from collector.errors import Invalid, Malformed
from collector.integrations.declaration import Record
from tests.collector.adapters.business import (
    altered,
    damaged,
    declared,
    golden,
    golden_refusal,
    one,
    read,
    sample,
    survives,
    terminal,
)

NAME = "zendesk"
RECORD = Record(prediction="priority", outcome=terminal("status", SOLVED="solved"))
READING = declared(NAME, record=RECORD, writers=("9",))


def event(what: str, current: Any, previous: Any, **fields: Any) -> bytes:
    """An event in the published form."""
    return json.dumps(
        {
            "account_id": 1,
            "id": "e-1",
            "type": f"zen:event-type:ticket.{what}_changed",
            "subject": "zen:ticket:19395",
            "time": "2026-01-31T09:30:00.692223355Z",
            "zendesk_event_version": "2022-11-06",
            "detail": {"actor_id": "8", "id": "19395", "priority": "HIGH", "status": "OPEN"},
            "event": {"current": current, "previous": previous, **fields},
        }
    ).encode()


def test_the_published_creation_is_the_writers_prediction_and_nobody_elses_override() -> None:
    body = sample("zendesk/ticket_created.json")
    own = declared(NAME, record=RECORD, writers=("8447388090494",))
    golden("zendesk_created", read(NAME, body, own))
    assert read(NAME, body, READING).unrelated == 1


@pytest.mark.parametrize(
    "name", ["ticket_attachment_linked_to_comment", "group_membership_created"]
)
def test_the_other_published_events_change_no_field_of_the_record(name: str) -> None:
    golden(f"zendesk_{name}", read(NAME, sample(f"zendesk/{name}.json"), READING))


def test_the_published_trigger_lacks_a_time_and_is_refused_with_the_remedy() -> None:
    body = sample("zendesk/trigger_ticket_update.json")
    declaration = declared(NAME, record=RECORD, options={"key": "ticketID"})
    with pytest.raises(Invalid, match="when the record changed") as caught:
        read(NAME, body, declaration)
    golden_refusal("zendesk_trigger_without_time", caught.value)


def test_the_published_trigger_with_a_time_is_an_override() -> None:
    body = sample("zendesk/trigger_ticket_update.json").replace(
        b'"tags"', b'"at": "2026-01-31T09:30:00Z", "priority_was": "Low",\n\t"tags"'
    )
    options = {"key": "ticketID", "time": "at", "actor": "assigneeID", "old_suffix": "_was"}
    golden("zendesk_trigger", read(NAME, body, declared(NAME, record=RECORD, options=options)))


def test_a_changed_field_is_an_override_with_the_value_before() -> None:
    type, told = one(read(NAME, event("priority", "LOW", "HIGH"), READING))
    assert type == "OversightRecorded"
    assert (told["previous_output"], told["final_output"]) == ("HIGH", "LOW")
    assert told["reviewer"] == "8"
    assert told["origin"]["received_time_text"].endswith("692223355Z")


def test_a_solved_ticket_is_an_outcome_in_whatever_case_it_is_declared() -> None:
    lower = Record(prediction="priority", outcome=terminal("status", solved="solved"))
    _, told = one(read(NAME, event("status", "SOLVED", "OPEN"), declared(NAME, record=lower)))
    assert (told["outcome"], told["label_source"]) == ("solved", "zendesk:status")


@pytest.mark.parametrize(
    ("current", "previous"), [("billing", "sales"), ({"value": "billing"}, {"value": "sales"})]
)
def test_a_custom_field_is_called_by_its_id(current: Any, previous: Any) -> None:
    body = event("custom_field", current, previous, custom_field={"id": "10", "title": "Topic"})
    _, told = one(read(NAME, body, declared(NAME, record="custom_field_10")))
    assert (told["previous_output"], told["final_output"]) == ("sales", "billing")


def test_events_that_name_a_field_otherwise_are_met_under_its_name_in_the_detail() -> None:
    body = event("group_assignment", "2", "1")
    assert one(read(NAME, body, declared(NAME, record="group_id")))[1]["final_output"] == "2"


def test_a_custom_field_without_a_name_is_refused() -> None:
    with pytest.raises(Invalid, match="does not say which"):
        read(NAME, event("custom_field", 1, 2), READING)


@pytest.mark.parametrize(
    "body",
    [b'{"title": "he said "hello"", "ticketID": "1"}', b"", b"ticket 1", b'{"a": \xff}', b"[1,"],
)
def test_a_template_that_makes_broken_json_is_kept_and_answered_so_that_zendesk_goes_on(
    body: bytes,
) -> None:
    with pytest.raises(Malformed) as caught:
        read(NAME, body, READING)
    assert caught.value.kept
    assert "placeholders" in caught.value.remedy
    assert ADAPTERS[NAME].unreadable == 200


@given(st.data())
def test_no_altered_or_damaged_event_does_more_than_be_refused(data: st.DataObject) -> None:
    body = event("custom_field", "SOLVED", {"value": 1}, custom_field={"id": 10})
    made = data.draw(altered(body) | damaged(body) | st.binary(max_size=64))
    survives(NAME, made, declared(NAME, record="custom_field_10", writers=("9",)))


@given(st.data())
def test_no_altered_trigger_does_more_than_be_refused(data: st.DataObject) -> None:
    told = {"id": 7, "at": 1769851800000, "by": "8", "priority": "low", "priority_old": "high"}
    options = {"key": "id", "time": "at", "actor": "by", "old_suffix": "_old", "event": "by"}
    made = data.draw(altered(json.dumps(told).encode()))
    survives(NAME, made, declared(NAME, record=RECORD, options=options))
