"""Business systems through the real door: signature, adapter, join, quarantine, acknowledgement."""

import base64
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from litestar.testing import TestClient

from audit.clock import system_clock
from audit.events import micros
from collector.integrations.apply import apply_text
from tests.collector.conftest import House

HUBSPOT = """
kind: integration
name: crm
owner: sales
adapter: hubspot
url: https://logs.example.com/in/crm
credential: {verify: hubspot-v3, secrets: [env:HUBSPOT_SECRET]}
model: {name: lead-score, version: "3"}
writers: ["54321"]
record:
  prediction: lead_score
  outcome: {field: lifecyclestage, terminal: {customer: won}}
options: {numeric: "yes"}
"""
SALESFORCE = """
kind: integration
name: leads
owner: sales
adapter: salesforce.outbound
url: https://logs.example.com/in/leads
credential: {verify: path, secrets: [env:SALESFORCE_PATH]}
model: {name: lead-score, version: "3"}
writers: ["005000000000001"]
record: {prediction: Score__c, id: Score_Id__c}
"""
SESSION = "00D!this-opens-the-organisation"
SECRETS = {"HUBSPOT_SECRET": "app-secret", "SALESFORCE_PATH": "a-long-path-secret"}


@pytest.fixture
def house(opened: Callable[..., House]) -> House:
    house = opened(environment=SECRETS)
    for text in (HUBSPOT, SALESFORCE):
        apply_text(house.store.ledger, house.store.documents, text, "test", clock=system_clock)
    return house


def notice(event: int, at: str, **fields: Any) -> dict[str, Any]:
    return {
        "eventId": event,
        "subscriptionId": 2,
        "portalId": 3,
        "occurredAt": micros(at) // 1000,
        "subscriptionType": "contact.propertyChange",
        "attemptNumber": 0,
        "objectId": 123,
        "propertyName": "lead_score",
        **fields,
    }


def posted(house: House, *notices: dict[str, Any], key: str = "app-secret") -> int:
    """Send a batch, signed as HubSpot signs; returns the status."""
    client: TestClient[Any] = house.client
    body, now = json.dumps(notices).encode(), str(int(time.time() * 1000))
    source = b"POST" + b"https://logs.example.com/in/crm" + body + now.encode()
    digest = hmac.digest(key.encode(), source, "sha256")
    headers = {
        "X-HubSpot-Signature-v3": base64.b64encode(digest).decode(),
        "X-HubSpot-Request-Timestamp": now,
        "Content-Type": "application/json",
    }
    return client.post("/in/crm", content=body, headers=headers).status_code


def test_a_score_its_override_and_the_closed_deal_become_one_story(house: House) -> None:
    bot = {"changeSource": "INTEGRATION", "sourceId": "54321"}
    anna = {"changeSource": "CRM_UI", "sourceId": "userId:9"}
    score = notice(1, "2026-01-31T09:30:00Z", propertyValue="0.82", **bot)
    override = notice(2, "2026-01-31T10:00:00Z", propertyValue="0.1", **anna)
    won = notice(
        3,
        "2026-02-10T10:00:00Z",
        **{**anna, "propertyName": "lifecyclestage", "propertyValue": "customer"},
    )
    assert posted(house, score) == 200
    assert posted(house, override, won) == 200
    assert posted(house, {**override, "attemptNumber": 1}) == 200

    [prediction] = house.bodies("PredictionLogged")
    [overridden] = house.bodies("OversightRecorded")
    [outcome] = house.bodies("OutcomeObserved")
    assert (prediction["output"], overridden["final_output"], outcome["outcome"]) == (
        0.82,
        0.1,
        "won",
    )
    assert overridden["prediction"] == outcome["prediction"] == {"id": prediction["id"]}
    assert overridden["origin"]["joined"] == "inferred"
    assert len(house.store.reader.about("crm", prediction["id"])) == 2
    assert house.bodies("ConflictRecorded") == []


def test_a_forged_batch_leaves_nothing(house: House) -> None:
    assert posted(house, notice(1, "2026-01-31T09:30:00Z"), key="guess") == 401
    assert house.bodies("PredictionLogged") == []
    assert house.store.work.list("quarantine") == []


def outbound(*notifications: str) -> bytes:
    return (
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><e:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>00D</OrganizationId><SessionId>{SESSION}</SessionId>"
        f"{''.join(notifications)}</notifications></e:Body></e:Envelope>"
    ).encode()


def notification(id: str, **fields: str) -> str:
    inside = "".join(f"<sf:{name}>{value}</sf:{name}>" for name, value in fields.items())
    return (
        f"<Notification><Id>04l{id}</Id><sObject xsi:type='sf:Lead' xmlns:sf='urn:s'>"
        f"<sf:Id>{id}</sf:Id>{inside}</sObject></Notification>"
    )


def test_salesforce_is_acknowledged_and_its_session_is_nowhere_even_in_quarantine(
    house: House,
) -> None:
    client: TestClient[Any] = house.client
    whole = {"LastModifiedDate": "2026-01-31T09:30:00.000Z", "LastModifiedById": "005000000000001"}
    body = outbound(
        notification("00Q1", Score__c="0.8", Score_Id__c="p-1", **whole),
        notification("00Q2", Score__c="0.8"),
    )
    answer = client.post(
        "/in/leads/a-long-path-secret", content=body, headers={"Content-Type": "text/xml"}
    )
    assert answer.status_code == 200
    assert "<Ack>true</Ack>" in answer.text
    [prediction] = house.bodies("PredictionLogged")
    assert prediction["id"] == "p-1"
    [kept] = house.store.work.list("quarantine")
    assert b"00Q2" in kept.body
    assert SESSION.encode() not in kept.body
    assert SESSION not in json.dumps(prediction)


def test_broken_xml_is_acknowledged_and_kept_and_a_stranger_gets_a_fault(house: House) -> None:
    client: TestClient[Any] = house.client
    body = outbound(notification("00Q1"))[:-9]
    answer = client.post("/in/leads/a-long-path-secret", content=body)
    assert (answer.status_code, "<Ack>true</Ack>" in answer.text) == (200, True)
    [kept] = house.store.work.list("quarantine")
    assert SESSION.encode() not in kept.body
    assert msgspec.msgpack.decode(kept.body)
    stranger = client.post("/in/leads/wrong", content=body)
    assert stranger.status_code == 401
