"""Two halves become one event, once, whoever is killed in between; one alone is told as such."""

import itertools
import os
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from audit.errors import Busy
from collector.adapters.wire import Half
from collector.errors import Full as QuarantineFull
from collector.integrations.crowd import Crowded
from collector.integrations.declaration import Declared
from collector.integrations.pairing import PAIRED, Offer, Pairing
from collector.integrations.unpaired import HALF, Alone, UnpairedMetric, unpaired
from collector.limits import Limits
from collector.quarantine import KIND, Quarantine
from tests.collector.conftest import House, Open
from tests.collector.integrations.rigs import CRM, WAIT_US, Crash, Rig, made
from tests.collector.integrations.senders import (
    ADAPTERS,
    BY_HEADER,
    HEADERS,
    SECRET,
    TOLD,
    declare,
    half,
)


@pytest.fixture
def rig(house: House) -> Rig:
    """Pairing over an empty store."""
    return Rig(house)


REQUEST, RESPONSE = made("k", "request", {"x": 7}), made("k", "response", "late")


@pytest.mark.parametrize("order", [(REQUEST, RESPONSE), (RESPONSE, REQUEST)])
def test_two_halves_in_either_order_are_one_prediction(rig: Rig, order: tuple[Half, Half]) -> None:
    assert rig.offer(order[0]) == ["waiting"]
    assert rig.predictions() == []
    assert rig.offer(order[1]) == ["accepted"]
    (found,) = rig.predictions()
    assert (found["id"], found["inputs"], found["output"]) == ("k", {"x": 7}, "late")
    assert rig.left(HALF) == 0


def test_both_halves_in_one_message_are_one_prediction(rig: Rig) -> None:
    assert rig.offer(RESPONSE, REQUEST) == ["accepted", "accepted"]
    assert len(rig.predictions()) == 1


def test_a_redelivery_before_and_after_does_nothing(rig: Rig) -> None:
    rig.offer(REQUEST)
    assert rig.offer(REQUEST, REQUEST) == ["waiting", "waiting"]
    rig.offer(RESPONSE)
    assert rig.offer(REQUEST, RESPONSE) == ["duplicate", "duplicate"]
    rig.expire()
    assert len(rig.predictions()) == 1
    assert rig.left(HALF, PAIRED, KIND) == 0


def test_a_request_without_response_is_a_failed_prediction_and_is_counted(rig: Rig) -> None:
    rig.offer(REQUEST, made("other", "request"))
    rig.expire(later_us=WAIT_US - 1_000_000)
    assert rig.predictions() == []
    rig.expire(later_us=2_000_000)
    found = {each["id"]: each for each in rig.predictions()}
    assert found.keys() == {"k", "other"}
    assert found["k"]["status"] == "error"
    assert found["k"]["error"] == {"missing": "response"}
    assert unpaired(rig.house.store.work) == {"crm": Alone(requests=2)}
    assert rig.left(HALF) == 0


def test_a_response_that_is_late_goes_to_quarantine_and_changes_nothing(rig: Rig) -> None:
    rig.offer(REQUEST)
    rig.expire(later_us=WAIT_US + 1)
    assert rig.offer(RESPONSE) == ["late"]
    assert [each["status"] for each in rig.predictions()] == ["error"]
    assert rig.left(KIND) == 1
    assert rig.house.bodies("ConflictRecorded") == []


def test_a_lonely_response_goes_to_quarantine(rig: Rig) -> None:
    rig.offer(RESPONSE)
    rig.expire()
    assert rig.predictions() == []
    assert rig.left(HALF, KIND) == 1
    (summary,), _ = Quarantine(rig.house.store.work, rig.hours).list("crm")
    assert summary.reason == "its other half did not come"
    assert unpaired(rig.house.store.work) == {"crm": Alone(responses=1)}


def test_the_same_key_of_two_integrations_is_two_predictions(rig: Rig) -> None:
    erp = Declared(name="erp", adapter="told")
    rig.offer(REQUEST)
    assert rig.pairing().settle([Offer(RESPONSE, erp, TOLD)]) == ["waiting"]


