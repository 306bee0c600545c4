"""Envelopes of clouds: what they carry is read, and each is acknowledged in its own way."""

import json
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.errors import BadDeclaration
from collector.adapters.registry import ADAPTERS
from collector.adapters.sns import is_amazon
from collector.adapters.wire import Adapted, Message
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared
from collector.integrations.reading import parse
from collector.integrations.verifiers import VERIFIERS
from tests.collector.conftest import prediction

CLOUDS = ["eventbridge", "eventgrid", "firehose", "pubsub", "sns"]
NOW_MS = 1_700_000_000_123
Headers = tuple[tuple[str, str], ...]


def read(name: str, body: bytes | str, headers: Headers = (), **options: str) -> Adapted:
    raw = body.encode() if isinstance(body, str) else body
    pairs = tuple((key.lower().encode(), value.encode()) for key, value in headers)
    message = Message(headers=pairs, body=raw, unpacked=raw, received_us=NOW_MS * 1_000)
    return ADAPTERS[name].read(message, Declared(name="ads", adapter=name, options=options))


def ids(found: Adapted) -> list[str]:
    return [each.id for each in found.events]


def packed(value: Any) -> str:
    return b64encode(json.dumps(value).encode()).decode()


def push(data: str, **more: Any) -> str:
    message = {"data": data, "messageId": "1", "message_id": "1", **more}
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"})


def test_pubsub_hands_on_the_data_and_is_acknowledged() -> None:
    found = read("pubsub", push(packed(prediction("a"))))
    assert (ids(found), found.reply.status) == (["a"], 204)
    cloud = {"specversion": "1.0", "type": "modelwitness.PredictionLogged.v1", "source": "/x"}
    attributes = {"content-type": "application/cloudevents+json"}
    event: dict[str, Any] = {**cloud, "id": "b", "time": "2026-01-01T00:00:00Z"}
    event["data"] = {key: prediction()[key] for key in ("model", "inputs", "output")}
    assert ids(read("pubsub", push(packed(event), attributes=attributes))) == ["b"]


def test_pubsub_unwrapped_is_the_body_itself() -> None:
    headers = (("x-goog-pubsub-subscription-name", "projects/p/subscriptions/s"),)
    found = read("pubsub", json.dumps(prediction("a")), headers)
    assert ids(found) == ["a"]
    with pytest.raises(Invalid):
        read("pubsub", json.dumps(prediction("a")), headers, subscription="projects/p/other")


def test_the_published_pubsub_samples_are_opened(shared: Path) -> None:
    """What they carry is no event of ours: each is refused by itself and kept."""
    for path in sorted((shared / "samples/pubsub").glob("push*.json")):
        found = read("pubsub", path.read_bytes())
        assert (found.events, len(found.refused), found.reply.status) == ([], 1, 204)
        assert found.refused[0].raw == b"Hello Cloud Pub/Sub! Here is my message!"


def test_firehose_gets_its_own_id_and_exactly_200(shared: Path) -> None:
    found = read("firehose", (shared / "samples/aws/firehose_request.json").read_bytes())
    assert found.reply.status == 200
    assert dict(found.reply.headers)["content-type"] == "application/json"
    assert json.loads(found.reply.body) == {
        "requestId": "ed4acda5-034f-9f42-bba1-f29aea6d7d8f",
        "timestamp": NOW_MS,
    }
    assert [each.raw for each in found.refused] == [b"hello", b"hello world"]


def test_a_bad_record_of_firehose_sinks_no_other() -> None:
    records = [packed(prediction("a")), "!", packed({"id": 1}), packed(prediction("b"))]
    body = {"requestId": "r", "timestamp": 1, "records": [{"data": each} for each in records]}
    found = read("firehose", json.dumps(body))
    assert ids(found) == ["a", "b"]
    assert len(found.refused) == 2


@pytest.mark.parametrize(("status", "answered"), [(401, 401), (413, 500), (400, 500), (503, 503)])
def test_a_refusal_of_firehose_is_json_and_never_a_loss(status: int, answered: int) -> None:
    message = Message(headers=((b"x-amz-firehose-request-id", b"r-1"),), received_us=5_000)
    reply = ADAPTERS["firehose"].failing(message, status, "Too large")
    assert reply.status == answered
    assert json.loads(reply.body) == {
        "requestId": "r-1",
        "timestamp": 5,
        "errorMessage": "Too large",
    }


def test_eventbridge_lends_its_id_and_time_to_the_detail(shared: Path) -> None:
    sample = json.loads(
        (shared / "samples/aws/eventbridge_codebuild_state_change.json").read_bytes()
    )
    sample["detail"] = {key: prediction()[key] for key in ("model", "inputs", "output")}
    found = read("eventbridge", json.dumps(sample))
    assert ids(found) == ["c030038d-8c4d-6141-9545-00ff7b7153EX"]
    assert json.loads(found.events[0].body)["time"] == "2017-09-01T16:14:28Z"


def test_eventgrid_is_told_its_validation_code(shared: Path) -> None:
    folder = shared / "samples/eventgrid"
    body = (folder / "subscription_validation.json").read_bytes()
    found = read("eventgrid", body, (("aeg-event-type", "SubscriptionValidation"),))
    assert found.reply.status == 200
    wanted = json.loads((folder / "subscription_validation_response.json").read_bytes())
    assert json.loads(found.reply.body) == wanted
    assert found.events == []


