"""Salesforce: Change Data Capture, platform events, and the EventBridge envelope around them."""

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
    golden_refusal,
    one,
    read,
    sample,
    survives,
    terminal,
)

NAME = "salesforce.events"
USER = "005B0000005iVeGIAU"
TENURE = Record(prediction="Tenure__c", outcome=terminal("Last_Name__c", **{"Benioff 2": "left"}))


def event(header: dict[str, Any] | None = None, **fields: Any) -> bytes:
    """A change event with the fields that newer captures have."""
    whole = {
        "entityName": "Lead",
        "recordIds": ["00Q1"],
        "changeType": "UPDATE",
        "changedFields": sorted(fields),
        "nulledFields": [],
        "changeOrigin": "com/salesforce/api/rest/60.0;client=SfdcInternalAPI/;x=1",
        "transactionKey": "t-1",
        "sequenceNumber": 1,
        "commitTimestamp": 1769851800000,
        "commitUser": USER,
        **(header or {}),
    }
    payload = {"ChangeEventHeader": whole, **fields}
    return json.dumps({"data": {"payload": payload, "event": {"replayId": 1}}}).encode()


def test_the_published_update_is_an_override_and_an_outcome_or_a_prediction_of_the_writer() -> None:
    body = sample("salesforce/cdc_update_cometd.json")
    golden("salesforce_cdc_override", read(NAME, body, declared(NAME, record=TENURE)))
    own = declared(NAME, record=TENURE, writers=(USER[:15],))
    golden("salesforce_cdc_prediction", read(NAME, body, own))


def test_the_published_deletion_changes_no_field() -> None:
    body = sample("salesforce/cdc_delete_cometd.json")
    golden("salesforce_cdc_delete", read(NAME, body, declared(NAME, record=TENURE)))


def test_the_published_platform_event_is_read_with_the_field_that_names_the_record() -> None:
    body = sample("salesforce/platform_event_cometd.json")
    declaration = declared(
        NAME,
        record="Ink_Percentage__c",
        writers=("005D0000001cSZs",),
        options={"record_id": "Serial_Number__c"},
    )
    golden("salesforce_platform_event", read(NAME, body, declaration))


def test_the_same_event_through_eventbridge_has_the_same_id() -> None:
    body = sample("salesforce/cdc_update_cometd.json")
    told = json.loads(body)["data"]
    relayed = json.dumps(
        {
            "version": "0",
            "id": "f1",
            "detail-type": "Employee__ChangeEvent",
            "source": "aws.partner/salesforce.com/00D/x",
            "account": "1",
            "time": "2019-05-02T11:29:01Z",
            "region": "eu-west-1",
            "resources": [],
            "detail": {"schemaId": told["schema"], "payload": told["payload"], "id": "e1"},
        }
    ).encode()
    declaration = declared(NAME, record="Tenure__c")
    one_way, other = (read(NAME, each, declaration).events[0] for each in (body, relayed))
    assert (one_way.id, one_way.content) == (other.id, other.content)


def test_every_record_of_one_event_is_an_event_of_its_own() -> None:
    made = read(
        NAME,
        event({"recordIds": ["00Q1", "00Q2"]}, Score__c=0.4),
        declared(NAME, record="Score__c", writers=(USER,)),
    )
    assert [each.id for each in made.events] == [
        f"Lead:{id}:Score__c:2026-01-31T09:30:00Z:t-1/1" for id in ("00Q1", "00Q2")
    ]


def test_an_array_of_messages_is_read_message_by_message() -> None:
    good, gap = event({}, Score__c=1), event({"changeType": "GAP_UPDATE"})
    body = b"[" + good + b", " + gap + b"]"
    made = read(NAME, body, declared(NAME, record="Score__c"))
    assert len(made.events) == 1
    assert [each.raw for each in made.refused] == [gap]


def test_unchanged_fields_beside_changed_ones_are_no_change_but_serve_as_stamps() -> None:
    record = Record(prediction="Score__c", id="Score_Id__c")
    body = event({"changedFields": ["Score__c"]}, Score__c=0.1, Score_Id__c="p-1", Stage="x")
    type, told = one(read(NAME, body, declared(NAME, record=record)))
    assert (type, told["prediction"]) == ("OversightRecorded", {"id": "p-1"})
    other = event({"changedFields": ["Stage"]}, Score__c=0.1, Stage="x")
    assert read(NAME, other, declared(NAME, record=record)).unrelated == 1


def test_fields_set_to_nothing_are_an_override_to_nothing() -> None:
    body = event({"changedFields": ["Score__c"], "nulledFields": ["Score__c"]})
    _, told = one(read(NAME, body, declared(NAME, record="Score__c")))
    assert told["final_output"] is None


def test_bitmaps_of_a_gateway_that_forwards_undecoded_events_are_no_names() -> None:
    body = event({"changedFields": ["0x02000000", "3-0x1F"]}, Score__c=0.1, Stage=None)
    type, _ = one(read(NAME, body, declared(NAME, record="Score__c")))
    assert type == "OversightRecorded"


def test_parts_of_compound_fields_have_names() -> None:
    body = event({"changedFields": ["Name.FirstName"]}, Name={"FirstName": "Ada"})
    _, told = one(read(NAME, body, declared(NAME, record="Name.FirstName")))
    assert told["final_output"] == "Ada"


def test_the_client_of_the_change_may_be_the_declared_writer() -> None:
    declaration = declared(NAME, record="Score__c", writers=("client=SfdcInternalAPI/",))
    type, _ = one(read(NAME, event({}, Score__c=0.1), declaration))
    assert type == "PredictionLogged"


def test_a_record_that_a_person_creates_overrides_nothing() -> None:
    body = event({"changeType": "CREATE", "changedFields": []}, Score__c=0.1)
    assert read(NAME, body, declared(NAME, record="Score__c")).unrelated == 1
    own = declared(NAME, record="Score__c", writers=(USER,))
    assert one(read(NAME, body, own))[0] == "PredictionLogged"


@pytest.mark.parametrize("kind", ["GAP_UPDATE", "GAP_OVERFLOW", "GAP_CREATE"])
def test_a_gap_is_refused_to_be_read_back(kind: str) -> None:
    with pytest.raises(Invalid, match="gap") as caught:
        read(NAME, event({"changeType": kind}), declared(NAME, record="Score__c"))
    assert "Read the named records back" in caught.value.remedy
    golden_refusal("salesforce_gap", caught.value)


def test_what_is_no_event_is_refused() -> None:
    with pytest.raises(Invalid):
        read(NAME, b"{}", declared(NAME, record="Score__c"))
    with pytest.raises(Malformed):
        read(NAME, b"{", declared(NAME, record="Score__c"))


def test_ids_of_the_event_are_told_and_the_origin_of_the_change_is_kept() -> None:
    made = read(NAME, event({}, Score__c=0.1), declared(NAME, record="Score__c"))
    origin = body_of(made.events[0])["origin"]
    assert origin["transaction"] == "t-1"
    assert origin["wire"]["changeOrigin"].startswith("com/salesforce")


WATCHING = declared(NAME, record=TENURE, writers=(USER,), options={"record_id": "Serial_Number__c"})


@given(st.data())
def test_no_altered_or_damaged_event_does_more_than_be_refused(data: st.DataObject) -> None:
    body = event({}, Tenure__c=3, Last_Name__c="Benioff 2")
    survives(NAME, data.draw(altered(body) | damaged(body) | st.binary(max_size=64)), WATCHING)