def test_nothing_of_a_half_can_be_read_in_the_store(rig: Rig) -> None:
    rig.offer(made("PRIVATE-KEY", "request", {"name": "PRIVATE-NAME"}))
    (item,) = rig.house.store.work.list(HALF)
    assert "PRIVATE" not in item.key
    for path in rig.house.store.settings.data.rglob("*.db*"):
        assert b"PRIVATE" not in path.read_bytes()


def finished(rig: Rig) -> list[str]:
    """Let all waits end, and some time pass for what a dead process had leased."""
    for _ in range(4):
        rig.expire()
    assert rig.left(HALF) == 0
    return [each["id"] for each in rig.predictions()]


def test_a_kill_at_any_step_neither_loses_nor_doubles_a_pair(opened: Open) -> None:
    survived = False
    for dies_at in itertools.count():
        rig = Rig(opened())
        try:
            rig.offer(REQUEST, dies_at=dies_at)
            rig.offer(RESPONSE, dies_at=dies_at)
            survived = True
        except Crash:
            # The sender was not answered and sends both again, one of them perhaps in vain.
            rig.offer(REQUEST)
            rig.offer(RESPONSE)
        assert finished(rig) == ["k"], dies_at
        assert "error" not in rig.predictions()[0]
        assert rig.house.bodies("ConflictRecorded") == []
        assert rig.left(KIND) == 0
        if survived:
            break
    assert dies_at > 5


def test_a_kill_at_any_step_of_the_second_half_without_redelivery_loses_nothing_stored(
    opened: Open,
) -> None:
    """A sender that does not repeat may lose what was not answered, and nothing else."""
    for dies_at in itertools.count():
        rig = Rig(opened())
        rig.offer(REQUEST)
        try:
            rig.offer(RESPONSE, dies_at=dies_at)
        except Crash:
            assert finished(rig) == ["k"], dies_at
            assert rig.house.bodies("ConflictRecorded") == []
            continue
        break
    assert dies_at > 3


def test_a_kill_at_any_step_of_a_sweep_is_made_good_by_the_next(opened: Open) -> None:
    for lonely in (REQUEST, RESPONSE):
        for dies_at in itertools.count():
            rig = Rig(opened())
            rig.offer(lonely)
            try:
                rig.expire(dies_at=dies_at)
                survived = True
            except Crash:
                survived = False
            assert finished(rig) == (["k"] if lonely is REQUEST else []), dies_at
            # Twice in quarantine does no harm: the second replay finds that nothing is left to do.
            assert rig.left(KIND) in ({1, 2} if lonely is RESPONSE else {0})
            assert rig.house.bodies("ConflictRecorded") == []
            if survived:
                break
        assert dies_at > 3


def test_halves_whose_declaration_is_gone_wait_on(rig: Rig) -> None:
    rig.offer(REQUEST)
    rig.hours.added_us += 2 * WAIT_US
    rig.pairing().expire(lambda _: None, ADAPTERS, "sweeper")
    assert rig.left(HALF) == 1
    assert finished(rig) == ["k"]


def test_a_full_quarantine_holds_up_no_other_half(rig: Rig) -> None:
    rig.offer(RESPONSE, made("other", "request"))

    class Full(Quarantine):
        def keep_parcel(self, kept: Any, same: bytes) -> str:
            raise Busy("full")

    work = rig.house.store.work
    full = Full(work, rig.hours)
    ledger = rig.house.store.ledger
    pairing = Pairing(ledger, work, full, rig.hours, os.urandom, Limits())
    rig.hours.added_us += 2 * WAIT_US
    pairing.expire({"crm": CRM}.get, ADAPTERS, "sweeper")
    assert [each["id"] for each in rig.predictions()] == ["other"]
    assert rig.left(HALF) == 1


ERP = Declared(name="erp", adapter="told")


