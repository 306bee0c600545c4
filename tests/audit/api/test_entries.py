"""Entries and search over HTTP: what each role sees, and that every look is on record first."""

import json
from typing import Any

import pytest

from audit import verify
from audit.errors import Busy
from audit.masking import MASK
from tests.audit.reading import RANGE, Site, prediction, site_of

ROUTES = ["/v1/entries/{}", "/v1/entries/{}/trace", "/v1/entries/{}/proof"]
SEES_ALL = ["compliance", "dpo", "legal", "audit"]
SEES_METADATA = ["data_scientist", "ops"]
SEES_NOTHING = ["reviewer", "keys", "retrainer", "scheduler"]


@pytest.mark.parametrize("role", SEES_ALL)
def test_full_sight_shows_all_but_personal_and_external_ids(site: Site, role: str) -> None:
    index = site.log(prediction())
    found = site.get(f"/v1/entries/{index}", role).json()
    assert found["body"]["inputs"] == {"income": 41_234, "city": "Secretville"}
    assert found["body"]["subject"] == MASK
    assert found["body"]["references"] == {"loan": MASK}
    assert found["masked"] == ["/references/loan", "/subject"]
    assert found["leaf"]["model"] == "credit"


@pytest.mark.parametrize("role", SEES_METADATA)
@pytest.mark.parametrize("route", ROUTES)
def test_metadata_never_shows_what_is_sealed(site: Site, role: str, route: str) -> None:
    index = site.log(prediction())
    about = {"id": "o-0", "time": RANGE["from"], "prediction": {"id": "p-0"}}
    site.log({**about, "outcome": "secret-default"}, type="OutcomeObserved")
    site.log(
        {**about, "action": "override", "reviewer": "secret-rita", "reason": "secret-why"},
        type="OversightRecorded",
    )
    answer = site.get(route.format(index), role)
    assert answer.status_code == 200
    assert "secret" not in answer.text.lower()
    assert "41234" not in answer.text


def test_metadata_shows_effect_timing_and_version(site: Site) -> None:
    index = site.log(prediction())
    found = site.get(f"/v1/entries/{index}", "ops").json()
    assert found["body"]["decision"] == {"effect": "declined", "automation": "full", "note": MASK}
    assert found["body"]["latency_ms"] == {"total": 10}
    assert found["body"]["model"]["version"] == "1"
    assert found["body"]["inputs"] == MASK
    assert "/inputs" in found["masked"]


@pytest.mark.parametrize("role", SEES_NOTHING)
@pytest.mark.parametrize("route", ROUTES)
def test_other_roles_are_refused_by_the_name_of_the_role_needed(
    site: Site, role: str, route: str
) -> None:
    index = site.log(prediction())
    answer = site.get(route.format(index), role)
    assert answer.status_code == 403
    assert "compliance" in answer.json()["detail"]
    assert site.search(role).status_code == 403
    assert site.accesses()[-1]["action"] == "denied search_metadata"


def test_no_entry_and_not_permitted_look_different(site: Site) -> None:
    assert site.get("/v1/entries/999", "audit").status_code == 404
    assert site.get("/v1/entries/999", "keys").status_code == 403
    assert site.search("audit", model="nobody").json()["items"] == []


@pytest.mark.parametrize("path", ["/v1/entries/0", "/v1/me", "/v1/models", "/v1/log"])
def test_without_a_token_nothing_is_answered(site: Site, path: str) -> None:
    assert site.client.get(path).status_code == 401
    assert site.client.get(path, headers={"Authorization": "Bearer mw_x"}).status_code == 401


def test_a_regulator_sees_the_integration_of_its_token_and_no_other(site: Site) -> None:
    theirs = site.log(prediction(), by="web")
    other = site.log(prediction(), by="branch")
    headers = site.bearer("regulator", integration="web")
    assert site.client.get(f"/v1/entries/{theirs}", headers=headers).status_code == 200
    assert site.client.get(f"/v1/entries/{other}", headers=headers).status_code == 403
    found = site.client.post("/v1/search", json=RANGE, headers=headers).json()
    assert {row["integration"] for row in found["items"]} == {"web"}
    asked = {**RANGE, "integration": "branch"}
    assert site.client.post("/v1/search", json=asked, headers=headers).status_code == 403
    assert site.client.get("/v1/models", headers=headers).status_code == 403
    assert site.get(f"/v1/entries/{theirs}", "regulator").status_code == 403


