"""Freshdesk: automations in simple and advanced mode."""

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
    one,
    read,
    survives,
    terminal,
)

NAME = "freshdesk"
RECORD = Record(
    prediction="ticket_priority",
    outcome=terminal("ticket_status", **{"Resolved": "resolved", "4": "resolved"}),
)
READING = declared(NAME, record=RECORD, options={"old_suffix": "_old", "zone": "UTC"})


def fields(**changed: Any) -> dict[str, Any]:
    """Placeholders as a rule may choose them."""
    return {
        "ticket_id": 11,
        "ticket_updated_at": "2026-01-31 09:30:00",
        "ticket_performed_by": "anna",
        "ticket_priority": "High",
        "ticket_priority_old": "Low",
        **changed,
    }


def test_the_simple_mode_is_read_inside_its_wrapping() -> None:
    body = json.dumps({"freshdesk_webhook": fields()}).encode()
    golden("freshdesk_simple", read(NAME, body, READING))


def test_the_advanced_mode_is_read_as_it_is() -> None:
    golden("freshdesk_advanced", read(NAME, json.dumps(fields()).encode(), READING))


@pytest.mark.parametrize("status", ["Resolved", "4", 4])
def test_a_status_is_met_as_label_and_as_code(status: Any) -> None:
    body = json.dumps(fields(ticket_status=status, ticket_status_old="Open")).encode()
    made = read(NAME, body, READING)
    assert [each.type for each in made.events] == ["OversightRecorded", "OutcomeObserved"]


def test_it_is_marked_as_not_verified() -> None:
    _, told = one(read(NAME, json.dumps(fields()).encode(), READING))
    assert told["origin"]["verified"] is False


@pytest.mark.parametrize("name", ["ticket_id", "ticket_updated_at", "ticket_performed_by"])
def test_a_body_without_id_time_or_agent_is_refused_with_the_remedy(name: str) -> None:
    body = json.dumps({key: value for key, value in fields().items() if key != name}).encode()
    with pytest.raises(Invalid) as caught:
        read(NAME, body, READING)
    assert caught.value.remedy


def test_what_cannot_be_read_is_not_sent_three_times_more() -> None:
    with pytest.raises(Malformed):
        read(NAME, b'{"a": "b" "c"}', READING)
    assert ADAPTERS[NAME].unreadable == 200


@given(st.data())
def test_no_altered_or_damaged_body_does_more_than_be_refused(data: st.DataObject) -> None:
    body = json.dumps({"freshdesk_webhook": fields(ticket_status="4")}).encode()
    made = data.draw(altered(body) | damaged(body) | st.binary(max_size=64))
    survives(NAME, made, READING)