def test_eventgrid_delivers_in_both_schemas() -> None:
    data = {key: prediction()[key] for key in ("model", "inputs", "output")}
    own = {"id": "a", "eventType": "x", "eventTime": "2026-01-01T00:00:00Z", "data": data}
    found = read("eventgrid", json.dumps([own, {"id": 1}]), (("aeg-event-type", "Notification"),))
    assert (ids(found), len(found.refused)) == (["a"], 1)
    cloud = {
        "specversion": "1.0",
        "type": "modelwitness.PredictionLogged.v1",
        "source": "/x",
        "id": "b",
        "time": "2026-01-01T00:00:00Z",
        "data": data,
    }
    media = (("content-type", "application/cloudevents-batch+json; charset=utf-8"),)
    assert ids(read("eventgrid", json.dumps([cloud]), media)) == ["b"]
    assert ids(read("eventgrid", "[]", media)) == []


def notice(shared: Path, name: str) -> dict[str, Any]:
    raw = (shared / "samples/aws" / name).read_text().partition("\n\n")[2]
    found: dict[str, Any] = json.loads(raw)
    return found


def test_sns_notifications_are_handed_on_and_confirmations_called(shared: Path) -> None:
    told = notice(shared, "sns_notification.http")
    found = read("sns", json.dumps({**told, "Message": json.dumps(prediction("a"))}))
    assert (ids(found), found.fetch, found.reply.status) == (["a"], "", 200)
    confirming = notice(shared, "sns_subscription_confirmation.http")
    asked = read("sns", json.dumps(confirming))
    assert asked.fetch == confirming["SubscribeURL"]
    assert asked.events == []
    end = read("sns", json.dumps({**confirming, "Type": "UnsubscribeConfirmation"}))
    assert (end.fetch, end.reply.status) == ("", 200)  # an end is not undone
    raw = read("sns", json.dumps(prediction("b")), (("x-amz-sns-rawdelivery", "true"),))
    assert ids(raw) == ["b"]


@pytest.mark.parametrize(
    "url",
    [
        "http://sns.us-west-2.amazonaws.com/?Action=ConfirmSubscription",
        "https://sns.us-west-2.amazonaws.com.evil.example/",
        "https://sns.us-west-2.amazonaws.com@evil.example/",
        "https://evil.example/sns.us-west-2.amazonaws.com",
        "https://sns.us-west-2.amazonaws.com:8443/",
        "https://snsXus-west-2.amazonaws.com/",
        "https://s3.us-west-2.amazonaws.com/",
        "https://sns.us.west.amazonaws.com/",
        "https://sns.ä.amazonaws.com/",
        "https://[::1]/",
        "https://sns.us-west-2.amazonaws.com:x/",
        "",
    ],
)
def test_an_address_that_is_not_amazon_s_is_not_called(shared: Path, url: str) -> None:
    assert not is_amazon(url)
    confirming = notice(shared, "sns_subscription_confirmation.http")
    with pytest.raises(Invalid):
        read("sns", json.dumps({**confirming, "SubscribeURL": url}))


def test_no_answer_to_sns_is_a_4xx() -> None:
    for status in (400, 401, 403, 413, 415, 429, 500, 503):
        assert ADAPTERS["sns"].failing(Message(), status, "no").status == 503
    assert ADAPTERS["sns"].unreadable == 200


def test_another_adapter_may_read_what_an_envelope_carries() -> None:
    text = (
        "kind: integration\nname: ads\nadapter: pubsub\noptions: {inner: mapping}\n"
        "mapping: {events: [{event: prediction, fields: {}}]}\n"
    )
    with pytest.raises(BadDeclaration, match="mapping"):
        parse(text, ADAPTERS, VERIFIERS)  # the mapping itself is checked
    with pytest.raises(BadDeclaration, match=r"options\.inner"):
        parse(text.replace("inner: mapping", "inner: sns"), ADAPTERS, VERIFIERS)
    declared = parse(
        "kind: integration\nname: ads\nadapter: pubsub\noptions: {inner: zendesk}\n",
        ADAPTERS,
        VERIFIERS,
    )
    assert declared.options == {"inner": "zendesk"}
    outcomes = read("pubsub", push(packed(prediction())), events="outcomes")
    assert len(outcomes.refused) == 1


@given(
    name=st.sampled_from(CLOUDS),
    body=st.one_of(
        st.binary(max_size=200),
        st.recursive(
            st.one_of(st.none(), st.integers(), st.text(max_size=9), st.booleans()),
            lambda inner: st.one_of(
                st.lists(inner, max_size=4),
                st.dictionaries(
                    st.sampled_from(
                        ["message", "data", "records", "requestId", "detail", "id", "time", "Type"]
                    ),
                    inner,
                    max_size=6,
                ),
            ),
            max_leaves=20,
        ).map(lambda value: json.dumps(value).encode()),
    ),
    kind=st.sampled_from(["Notification", "SubscriptionValidation", "x"]),
)
def test_whatever_comes_is_read_or_refused(name: str, body: bytes, kind: str) -> None:
    try:
        found = read(name, body, (("aeg-event-type", kind),))
    except CollectorError:
        return
    assert 200 <= found.reply.status < 300
