"""Events over HTTP into a real store: what is answered, and what the ledger then holds."""

import gzip
import json
from base64 import b64decode
from typing import Any

import pytest

from audit import checkpoint
from audit.errors import Broken
from tests.audit.fatal import Fatal, deadly
from tests.collector.conftest import House, Open, prediction

ABOUT = {"time": "2013-01-02T10:00:00Z", "prediction": {"id": "p-1"}}
ADDRESSES = {
    "predictions": ("PredictionLogged", prediction("x")),
    "outcomes": ("OutcomeObserved", {"id": "o-1", **ABOUT, "outcome": "late"}),
    "oversight": ("OversightRecorded", {"id": "r-1", **ABOUT, "action": "override"}),
    "explanations": (
        "ExplanationAttached",
        {"id": "e-1", **ABOUT, "explanation": {"method": "shap"}},
    ),
}


def lines(*items: dict[str, Any]) -> bytes:
    """JSON lines."""
    return b"\n".join(json.dumps(each).encode() for each in items)


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_single_event_is_answered_with_its_receipt(house: House, address: str) -> None:
    type_, body = ADDRESSES[address]
    answer = house.client.post(f"/v1/{address}", json=body, headers=house.token())
    receipt = answer.json()
    assert answer.status_code == 201
    assert list(receipt) == ["id", "index", "leaf_hash", "tree_size", "duplicate"]
    leaf = house.store.reader.leaf(receipt["index"])
    assert b64decode(receipt["leaf_hash"], validate=True) == leaf.hash
    assert (receipt["id"], receipt["duplicate"]) == (body["id"], False)
    assert (leaf.type, leaf.integration) == (type_, "web")
    assert receipt["tree_size"] == receipt["index"] + 1
    assert house.bodies(type_) == [body]


def test_the_same_event_again_is_a_duplicate_with_the_first_place(house: House) -> None:
    headers = house.token()
    first = house.client.post("/v1/predictions", json=prediction(), headers=headers).json()
    house.client.post("/v1/predictions", json=prediction("p-2"), headers=headers)
    reordered = dict(reversed(prediction().items()))
    again = house.client.post("/v1/predictions", json=reordered, headers=headers)
    assert again.status_code == 200
    assert again.json() == {**first, "tree_size": first["tree_size"] + 1, "duplicate": True}


def test_the_same_id_with_other_content_is_a_conflict_that_is_recorded(house: House) -> None:
    headers = house.token()
    first = house.client.post("/v1/predictions", json=prediction(), headers=headers).json()
    answer = house.client.post("/v1/predictions", json=prediction(output="no"), headers=headers)
    problem = answer.json()
    assert answer.status_code == problem["status"] == 409
    assert problem["field"] == "/id"
    assert len(house.bodies("PredictionLogged")) == 1
    assert [each["first"] for each in house.bodies("ConflictRecorded")] == [first["index"]]
    assert problem["quarantine"]


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("written", ["array", "lines"])
def test_many_events_are_answered_together(house: House, written: str, packed: bool) -> None:
    items = [prediction(f"p-{i}") for i in range(5)]
    body = json.dumps(items).encode() if written == "array" else lines(*items)
    media = "application/json" if written == "array" else "application/x-ndjson"
    headers = {**house.token(), "Content-Type": media}
    if packed:
        body, headers["Content-Encoding"] = gzip.compress(body), "gzip"
    answer = house.client.post("/v1/predictions", content=body, headers=headers)
    found = answer.json()
    assert answer.status_code == 200
    assert found == {
        "accepted": 5,
        "duplicates": 0,
        "rejected": [],
        "first_index": found["first_index"],
        "last_index": found["first_index"] + 4,
        "tree_size": found["first_index"] + 5,
    }
    assert house.bodies("PredictionLogged") == items


def test_a_batch_larger_than_the_loop_reads_itself_is_logged_in_its_order(house: House) -> None:
    items = [prediction(f"p-{i}", note="x" * 500) for i in range(600)]
    body = json.dumps(items).encode()
    assert len(body) > 300_000
    found = house.client.post("/v1/predictions", content=body, headers=_json(house)).json()
    assert found["accepted"] == 600
    opened = house.store.reader.open(range(found["first_index"], found["last_index"] + 1))
    assert [json.loads(each.body) for each in opened] == items