def test_a_full_quarantine_of_one_integration_touches_no_half_of_another(rig: Rig) -> None:
    """They are settled together; the other is told its own fate, and logged."""
    rig.offer(REQUEST)
    rig.offer(RESPONSE)
    rig.hours.added_us += 2 * WAIT_US  # what was logged is forgotten, and is logged otherwise below
    rig.pairing().expire({"crm": CRM}.get, ADAPTERS, "sweeper")
    offers = [
        Offer(made("k", "request", {"x": 8}), CRM, TOLD),
        Offer(RESPONSE, CRM, TOLD),
        Offer(REQUEST, ERP, TOLD),
        Offer(made("b", "response", "late"), ERP, TOLD),
        Offer(made("b", "request"), ERP, TOLD),
        Offer(made("c", "request"), CRM, TOLD),
        Offer(made("c", "response"), CRM, TOLD),
    ]
    fates = rig.pairing(quarantine_parcels=0).settle(offers)
    assert [isinstance(each, QuarantineFull) for each in fates] == [True] * 2 + [False] * 5
    assert fates[2:] == ["waiting", *["accepted"] * 4]
    assert [each["id"] for each in rig.predictions()] == ["k", "b", "c"]
    assert rig.left(HALF) == 3  # the two for which there was no room, and the one that waits
    # Once there is room, the same comes again and is kept.
    assert rig.pairing().settle(offers[:2]) == ["conflict", "conflict"]
    assert rig.left(KIND) == 1


def test_halves_that_cannot_be_joined_are_refused_and_sink_no_other(rig: Rig) -> None:
    """What an adapter makes of them is no event; or the adapter has a bug."""
    pairs = [made("a", "request", "no object"), made("a", "response", 1), REQUEST, RESPONSE]
    assert rig.offer(*pairs) == ["rejected"] * 2 + ["accepted"] * 2
    broken = [Half(key="b", side=each, body=b"{") for each in ("request", "response")]
    assert rig.offer(*broken, made("c", "request"), made("c", "response")) == [
        *["rejected"] * 2,
        *["accepted"] * 2,
    ]
    assert (rig.left(KIND), rig.left(HALF)) == (2, 0)


def test_a_late_half_without_room_in_quarantine_touches_no_other(rig: Rig) -> None:
    rig.offer(REQUEST)
    rig.expire(later_us=WAIT_US + 1)
    offers = [Offer(RESPONSE, CRM, TOLD), Offer(REQUEST, ERP, TOLD)]
    late, other = rig.pairing(quarantine_parcels=0).settle(offers)
    assert isinstance(late, QuarantineFull)
    assert other == "waiting"


@pytest.mark.parametrize("limit", [{"waiting_halves": 2}, {"waiting_half_bytes": 120}])
def test_lonely_halves_have_a_bound_and_whoever_ends_a_wait_is_let_in(
    rig: Rig, limit: dict[str, int]
) -> None:
    pairing = rig.pairing(**limit)
    first, second, third = (made(each, "request", {"x": 10}) for each in "123")
    assert 100 < len(first.body) * 2 < 120
    fates = pairing.settle([Offer(each, CRM, TOLD) for each in (first, second, third)])
    assert fates[:2] == ["waiting", "waiting"]
    assert isinstance(fates[2], Crowded)
    assert rig.left(HALF) == 2
    assert pairing.settle([Offer(third, ERP, TOLD)]) == ["waiting"]  # another's share is its own
    # What is there already, and what comes with its other half, waits for nothing more.
    assert pairing.settle([Offer(second, CRM, TOLD)]) == ["waiting"]
    pair = made("4", "response"), made("4", "request")
    assert pairing.settle([Offer(each, CRM, TOLD) for each in pair]) == ["accepted"] * 2
    answer = Offer(made("1", "response"), CRM, TOLD)
    assert pairing.settle([answer]) == ["accepted"]
    assert pairing.settle([Offer(third, CRM, TOLD)]) == ["waiting"]  # there is room again
    # Another process measures what waits in the store.
    (fate,) = rig.pairing(**limit).settle([Offer(made("5", "request", {"x": "x" * 99}), CRM, TOLD)])
    assert isinstance(fate, Crowded)


