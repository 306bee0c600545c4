"""What was refused is kept sealed, listed without its content, and replayed."""

import json
from typing import Any

import pytest

from audit.clock import system_clock
from audit.errors import NotFound
from collector.delivery import Delivery
from collector.quarantine import KIND, Quarantine
from tests.collector.conftest import House, prediction


def listed(house: House, headers: dict[str, str], query: str = "") -> list[dict[str, Any]]:
    """The items of the first page."""
    answer = house.client.get(f"/v1/quarantine{query}", headers=headers)
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


def test_a_refusal_is_listed_with_reason_and_field_and_without_content(house: House) -> None:
    headers = house.token()
    body = json.dumps({**prediction(), "inputs": "SECRET"})
    media = {**headers, "Content-Type": "application/json"}
    refused = house.client.post("/v1/predictions", content=body, headers=media).json()
    (item,) = listed(house, headers)
    assert item == {
        "id": refused["quarantine"],
        "integration": "web",
        "received": item["received"],
        "reason": refused["detail"],
        "field": "/inputs",
        "remedy": refused["remedy"],
        "items": 1,
        "bytes": len(body),
    }
    assert "SECRET" not in json.dumps(item)


def test_what_is_kept_is_sealed(house: House) -> None:
    house.client.post(
        "/v1/predictions", json={**prediction(), "inputs": "SECRET"}, headers=house.token()
    )
    files = list(house.store.settings.data.rglob("*.db*"))
    assert len(files) >= 2  # the write-ahead log too
    for path in files:
        assert b"SECRET" not in path.read_bytes(), path


def test_items_of_one_batch_are_kept_together_by_reason(house: House) -> None:
    headers = house.token()
    batch: list[Any] = [{**prediction(f"a{i}"), "inputs": 1} for i in range(40)]
    batch += [{**prediction(f"b{i}"), "model": {}} for i in range(3)]
    found = house.client.post("/v1/predictions", json=batch, headers=headers).json()
    ids = [each["problem"]["quarantine"] for each in found["rejected"]]
    assert len(ids) == 43
    assert len(set(ids)) == 2
    assert sorted(each["items"] for each in listed(house, headers)) == [3, 40]


def test_endless_reasons_in_one_batch_stay_bounded(house: House) -> None:
    headers = house.token()
    batch = [prediction(f"p{i}", **{f"k{i}": 1}, references={"a": []}) for i in range(3)]
    batch += [{"id": i, "time": 1} for i in range(100)]
    batch += [{**prediction(), "explanation": {"attributions": [{}] * i}} for i in range(100)]
    found = house.client.post("/v1/predictions", json=batch, headers=headers).json()
    kept = {each["problem"]["quarantine"] for each in found["rejected"]}
    assert None not in kept
    assert len(listed(house, headers)) == len(kept) <= 33


def test_a_sender_that_repeats_itself_does_not_fill_the_store(house: House) -> None:
    headers = house.token()
    for _ in range(5):
        house.client.post("/v1/predictions", json={"id": "x"}, headers=headers)
        house.client.post("/v1/predictions", json=[{"id": "x"}], headers=headers)
    assert len(listed(house, headers)) == 1


def test_a_refusal_that_was_given_up_is_kept_anew_when_it_comes_again(house: House) -> None:
    headers = house.token()
    first = house.client.post("/v1/predictions", json={}, headers=headers).json()["quarantine"]
    Quarantine(house.store.work, system_clock).remove(first)
    again = house.client.post("/v1/predictions", json={}, headers=headers).json()["quarantine"]
    assert again != first
    assert [each["id"] for each in listed(house, headers)] == [again]


def test_pages_follow_each_other_to_the_end(house: House) -> None:
    headers = house.token()
    for i in range(40):
        house.client.post("/v1/predictions", json={"id": str(i)}, headers=headers)
    seen: list[str] = []
    after: str | None = ""
    while after is not None:
        page = house.client.get(f"/v1/quarantine?limit=7&after={after}", headers=headers).json()
        seen += [each["id"] for each in page["items"]]
        after = page["next"]
    assert len(seen) == 40
    assert seen == sorted(set(seen))


def test_an_integration_sees_and_replays_its_own_only(house: House) -> None:
    web, app = house.token("web"), house.token("app")
    id = house.client.post("/v1/predictions", json={}, headers=web).json()["quarantine"]
    assert [each["id"] for each in listed(house, web)] == [id]
    assert listed(house, app) == []
    assert house.client.post(f"/v1/quarantine/{id}/replay", headers=app).status_code == 404
    assert house.client.post(f"/v1/quarantine/{id}/replay", headers=web).status_code == 422


def test_operations_sees_and_replays_all_and_audit_only_sees(house: House) -> None:
    id = house.client.post("/v1/predictions", json={}, headers=house.token()).json()["quarantine"]
    ops, audit, science = (house.token(None, role) for role in ("ops", "audit", "data_scientist"))
    assert [each["id"] for each in listed(house, ops)] == [id]
    assert [each["id"] for each in listed(house, audit)] == [id]
    assert house.client.get("/v1/quarantine", headers=science).status_code == 403
    statuses = [
        house.client.post(f"/v1/quarantine/{id}/replay", headers=headers).status_code
        for headers in (ops, audit, science)
    ]
    assert statuses == [422, 403, 403]