def test_a_list_of_one_or_none_is_still_a_list(house: House) -> None:
    headers = house.token()
    one = house.client.post("/v1/predictions", json=[prediction()], headers=headers)
    none = house.client.post("/v1/predictions", json=[], headers=headers)
    size = house.store.reader.size()
    assert (one.status_code, one.json()["accepted"]) == (200, 1)
    assert none.status_code == 200
    assert none.json() == {
        "accepted": 0,
        "duplicates": 0,
        "rejected": [],
        "first_index": None,
        "last_index": None,
        "tree_size": size,
    }


def test_bad_items_never_sink_good_ones(house: House) -> None:
    headers = {**house.token(), "Content-Type": "application/x-ndjson"}
    house.client.post("/v1/predictions", content=lines(prediction("old")), headers=headers)
    body = b"\n".join(
        [
            lines(prediction("a")),
            lines({**prediction("b"), "model": {"name": "m"}}),
            b'{"id": "c", "time": ',
            b"[]",
            lines(prediction("old", output="other")),
            lines(prediction("old")),
            lines({**prediction(), "id": 5}),
            lines(prediction("d"), prediction("d")),
        ]
    )
    found = house.client.post("/v1/predictions", content=body, headers=headers).json()
    rejected = [
        (each["position"], each["id"], each["problem"]["status"], each["problem"].get("field"))
        for each in found["rejected"]
    ]
    assert rejected == [
        (1, "b", 422, "/model/version"),
        (2, None, 400, None),
        (3, None, 422, None),
        (4, "old", 409, "/id"),
        (6, None, 422, "/id"),
    ]
    assert (found["accepted"], found["duplicates"]) == (2, 2)
    assert [each["id"] for each in house.bodies("PredictionLogged")] == ["old", "a", "d"]
    assert found["tree_size"] == house.store.reader.size()
    for each in found["rejected"]:
        assert each["problem"]["remedy"]
        assert each["problem"]["quarantine"]


def test_a_batch_of_bad_items_only_tells_the_size_of_the_tree(house: House) -> None:
    found = house.client.post("/v1/predictions", json=[{}, 1], headers=house.token()).json()
    assert (found["accepted"], found["first_index"], len(found["rejected"])) == (0, None, 2)
    assert found["tree_size"] == house.store.reader.size()


def test_an_event_belongs_to_the_integration_of_its_token(house: House) -> None:
    """One producer's ids mean nothing to another's."""
    web, app = house.token("web"), house.token("app")
    forged = prediction(source="app", integration="app")
    first = house.client.post("/v1/predictions", json=forged, headers=web)
    other = house.client.post("/v1/predictions", json=prediction(output="x"), headers=app)
    assert (first.status_code, other.status_code) == (201, 201)
    integrations = [
        house.store.reader.leaf(each.json()["index"]).integration for each in (first, other)
    ]
    assert integrations == ["web", "app"]


def test_an_answer_is_covered_by_the_signed_checkpoint(house: House) -> None:
    answer = house.client.post("/v1/predictions", json=prediction(), headers=house.token())
    note = house.store.ledger.checkpoint().decode().split("\n\n")[0] + "\n"
    assert checkpoint.parse(note).size >= answer.json()["tree_size"]


# ---- CloudEvents ---------------------------------------------------------------------------------


def _event(type_: str = "PredictionLogged", **fields: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "type": f"modelwitness.{type_}.v1",
        "source": "/gate",
        "id": "ce-1",
        "data": prediction("ce-1"),
        **fields,
    }


def test_a_binary_cloudevent_is_logged(house: House) -> None:
    data = {key: value for key, value in prediction().items() if key not in {"id", "time"}}
    headers = {
        **house.token(),
        "ce-specversion": "1.0",
        "ce-type": "modelwitness.PredictionLogged.v1",
        "ce-source": "/gate%20A",
        "ce-id": "ce-1",
        "ce-time": "2013-01-01T00:00:00Z",
    }
    answer = house.client.post("/v1/cloudevents", json=data, headers=headers)
    assert (answer.status_code, answer.json()["id"]) == (201, "ce-1")
    (body,) = house.bodies("PredictionLogged")
    assert body["cloudevent"]["source"] == "/gate A"


def test_a_structured_cloudevent_is_logged_and_known_again_on_redelivery(house: House) -> None:
    headers = {**house.token(), "Content-Type": "application/cloudevents+json"}
    first, again = (
        house.client.post(
            "/v1/cloudevents", content=json.dumps(_event(arrival=arrival)), headers=headers
        )
        for arrival in ("1", "2")
    )
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json()["index"] == first.json()["index"]


