"""SAP Event Mesh: events with a key alone, and events that carry fields."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.registry import ADAPTERS
from collector.errors import CollectorError, Invalid
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

NAME = "sap"
RECORD = Record(prediction="ZZ_RiskScore", outcome=terminal("PaymentStatus", PAID="paid"))
TOPIC = {"x-address": "topic:default/sap.s4.beh/244572008/ce/sap/s4/beh/x"}


def event(**data: Any) -> bytes:
    """An event that the customer extended."""
    return json.dumps(
        {
            "type": "sap.s4.beh.salesorder.v1.SalesOrder.Changed.v1",
            "specversion": "1.0",
            "source": "/default/sap.s4.beh/244572008",
            "id": "e-1",
            "time": "2026-01-31T09:30:00Z",
            "datacontenttype": "application/json",
            "data": {"SalesOrder": "4711", **data},
        }
    ).encode()


def test_the_published_event_holds_a_key_alone_and_is_refused_to_be_read_back() -> None:
    body = sample("sap/businesspartner_changed.json")
    with pytest.raises(Invalid, match="key and none") as caught:
        read(NAME, body, declared(NAME, record=RECORD), TOPIC)
    golden_refusal("sap_key_only", caught.value)
    assert ADAPTERS[NAME].unreadable == 200


def test_the_published_event_is_read_where_its_own_field_is_declared() -> None:
    body = sample("sap/businesspartner_changed.json")
    declaration = declared(
        NAME,
        record="BusinessPartner",
        writers=("RISK_BOT",),
        options={"actor": "BusinessPartner", "sent_on": "BusinessPartner"},
    )
    golden("sap_businesspartner", read(NAME, body, declaration, TOPIC))


def test_a_writers_event_is_a_prediction_and_keeps_its_topic() -> None:
    body = event(ZZ_RiskScore=0.9, LastChangedByUser="RISK_BOT")
    type, told = one(read(NAME, body, declared(NAME, record=RECORD, writers=("RISK_BOT",)), TOPIC))
    assert type == "PredictionLogged"
    assert told["origin"]["topic"].startswith("default/")
    assert told["references"] == {"record": "sap:SalesOrder:4711:ZZ_RiskScore"}


def test_a_persons_event_is_an_override_where_only_that_change_raises_it() -> None:
    body = event(ZZ_RiskScore=0.1, LastChangedByUser="ANNA")
    assert read(NAME, body, declared(NAME, record=RECORD)).unrelated == 1
    raised = declared(NAME, record=RECORD, options={"sent_on": "ZZ_RiskScore"})
    assert one(read(NAME, body, raised))[0] == "OversightRecorded"


def test_a_terminal_status_is_an_outcome() -> None:
    _, told = one(read(NAME, event(PaymentStatus="PAID"), declared(NAME, record=RECORD)))
    assert (told["outcome"], told["label_source"]) == ("paid", "sap:PaymentStatus")


@pytest.mark.parametrize(
    ("old", "new"),
    [('"SalesOrder": "4711"', '"SalesOrder": ""'), ('"time"', '"when"'), ('"1.0"', '"0.3"')],
)
def test_an_event_without_key_time_or_version_is_refused(old: str, new: str) -> None:
    body = event(ZZ_RiskScore=1, LastChangedByUser="x").decode().replace(old, new).encode()
    with pytest.raises(CollectorError):
        read(NAME, body, declared(NAME, record=RECORD))


@given(st.data())
def test_no_altered_or_damaged_event_does_more_than_be_refused(data: st.DataObject) -> None:
    body = event(ZZ_RiskScore=0.9, LastChangedByUser="RISK_BOT", PaymentStatus="PAID")
    made = data.draw(altered(body) | damaged(body) | st.binary(max_size=64))
    survives(NAME, made, declared(NAME, record=RECORD, writers=("RISK_BOT",)), TOPIC)
