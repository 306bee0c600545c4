"""Clouds through the real door: tokens of another issuer, handshakes, answers."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from joserfc import jwt
from joserfc.jwk import KeySet, RSAKey

from audit.clock import system_clock
from collector.integrations.apply import apply_text
from tests.collector.conftest import House, Open, prediction

ISSUER, AUDIENCE = "https://accounts.example", "https://logs.example/in/ads"
ACCOUNT = "push@project.iam.example"
KEY_SECRET = "a-secret-of-many-letters"
DECLARATIONS = """
kind: integration
name: ads
adapter: pubsub
credential:
  verify: jwt
  options: {{issuer: {issuer}, audience: "{audience}", jwks: "file:{keys}", email: {account}}}
---
kind: integration
name: grid
adapter: eventgrid
credential: {{verify: query, secrets: [env:KEY], options: {{parameter: code}}}}
---
kind: integration
name: hose
adapter: firehose
credential: {{verify: header, secrets: [env:KEY], options: {{header: X-Amz-Firehose-Access-Key}}}}
---
kind: integration
name: topic
adapter: sns
credential: {{verify: sns, options: {{topics: ["arn:aws:sns:us-west-2:1:T"]}}}}
"""


@pytest.fixture
def issuer() -> RSAKey:
    """The key of the cloud's issuer."""
    return RSAKey.generate_key(2_048, {"kid": "a"})


@pytest.fixture
def house(opened: Open, tmp_path: Path, issuer: RSAKey) -> House:
    found = opened(environment={"KEY": KEY_SECRET})
    keys = tmp_path / "keys.json"
    keys.write_text(json.dumps(KeySet([issuer]).as_dict()))
    texts = DECLARATIONS.format(issuer=ISSUER, audience=AUDIENCE, keys=keys, account=ACCOUNT)
    for text in texts.split("---"):
        store = found.store
        apply_text(store.ledger, store.documents, text, "ann", clock=system_clock)
    return found


def token(issuer: RSAKey, **changed: Any) -> dict[str, str]:
    now = system_clock() // 1_000_000
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "exp": now + 600,
        "email": ACCOUNT,
        "email_verified": True,
        **changed,
    }
    text = jwt.encode({"alg": "RS256", "kid": "a"}, claims, issuer)
    return {"Authorization": f"Bearer {text}"}


def data(id: str) -> str:
    return b64encode(json.dumps(prediction(id)).encode()).decode()


def ids(house: House) -> list[str]:
    return [each["id"] for each in house.bodies("PredictionLogged")]


def test_pubsub_proves_itself_by_the_account_that_pushes(house: House, issuer: RSAKey) -> None:
    body = {"message": {"data": data("a"), "messageId": "1"}, "subscription": "s"}

    def push(headers: dict[str, str]) -> int:
        return house.client.post("/in/ads", json=body, headers=headers).status_code

    assert push({}) == 401
    assert push(token(issuer, email="other@evil.example")) == 401
    assert push(token(issuer, email_verified=False)) == 401
    assert push(token(issuer, aud="https://logs.example/in/other")) == 401
    assert push(token(RSAKey.generate_key(2_048, {"kid": "a"}))) == 401
    assert push(house.token("ads")) == 401
    assert ids(house) == []
    assert push(token(issuer)) == 204
    assert push(token(issuer)) == 204  # delivered again
    assert ids(house) == ["a"]


def test_eventgrid_is_validated_and_its_code_is_kept_nowhere(house: House, shared: Path) -> None:
    body = (shared / "samples/eventgrid/subscription_validation.json").read_bytes()
    headers = {"aeg-event-type": "SubscriptionValidation", "content-type": "application/json"}
    assert house.client.post("/in/grid", content=body, headers=headers).status_code == 401
    address = f"/in/grid?code={KEY_SECRET}&x=1"
    answer = house.client.post(address, content=body, headers=headers)
    assert answer.status_code == 200
    wanted = (shared / "samples/eventgrid/subscription_validation_response.json").read_bytes()
    assert answer.json() == json.loads(wanted)
    house.client.post(address, content=b"oops", headers={"aeg-event-type": "Notification"})
    (kept,) = house.store.work.list("quarantine")
    assert KEY_SECRET.encode() not in kept.body
    assert b"?x=1" in kept.body


def test_firehose_hears_its_own_id_once_it_has_shown_its_key(house: House) -> None:
    body = {"requestId": "r-1", "timestamp": 1, "records": [{"data": data("a")}]}
    headers = {"X-Amz-Firehose-Access-Key": KEY_SECRET, "X-Amz-Firehose-Request-Id": "r-1"}
    good = house.client.post("/in/hose", json=body, headers=headers)
    assert (good.status_code, good.json()["requestId"]) == (200, "r-1")
    assert ids(house) == ["a"]
    stranger = house.client.post(
        "/in/hose", json=body, headers={**headers, **{"X-Amz-Firehose-Access-Key": "wrong"}}
    )
    assert (stranger.status_code, stranger.text) == (401, "Not proved")  # as every stranger hears
    broken = house.client.post("/in/hose", content=b"oops", headers=headers)
    assert (broken.status_code, broken.json()["requestId"]) == (200, "r-1")
    (kept,) = house.store.work.list("quarantine")
    assert KEY_SECRET.encode() not in kept.body


def test_an_unsigned_notification_is_no_sns_and_is_not_dropped_by_it(house: House) -> None:
    """SNS takes a 4xx for delivered: even a refusal must make it come again."""
    body = {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:us-west-2:1:T"}
    said = {"x-amz-sns-message-type": "Notification"}  # as Amazon's own deliveries say
    notice = {**body, "Message": "x", "Timestamp": "t"}
    assert house.client.post("/in/topic", json=notice, headers=said).status_code == 503
    assert house.client.post("/in/topic", json=notice).status_code == 401
    assert ids(house) == []
