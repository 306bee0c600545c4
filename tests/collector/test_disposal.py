"""Quarantine has an end: shares that fill up, time that runs out, and people who give up."""

import json
from functools import partial
from typing import Any

import pytest

from audit.clock import system_clock
from audit.errors import NotFound, Rejected
from collector.delivery import Delivery
from collector.disposal import discard, expire
from collector.errors import Full
from collector.limits import Limits
from collector.quarantine import DAY_US, KIND, Quarantine
from tests.collector.conftest import House, Open, prediction


def delivery(id: str, integration: str = "web") -> Delivery:
    return Delivery(
        address="predictions",
        integration=integration,
        permitted=frozenset({"PredictionLogged"}),
        body=json.dumps({"id": id, "secret": "SECRET"}).encode(),
        content_type="application/json",
    )


def kept(house: House) -> list[str]:
    return [item.key for item in house.store.work.list(KIND)]


def not_kept(house: House, integration: str = "web") -> float | None:
    return house.registry.get_sample_value(
        "modelwitness_quarantine_not_kept_total", {"integration": integration}
    )


def test_what_finds_no_room_is_told_as_not_kept_and_counted_and_nothing_older_goes(
    opened: Open,
) -> None:
    house = opened(quarantine_parcels=2)
    headers = house.token()
    answers = [
        house.client.post("/v1/predictions", json={"id": id}, headers=headers).json()
        for id in "abc"
    ]
    assert [answer.get("quarantine") for answer in answers] == [*kept(house), None]
    assert "not_kept" not in answers[0]
    assert "is full" in answers[2]["not_kept"]
    batch = [{"id": "d"}, {"id": "e"}, prediction("good")]
    found = house.client.post("/v1/predictions", json=batch, headers=headers).json()
    assert found["accepted"] == 1
    assert all("is full" in each["problem"]["not_kept"] for each in found["rejected"])
    assert not_kept(house) == 3
    assert len(kept(house)) == 2
    other = house.client.post("/v1/predictions", json={}, headers=house.token("app"))
    assert other.json()["quarantine"] in kept(house)  # a share is of one integration


def test_a_share_has_bytes_too_and_room_again_once_a_parcel_is_gone(house: House) -> None:
    now = [1_000_000]
    quarantine = Quarantine(house.store.work, lambda: now[0], Limits(quarantine_bytes=4_000))
    big = Delivery(
        address="predictions", integration="web", permitted=frozenset(), body=b" " * 2_500
    )
    id = quarantine.keep("reason", "", "", [big])
    with pytest.raises(Full):
        quarantine.keep("other", "", "", [delivery("x"), big])
    quarantine.remove(id)
    now[0] += 2_000_000
    assert quarantine.keep("other", "", "", [delivery("x"), big]) in kept(house)


def test_too_large_items_of_a_batch_are_not_kept_and_the_answer_says_so(opened: Open) -> None:
    house = opened(item_bytes=2_000)
    huge = {**prediction("huge"), "inputs": {"text": "x" * 3_000}}
    found = house.client.post(
        "/v1/predictions", json=[huge, {"id": "bad"}, prediction("good")], headers=house.token()
    ).json()
    large, bad = (each["problem"] for each in found["rejected"])
    assert (large["status"], "quarantine" in large) == (413, False)
    assert large["not_kept"] == "What is refused for this reason is never kept."
    assert kept(house) == [bad["quarantine"]]


def test_what_nobody_took_care_of_expires_and_only_counts_of_it_are_on_the_ledger(
    house: House,
) -> None:
    limits, now = Limits(), system_clock()
    old, young = now - 31 * DAY_US, now - 29 * DAY_US
    for at, parcel in (
        (old, [delivery("a"), delivery("b")]),
        (old, [delivery("c", "app")]),
        (young, [delivery("d")]),
    ):
        Quarantine(house.store.work, partial(int, at), limits).keep("reason", "", "", parcel)
    house.store.work.put(KIND, "0" * 16, house.store.work.list(KIND)[2].body)  # of a version before

    def run() -> int:
        return expire(house.store.work, house.store.ledger, limits, holder="a", clock=lambda: now)

    assert (run(), run()) == (2, 0)
    assert len(kept(house)) == 2
    [told] = house.bodies("QuarantineExpired")
    assert told["integrations"] == {
        "app": {"parcels": 1, "items": 1},
        "web": {"parcels": 1, "items": 2},
    }
    assert (told["days"], "SECRET" in json.dumps(told)) == (30, False)


def test_who_discards_and_why_is_on_the_ledger_before_it_is_gone(house: House) -> None:
    id = house.client.post("/v1/predictions", json={}, headers=house.token()).json()["quarantine"]
    ops, audit = house.token(None, "ops"), house.token(None, "audit")
    path, reason = f"/v1/quarantine/{id}/discard", {"reason": "a test of the sender's"}
    for headers in (house.token(), audit):
        assert house.client.post(path, json=reason, headers=headers).status_code == 403
    assert house.client.post(path, json={"reason": ""}, headers=ops).status_code == 400
    assert house.client.post(path, json={"reason": " "}, headers=ops).status_code == 400
    assert kept(house) == [id]
    answer = house.client.post(path, json=reason, headers=ops)
    assert (answer.status_code, answer.json()["items"]) == (200, 1)
    assert house.client.post(path, json=reason, headers=ops).status_code == 404
    assert kept(house) == []
    [told] = house.bodies("QuarantineDiscarded")
    assert (told["quarantine"], told["integration"], told["items"]) == (id, "web", 1)
    assert (told["reason"], told["actor"]) == ("a test of the sender's", "ops")


def test_a_discard_without_a_reason_or_of_nothing_is_refused(house: House) -> None:
    quarantine = Quarantine(house.store.work, system_clock)

    def give_up(id: str, reason: str) -> Any:
        return discard(
            quarantine, house.store.ledger, id, actor="ann", reason=reason, clock=system_clock
        )

    with pytest.raises(NotFound):
        give_up("0" * 16, "reason")
    with pytest.raises(Rejected, match="reason"):
        give_up("0" * 16, " ")
    assert house.bodies("QuarantineDiscarded") == []