@pytest.mark.parametrize("action", ["view", "trace", "search", "latency"])
def test_every_look_is_on_the_ledger_with_who_and_what(site: Site, action: str) -> None:
    index = site.log(prediction())
    answer = {
        "view": lambda: site.get(f"/v1/entries/{index}"),
        "trace": lambda: site.get(f"/v1/entries/{index}/trace"),
        "search": lambda: site.search(model="credit"),
        "latency": lambda: site.get("/v1/latency", **RANGE, step="day"),
    }[action]()
    assert answer.status_code == 200
    last = site.accesses()[-1]
    assert (last["actor"], last["action"]) == ("audit-person", action)
    assert last["indexes"] == [index]


def test_what_was_searched_for_is_not_in_the_record(site: Site) -> None:
    site.log(prediction())
    subject = {"scheme": "customer", "id": "secret-ann"}
    found = site.search("dpo", subject=subject).json()
    assert len(found["items"]) == 1
    assert site.accesses()[-1]["filter"]["subject"] == MASK


class Refusing:
    """A ledger that takes nothing: the disk is full."""

    def append(self, events: Any) -> Any:
        raise Busy(f"no room for {len(events)} events")


@pytest.mark.parametrize("path", ["/v1/entries/{}", "/v1/entries/{}/trace", "/v1/latency"])
def test_no_log_no_read(site: Site, path: str) -> None:
    index = site.log(prediction())
    closed = site_of(site.store, site.clock, Refusing())
    with closed.client:
        answer = closed.get(path.format(index), "audit", **RANGE, step="day")
        searched = closed.search("audit", model="credit")
    for each in (answer, searched):
        assert each.status_code == 503
        assert "credit" not in each.text
        assert "Secretville" not in each.text


def test_a_stranger_is_a_stranger_even_when_that_cannot_be_recorded(site: Site) -> None:
    closed = site_of(site.store, site.clock, Refusing())
    with closed.client:
        assert closed.client.get("/v1/me").status_code == 401
    assert closed.access.refusals == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"cursor": "nonsense"}, "/cursor"),
        ({"limit": 201}, "/limit"),
        ({"from": "2013-01-01"}, "/from"),
        ({"to": RANGE["from"]}, "/to"),
        ({"type": "Unheard"}, "/type"),
        ({"producer_id": "p-0"}, "/integration"),
        (
            {
                "producer_id": "p-0",
                "integration": "web",
                "subject": {"scheme": "customer", "id": "secret-bob"},
            },
            "/producer_id",
        ),
        (
            {
                "producer_id": "p-0",
                "integration": "web",
                "reference": {"name": "loan", "value": "secret-loan-1"},
            },
            "/producer_id",
        ),
        ({"model": "no spaces"}, "/model"),
    ],
)
def test_a_bad_search_is_a_problem_that_names_its_field(
    site: Site, body: dict[str, Any], field: str
) -> None:
    answer = site.search("audit", **body)
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_filter_that_is_not_known_is_named_and_refused(site: Site) -> None:
    site.log(prediction())
    for body in ({"modle": "x"}, {"reference": {"name": "a", "value": "b", "modle": "c"}}):
        answer = site.search("audit", **body)
        assert answer.status_code == 400
        assert "modle" in answer.json()["detail"]
    assert site.accesses() == []