def test_a_sender_of_too_many_lonely_halves_is_told_to_come_again(opened: Open) -> None:
    house = opened(adapters=ADAPTERS, environment={"NEW": SECRET}, waiting_halves=2)
    declare(house, BY_HEADER.format(name="crm"))
    assert [post(house, half(each, "request")) for each in "123"] == [202, 202, TOLD.unavailable]
    assert post(house, half("1", "response", "late")) == 202
    assert post(house, half("3", "request")) == 202


class Counting:
    """A store that counts how often what waits is measured."""

    def __init__(self, part: Any) -> None:
        self._part = part
        self.measured = 0

    def usage(self, kind: str, suffix: str) -> Any:
        self.measured += 1
        return self._part.usage(kind, suffix)

    def list(self, kind: str, after: str = "", limit: int = 200) -> Any:
        return self._part.list(kind, after, limit)


def test_scrapes_measure_what_waits_once_in_some_seconds(rig: Rig) -> None:
    registry = CollectorRegistry()
    work = Counting(rig.house.store.work)
    metric = UnpairedMetric(work, registry, rig.hours)
    metric.refresh()
    rig.offer(REQUEST)
    for _ in range(20):
        metric.refresh()
    assert work.measured == 1
    rig.hours.added_us += 11_000_000
    metric.refresh()
    assert work.measured == 2
    assert registry.get_sample_value("modelwitness_waiting_halves") == 1


Step = tuple[str, str]


@settings(
    max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]), st.sampled_from(["request", "response", "time"])
        ),
        max_size=12,
    )
)
def test_whatever_comes_in_whatever_order_each_request_is_logged_once(
    opened: Open, steps: Sequence[Step]
) -> None:
    """Redelivery within the wait is harmless; each request leads to exactly one prediction."""
    rig = Rig(opened())
    for key, side in steps:
        if side == "time":
            rig.expire(later_us=WAIT_US // 8)
        else:
            rig.offer(made(key, side, {"x": 1} if side == "request" else "late"))
    found = finished(rig)
    assert sorted(found) == sorted({key for key, side in steps if side == "request"})
    assert rig.house.bodies("ConflictRecorded") == []


def post(house: House, *halves: dict[str, Any]) -> int:
    answer = house.client.post("/in/crm", json={"halves": list(halves)}, headers=HEADERS)
    return answer.status_code


def test_halves_come_in_over_http_and_are_counted(opened: Open) -> None:
    house = opened(adapters=ADAPTERS, environment={"NEW": SECRET})
    declare(house, BY_HEADER.format(name="crm"))
    for each in range(20):
        assert post(house, half(f"{each}", "request")) == 202
    for each in range(20):
        assert post(house, half(f"{each}", "response", "late")) == 202
    assert len(house.bodies("PredictionLogged")) == 20
    told = house.client.get("/metrics").text
    label = 'address="in:told",fate="{}",integration="crm"}} 20.0'
    assert label.format("waiting") in told
    assert label.format("accepted") in told


def test_who_stayed_alone_is_told_by_the_metrics(house: House) -> None:
    rig = Rig(house)
    rig.offer(REQUEST, made("other", "response"))
    rig.expire()
    rig.offer(made("third", "request"))
    told = house.client.get("/metrics").text
    assert 'modelwitness_unpaired_total{integration="crm",side="request"} 1.0' in told
    assert 'modelwitness_unpaired_total{integration="crm",side="response"} 1.0' in told
    assert "modelwitness_waiting_halves 1.0" in told


def test_a_lonely_response_is_offered_again_by_a_replay(opened: Open) -> None:
    house = opened(adapters=ADAPTERS, environment={"NEW": SECRET})
    declare(house, BY_HEADER.format(name="crm"))
    rig = Rig(house)
    rig.offer(RESPONSE)
    rig.expire()
    headers = house.token("crm")
    (item,) = house.client.get("/v1/quarantine", headers=headers).json()["items"]
    assert item["items"] == 1
    rig.offer(REQUEST)
    answer = house.client.post(f"/v1/quarantine/{item['id']}/replay", headers=headers)
    assert answer.json() == {"accepted": 1}
    assert [each["output"] for each in rig.predictions()] == ["late"]
    assert house.client.get("/v1/quarantine", headers=headers).json()["items"] == []
