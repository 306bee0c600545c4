"""NetSuite: what a script posts, and rows of its own audit trail."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import Invalid, Malformed
from collector.integrations.declaration import Record
from tests.collector.adapters.business import (
    altered,
    damaged,
    declared,
    golden,
    one,
    read,
    survives,
    terminal,
)

SCRIPT, NOTES = "netsuite.script", "netsuite.notes"
RECORD = Record(prediction="custbody_score", outcome=terminal("status", B="billed"))


def submitted(**fields: Any) -> bytes:
    """What the script of the README posts."""
    return json.dumps(
        {
            "type": "salesorder",
            "id": "123",
            "event": "edit",
            "time": "2026-01-31T09:30:00Z",
            "user": "1234",
            "context": "USERINTERFACE",
            "old": {"custbody_score": "0.2", "status": "A"},
            "new": {"custbody_score": "0.9", "status": "B"},
            **fields,
        }
    ).encode()


def note(**fields: Any) -> dict[str, Any]:
    """A row of systemnote."""
    return {
        "date": "2026-01-31 10:30:00",
        "field": "CUSTBODY_SCORE",
        "oldvalue": "0.2",
        "newvalue": "0.9",
        "name": "1234",
        "context": "UIF",
        "recordid": "123",
        "recordtypeid": "-30",
        "id": "77",
        **fields,
    }


def page(*notes: dict[str, Any]) -> bytes:
    return json.dumps({"items": notes, "hasMore": False, "count": len(notes)}).encode()


READING = declared(NOTES, record=RECORD, options={"zone": "Europe/Berlin", "object": "salesorder"})


def test_a_persons_edit_is_an_override_with_the_old_value_and_a_billed_order_an_outcome() -> None:
    golden("netsuite_script", read(SCRIPT, submitted(), declared(SCRIPT, record=RECORD)))


def test_the_writers_edit_is_a_prediction() -> None:
    made = read(SCRIPT, submitted(), declared(SCRIPT, record=RECORD, writers=("1234",)))
    assert made.events[0].type == "PredictionLogged"


def test_names_of_fields_are_met_in_either_case() -> None:
    body = submitted(old={"CUSTBODY_SCORE": "1"}, new={"CUSTBODY_SCORE": "2"})
    assert one(read(SCRIPT, body, declared(SCRIPT, record=RECORD)))[1]["previous_output"] == "1"


def test_a_deleted_record_changes_no_field() -> None:
    body = submitted(event="delete")
    assert read(SCRIPT, body, declared(SCRIPT, record=RECORD)).unrelated == 1


def test_rows_of_a_page_are_overrides_in_the_accounts_zone() -> None:
    other = note(field="MEMO", id="78")
    made = read(NOTES, page(note(), other), READING)
    golden("netsuite_notes", made)
    assert made.unrelated == 1


def test_a_row_is_a_duplicate_on_the_next_page_too() -> None:
    made = read(NOTES, page(note(), note()), READING)
    assert made.events[0].id == made.events[1].id
    assert made.events[0].content == made.events[1].content


def test_a_row_that_was_refused_can_be_read_again_alone() -> None:
    bad = note(date="31/01/2026 10:30 am")
    made = read(NOTES, page(note(), bad), READING)
    assert len(made.events) == 1
    with pytest.raises(Invalid):
        read(NOTES, made.refused[0].raw, READING)
    assert read(NOTES, json.dumps(note()).encode(), READING).events


def test_a_local_date_needs_a_declared_zone() -> None:
    with pytest.raises(Invalid, match="zone"):
        read(NOTES, page(note()), declared(NOTES, record=RECORD))


def test_broken_bodies_are_refused() -> None:
    with pytest.raises(Malformed):
        read(SCRIPT, b"{", declared(SCRIPT, record=RECORD))


@given(st.data())
def test_no_altered_or_damaged_body_does_more_than_be_refused(data: st.DataObject) -> None:
    body = submitted()
    made = data.draw(altered(body) | damaged(body) | st.binary(max_size=64))
    survives(SCRIPT, made, declared(SCRIPT, record=RECORD, writers=("1234",)))


@given(st.data())
def test_no_altered_or_damaged_page_does_more_than_be_refused(data: st.DataObject) -> None:
    body = page(note(), note(field="status", newvalue="B"))
    made = data.draw(altered(body) | damaged(body) | st.binary(max_size=64))
    survives(NOTES, made, READING)
