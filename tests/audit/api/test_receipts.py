"""A sender can find out whether its own events arrived, and learns nothing of others."""

from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.audit.reading import Site, open_site, prediction


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = open_site(tmp_path)
    yield found
    found.store.close()


def asked(site: Site, body: dict[str, Any], integration: str = "web") -> httpx.Response:
    headers = site.bearer("integration", integration=integration)
    return site.client.post("/v1/receipts", json=body, headers=headers)


def test_a_sender_finds_its_own_events_by_its_own_ids(site: Site) -> None:
    index = site.log(prediction(1), prediction(2))
    site.log(prediction(3), by="rival")
    found = asked(site, {"ids": ["p-2", "p-3", "p-1", "p-2"]}).json()
    leaf = site.store.reader.leaf(index + 1)
    assert found["items"][0] == {
        "id": "p-2",
        "index": index + 1,
        "leaf_hash": b64encode(leaf.hash).decode(),
        "time": prediction(2)["time"],
        "logged": found["items"][0]["logged"],
    }
    assert [each["id"] for each in found["items"]] == ["p-2", "p-1"]
    assert found["missing"] == ["p-3"]
    assert "secret" not in str(found)
    [access] = [each for each in site.accesses() if each["action"] == "receipts"]
    assert (access["indexes"], access["integration"]) == ([index + 1, index], "web")
    assert "p-2" not in str(access)


def test_events_of_another_type_are_asked_for_by_it(site: Site) -> None:
    outcome = {
        "id": "o-1",
        "time": "2013-01-02T00:00:00Z",
        "prediction": {"id": "p-1"},
        "outcome": "secret",
    }
    site.log(outcome, type="OutcomeObserved")
    assert asked(site, {"ids": ["o-1"]}).json()["missing"] == ["o-1"]
    assert asked(site, {"ids": ["o-1"], "type": "OutcomeObserved"}).json()["missing"] == []


@pytest.mark.parametrize(
    "body", [{"ids": []}, {"ids": ["x"] * 201}, {"ids": ["x"], "type": "TokenIssued"}, {}]
)
def test_what_cannot_be_asked_for_is_refused(site: Site, body: dict[str, Any]) -> None:
    assert asked(site, body).status_code == 400


def test_people_search_and_have_no_receipts(site: Site) -> None:
    for role in ("audit", "ops", "compliance"):
        assert site.post("/v1/receipts", {"ids": ["p-1"]}, role).status_code == 403


def test_what_is_allowed_for_ones_own_is_told_as_own(site: Site) -> None:
    headers = site.bearer("integration", integration="web")
    can = site.client.get("/v1/me", headers=headers).json()["can"]
    assert (can["replay_quarantine"], can["read_receipts"]) == ("own", "own")
    assert (can["append"], can["search_metadata"]) == ("allow", "deny")
    assert site.get("/v1/me", "ops").json()["can"]["replay_quarantine"] == "allow"
    retrainer = site.get("/v1/me", "retrainer").json()["can"]
    assert (retrainer["append"], retrainer["replay_quarantine"]) == ("own_versions", "deny")
    regulator = site.client.get("/v1/me", headers=site.bearer("regulator", integration="web"))
    assert regulator.json()["can"]["search_metadata"] == "scope"
    assert site.get("/v1/me", "regulator").json()["can"]["search_metadata"] == "deny"