def test_a_replay_that_is_refused_again_stays_under_its_id(house: House) -> None:
    headers = house.token()
    house.client.post("/v1/predictions", json=[{"id": "a"}, {"id": "b"}], headers=headers)
    (item,) = listed(house, headers)
    answer = house.client.post(f"/v1/quarantine/{item['id']}/replay", headers=headers)
    assert (answer.status_code, len(answer.json()["rejected"])) == (200, 2)
    assert listed(house, headers) == [item]


@pytest.mark.parametrize("count", [1, 3])
def test_a_replay_that_is_accepted_leaves_quarantine_and_is_in_the_ledger(
    house: House, count: int
) -> None:
    """A cause that was mended since: here, what was kept is good by now."""
    headers = house.token("web")
    deliveries = [_delivery(prediction(f"p-{i}")) for i in range(count)]
    quarantine = Quarantine(house.store.work, system_clock)
    id = quarantine.keep("was once refused", "", "", deliveries)
    answer = house.client.post(f"/v1/quarantine/{id}/replay", headers=headers)
    assert answer.status_code == (201 if count == 1 else 200)
    assert len(house.bodies("PredictionLogged")) == count
    assert listed(house, headers) == []
    assert house.client.post(f"/v1/quarantine/{id}/replay", headers=headers).status_code == 404


def test_a_replay_that_is_accepted_in_part_can_be_tried_again(house: House) -> None:
    headers = house.token("web")
    deliveries = [_delivery(prediction("good")), _delivery({"id": "bad"})]
    id = Quarantine(house.store.work, system_clock).keep("mixed", "", "", deliveries)
    first, second = (
        house.client.post(f"/v1/quarantine/{id}/replay", headers=headers).json() for _ in range(2)
    )
    assert (first["accepted"], first["duplicates"], len(first["rejected"])) == (1, 0, 1)
    assert (second["accepted"], second["duplicates"], len(second["rejected"])) == (0, 1, 1)


def test_refused_cloudevents_are_replayed_in_their_own_mode(house: House) -> None:
    headers = house.token()
    binary = {
        "ce-specversion": "1.0",
        "ce-id": "1",
        "ce-source": "/x",
        "ce-type": "modelwitness.Unknown.v1",
    }
    one = house.client.post("/v1/cloudevents", json={}, headers={**headers, **binary})
    assert one.json()["field"] == "ce-type"
    media = {**headers, "Content-Type": "application/cloudevents-batch+json"}
    house.client.post("/v1/cloudevents", content=b'[{"specversion":"1.0"}]', headers=media)
    fields = []
    for item in listed(house, headers):
        answer = house.client.post(f"/v1/quarantine/{item['id']}/replay", headers=headers)
        fields.append((answer.status_code, answer.json()["field"]))
    assert fields == [(422, "ce-type"), (400, "/id")]


@pytest.mark.parametrize("id", ["0" * 16, "x", "0" * 15, "..%2f"])
def test_an_id_under_which_nothing_is_kept_is_not_found(house: House, id: str) -> None:
    answer = house.client.post(f"/v1/quarantine/{id}/replay", headers=house.token())
    assert answer.status_code in {400, 404}
    assert answer.headers["content-type"] == "application/problem+json"


def test_two_processes_that_keep_in_the_same_microsecond_take_two_ids(house: House) -> None:
    one, other = (Quarantine(house.store.work, lambda: 1_000_000) for _ in range(2))
    ids = [
        each.keep("reason", "", "", [_delivery({"id": str(i)})])
        for i, each in enumerate([one, other, one])
    ]
    assert len(set(ids)) == 3
    with pytest.raises(NotFound):
        one.get(ids[0], integration="app")


def test_listing_does_not_read_the_whole_store_for_one_page(house: House) -> None:
    quarantine = Quarantine(house.store.work, system_clock)
    for i in range(40):
        quarantine.keep("reason", "", "", [_delivery({"id": str(i)})])
    page, after = quarantine.list(limit=10)
    assert (len(page), after) == (10, page[-1].id)
    rest, end = quarantine.list(after=page[-1].id)
    assert (len(rest), end) == (30, None)
    assert len(house.store.work.list(KIND)) == 40


def _delivery(body: dict[str, Any]) -> Delivery:
    return Delivery(
        address="predictions",
        integration="web",
        permitted=frozenset({"PredictionLogged"}),
        body=json.dumps(body).encode(),
        content_type="application/json",
    )


def test_an_id_that_was_never_given_is_refused_before_it_is_looked_for(house: House) -> None:
    for id in ("0" * 16, "0" * 23, "g" * 24):
        answer = house.client.post(f"/v1/quarantine/{id}/replay", headers=house.token())
        assert answer.status_code == 400, id