def test_a_native_event_and_a_cloudevent_of_the_same_content_are_one(house: House) -> None:
    native = house.client.post("/v1/predictions", json=prediction("ce-1"), headers=house.token())
    headers = {**house.token(), "Content-Type": "application/cloudevents+json"}
    cloud = house.client.post("/v1/cloudevents", content=json.dumps(_event()), headers=headers)
    assert (cloud.status_code, cloud.json()["index"]) == (200, native.json()["index"])


def test_a_batch_of_cloudevents_mixes_types_and_fates(house: House) -> None:
    outcome = {"prediction": {"id": "ce-1"}, "outcome": 1}
    batch = [
        _event(),
        _event("OutcomeObserved", id="ce-2", time="2013-01-01T00:00:00Z", data=outcome),
        _event(type="com.example.other"),
        _event(source=None),
    ]
    headers = {**house.token(), "Content-Type": "application/cloudevents-batch+json"}
    found = house.client.post("/v1/cloudevents", content=json.dumps(batch), headers=headers).json()
    assert (found["accepted"], [each["position"] for each in found["rejected"]]) == (2, [2, 3])
    assert house.bodies("OutcomeObserved")[0]["id"] == "ce-2"


def test_an_empty_batch_is_valid_and_an_object_is_no_batch(house: House) -> None:
    headers = {**house.token(), "Content-Type": "application/cloudevents-batch+json"}
    empty = house.client.post("/v1/cloudevents", content=b"[]", headers=headers)
    single = house.client.post("/v1/cloudevents", content=json.dumps(_event()), headers=headers)
    assert (empty.status_code, empty.json()["accepted"], single.status_code) == (200, 0, 400)


def test_a_retrainer_may_release_versions_and_nothing_else(house: House) -> None:
    headers = {
        **house.token(None, "retrainer"),
        "Content-Type": "application/cloudevents-batch+json",
    }
    data = {"model": {"name": "late-arrival", "version": "2"}}
    released = _event("VersionReleased", time="2013-02-01T00:00:00Z", data=data)
    found = house.client.post(
        "/v1/cloudevents", content=json.dumps([released, _event()]), headers=headers
    ).json()
    assert found["accepted"] == 1
    assert [each["problem"]["status"] for each in found["rejected"]] == [403]
    assert house.store.reader.leaf(found["first_index"]).integration == "retrainer"
    native = house.client.post("/v1/predictions", json=prediction(), headers=headers)
    assert native.status_code == 403


def test_a_webhook_sender_gets_consent_without_a_token(house: House) -> None:
    answer = house.client.options(
        "/v1/cloudevents", headers={"WebHook-Request-Origin": "events.example.com"}
    )
    assert answer.status_code == 200
    assert answer.headers["WebHook-Allowed-Origin"] == "events.example.com"
    assert answer.headers["WebHook-Allowed-Rate"] == "*"
    assert "POST" in answer.headers["Allow"]


# ---- health --------------------------------------------------------------------------------------


def test_health_and_metrics_need_no_token(house: House) -> None:
    house.client.post("/v1/predictions", json=[prediction(), {}], headers=house.token())
    assert house.client.get("/healthz").text == "alive\n"
    assert house.client.get("/readyz").text == "ready\n"
    metrics = house.client.get("/metrics")
    assert metrics.headers["content-type"].startswith("text/plain; version=")
    name = 'modelwitness_ingest_events_total{address="predictions",fate="%s",integration="web"} 1.0'
    assert name % "accepted" in metrics.text
    assert name % "rejected" in metrics.text


def test_a_store_that_cannot_be_asked_is_not_ready_though_alive(house: House) -> None:
    house.store.database.engine.dispose()
    path = house.store.settings.data / "ledger.db"
    path.rename(path.with_suffix(".away"))
    path.mkdir()
    assert house.client.get("/readyz").status_code == 503
    assert house.client.get("/healthz").status_code == 200


def test_a_ledger_that_broke_is_not_ready_and_takes_nothing(opened: Open) -> None:
    fatal = Fatal()
    fatal.go_on.set()
    house = opened(fatal)
    token = house.token()
    assert house.client.get("/readyz").status_code == 200
    with pytest.raises(Broken):
        house.store.ledger.append([deadly()])
    answer = house.client.get("/readyz")
    assert answer.status_code == 503
    assert "nobody foresaw" in answer.json()["detail"]
    answer = house.client.post("/v1/predictions", json=prediction(), headers=token)
    assert answer.status_code == 503
    assert house.client.get("/healthz").status_code == 200


def _json(house: House) -> dict[str, str]:
    return {**house.token(), "Content-Type": "application/json"}
