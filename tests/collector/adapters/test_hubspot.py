"""HubSpot: batches of property changes in both forms."""

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

NAME = "hubspot"


def notice(**fields: Any) -> dict[str, Any]:
    """One event as HubSpot sends it."""
    return {
        "eventId": 100,
        "subscriptionId": 2,
        "portalId": 3,
        "appId": 4,
        "occurredAt": 1769851800123,
        "subscriptionType": "contact.propertyChange",
        "attemptNumber": 0,
        "objectId": 123,
        "propertyName": "lead_score",
        "propertyValue": "0.82",
        "changeSource": "INTEGRATION",
        "sourceId": "54321",
        **fields,
    }


def batch(*notices: dict[str, Any]) -> bytes:
    return json.dumps(notices).encode()


SCORING = declared(
    NAME,
    record=Record(prediction="lead_score", outcome=terminal("lifecyclestage", customer="won")),
    writers=("54321",),
    options={"numeric": "yes"},
)


def test_the_published_change_withholds_its_value_and_is_refused_only_where_it_matters() -> None:
    body = sample("hubspot/property_change.json")
    with pytest.raises(Invalid, match="withholds") as caught:
        read(NAME, body, declared(NAME, record="passport_number"))
    golden_refusal("hubspot_redacted", caught.value)
    assert read(NAME, body, SCORING).unrelated == 1


def test_the_published_change_with_its_value_is_an_override_by_the_user() -> None:
    body = sample("hubspot/property_change.json").replace(b"REDACTED", b"0.1")
    golden("hubspot_override", read(NAME, body, declared(NAME, record="passport_number")))


def test_the_published_creation_changes_no_property() -> None:
    golden("hubspot_creation", read(NAME, sample("hubspot/creation.json"), SCORING))


def test_the_writers_change_is_a_prediction_and_a_terminal_stage_an_outcome() -> None:
    person = {"changeSource": "CRM_UI", "sourceId": "userId:9"}
    stage = notice(propertyName="lifecyclestage", propertyValue="customer", eventId=101, **person)
    golden("hubspot_batch", read(NAME, batch(notice(), stage), SCORING))


def test_another_attempt_is_a_duplicate() -> None:
    first, again = (read(NAME, batch(notice(attemptNumber=n)), SCORING).events[0] for n in (0, 7))
    assert (first.id, first.content) == (again.id, again.content)


@pytest.mark.parametrize(
    "fields",
    [
        {"occurredAt": 1769851800124},
        {"objectId": 124},
        {"portalId": 4},
        {"subscriptionId": 5},
        {"eventId": 101},
    ],
)
def test_test_events_share_an_event_id_and_are_told_apart_by_the_rest(
    fields: dict[str, Any],
) -> None:
    made = read(NAME, batch(notice(), notice(**fields)), SCORING)
    assert made.events[0].id != made.events[1].id


def test_the_generic_form_names_the_object_by_its_type() -> None:
    body = batch(notice(subscriptionType="object.propertyChange", objectTypeId="0-1"))
    _, told = one(read(NAME, body, SCORING))
    assert told["references"] == {"record": "hubspot:0-1:123:lead_score"}


def test_a_stamp_comes_as_an_event_of_its_own_and_is_none_of_ours() -> None:
    record = Record(prediction="lead_score", id="lead_score_id")
    body = batch(notice(propertyName="lead_score_id", propertyValue="p-1"))
    made = read(NAME, body, declared(NAME, record=record, writers=("54321",)))
    assert (made.events, made.refused, made.unrelated) == ([], [], 1)


def test_a_bad_event_does_not_sink_the_batch() -> None:
    bad = notice(occurredAt="soon")
    made = read(NAME, batch(notice(), bad), SCORING)
    assert len(made.events) == 1
    assert json.loads(made.refused[0].raw) == bad


def test_what_is_no_batch_is_answered_so_that_it_is_not_sent_ten_times() -> None:
    with pytest.raises(Malformed):
        read(NAME, b"[{", SCORING)
    assert ADAPTERS[NAME].unreadable == 200


@given(st.data())
def test_no_altered_or_damaged_batch_does_more_than_be_refused(data: st.DataObject) -> None:
    body = batch(notice(), notice(propertyName="lifecyclestage", propertyValue="customer"))
    survives(NAME, data.draw(altered(body) | damaged(body) | st.binary(max_size=64)), SCORING)