@pytest.mark.parametrize("type", ["OutcomeObserved", "OversightRecorded", "ExplanationAttached"])
def test_events_that_name_no_model_cannot_be_filtered_by_one(site: Site, type: str) -> None:
    body: dict[str, Any] = {"time": RANGE["from"], "prediction": {"id": "p-0"}}
    body |= {"outcome": "repaid", "action": "override", "explanation": {"method": "shap"}}
    body |= {"simulated": True}
    site.log(prediction())
    site.log({"id": "a", **body}, type=type)
    for asked, field in (({"model": "credit"}, "model"), ({"version": "1"}, "version")):
        answer = site.search("audit", type=type, **asked)
        assert (answer.status_code, answer.json()["field"]) == (400, f"/{field}")
        assert "filter by integration" in answer.json()["remedy"]
        counted = site.get("/v1/rollups", **RANGE, step="day", type=type, **asked)
        assert (counted.status_code, counted.json()["field"]) == (400, field)
    assert len(site.search("audit", type=type, integration="web").json()["items"]) == 1
    index = site.log(
        {"id": "b", **body, "model": {"name": "credit", "version": "1"}}, type=type, by="batch"
    )
    for asked in ({"model": "credit"}, {"version": "1"}):
        rows = site.search("audit", type=type, **asked).json()["items"]
        assert [row["index"] for row in rows] == [index]
    assert site.search("audit", type=type, model="credit", version="9").json()["items"] == []
    assert site.search("audit", type=type, model="credit", integration="web").status_code == 400
    assert site.get("/v1/rollups", **RANGE, step="day", type=type, model="credit").json()["items"]


def test_a_range_is_mandatory(site: Site) -> None:
    assert site.post("/v1/search", {}, "audit").status_code == 400
    assert site.get("/v1/latency").status_code == 400
    assert site.get("/v1/rollups").status_code == 400
    assert site.get("/v1/overview").status_code == 400


def test_searching_for_a_person_takes_full_sight(site: Site) -> None:
    subject = {"scheme": "customer", "id": "secret-ann"}
    reference = {"name": "loan", "value": "secret-loan-9"}
    site.log(prediction())
    for asked in ({"subject": subject}, {"reference": reference}):
        assert len(site.search("legal", **asked).json()["items"]) == 1
        assert site.search("ops", **asked).status_code == 403


def test_an_event_is_found_by_its_producers_id(site: Site) -> None:
    index = site.log(prediction(3))
    found = site.search("audit", integration="web", producer_id="p-3").json()["items"]
    assert [row["index"] for row in found] == [index]
    other = site.search("audit", integration="web", producer_id="p-3", version="2").json()
    assert other["items"] == []


def test_pages_neither_repeat_nor_skip_while_others_append(site: Site) -> None:
    site.log(*(prediction(n) for n in range(25)))
    seen: list[int] = []
    cursor, late = None, 1000
    while True:
        body = {"limit": 7} | ({"cursor": cursor} if cursor else {})
        page = site.search("audit", type="PredictionLogged", **body).json()
        seen += [row["index"] for row in page["items"]]
        site.log(prediction(late))  # newer than all: belongs before the first page
        late += 1
        cursor = page["next"]
        if cursor is None:
            break
    first = site.store.reader.find("web", "PredictionLogged", "p-0")
    assert first is not None
    assert seen == list(range(first + 24, first - 1, -1))


def test_a_look_at_an_entry_is_told_to_the_next_one(site: Site) -> None:
    index = site.log(prediction())
    site.get(f"/v1/entries/{index}", "legal")
    site.search("dpo", model="credit")
    looked = site.get(f"/v1/entries/{index}/trace", "audit").json()["looked"]
    assert [(look["actor"], look["action"]) for look in looked] == [
        ("legal-person", "view"),
        ("dpo-person", "search"),
        ("audit-person", "trace"),
    ]


def test_metadata_does_not_tell_who_looked(site: Site) -> None:
    index = site.log(prediction())
    looked = site.get(f"/v1/entries/{index}/trace", "ops").json()["looked"]
    assert [look["actor"] for look in looked] == [MASK]


def test_the_proof_that_the_api_gives_verifies_by_itself_and_tells_its_entry(site: Site) -> None:
    index = site.log(prediction(1), prediction(2))
    proof = site.get(f"/v1/entries/{index}/proof", "audit").content
    report = verify.verify_proof(proof, [site.ledger.vkey])
    assert report.exit_code == verify.OK
    said = json.loads(report.entry or "")
    assert (said["type"], said["model"], said["version"]) == ("PredictionLogged", "credit", "1")
    assert "secret" not in proof.decode()
