"""Counts, latency, registry and overview over HTTP, from a real store's rollups."""

import json
from typing import Any

import pytest

from audit.events import SYSTEM, event_of, rfc3339
from audit.work import New
from tests.audit.reading import MINUTE, RANGE, Site, prediction

DAY = {"from": "2013-01-01T00:00:00Z", "to": "2013-01-02T00:00:00Z"}
LINEAGE = {"training_run": "run-7", "datasets": [{"name": "loans", "digest": "sha256:1"}]}
READS = [
    "/v1/models",
    "/v1/integrations",
    "/v1/rollups",
    "/v1/latency",
    "/v1/lineage?model=credit",
    "/v1/overview",
]


def fill(site: Site) -> int:
    first = site.log(*(prediction(n) for n in range(10)))
    site.log(prediction(10, status="error", error="timeout"), by="batch")
    released = {
        "id": "v1",
        "time": RANGE["from"],
        "model": {"name": "credit", "version": "1", "lineage": LINEAGE},
    }
    site.log(released, type="VersionReleased")
    return first


def items(site: Site, path: str, **query: Any) -> list[dict[str, Any]]:
    answer = site.get(path, "ops", **query)
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["next"] is None
    rows: list[dict[str, Any]] = found["items"]
    return rows


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("role", ["data_scientist", "ops", "compliance", "dpo", "legal", "audit"])
def test_whoever_may_search_may_read_the_pages(site: Site, path: str, role: str) -> None:
    fill(site)
    separator = "&" if "?" in path else "?"
    asked = f"{path}{separator}from={DAY['from']}&to={DAY['to']}&step=hour"
    answer = site.client.get(asked, headers=site.bearer(role))
    assert answer.status_code == 200


@pytest.mark.parametrize("path", READS)
@pytest.mark.parametrize("role", ["reviewer", "keys", "retrainer", "scheduler", "regulator"])
def test_everybody_else_is_refused(site: Site, path: str, role: str) -> None:
    separator = "&" if "?" in path else "?"
    asked = f"{path}{separator}from={DAY['from']}&to={DAY['to']}"
    answer = site.client.get(asked, headers=site.bearer(role))
    assert answer.status_code == 403
    assert "needs the role" in answer.json()["detail"]


def test_an_integration_reads_nothing(site: Site) -> None:
    headers = site.bearer("integration", integration="web")
    assert site.client.get("/v1/models", headers=headers).status_code == 403
    assert site.client.post("/v1/search", json=RANGE, headers=headers).status_code == 403
    assert site.client.get("/v1/me", headers=headers).json()["integration"] == "web"


def test_counts_are_grouped_as_asked_with_errors_beside_them(site: Site) -> None:
    fill(site)
    rows = items(site, "/v1/rollups", **DAY, step="day", by="integration", type="PredictionLogged")
    assert [(row["keys"], row["count"], row["errors"]) for row in rows] == [
        ({"integration": "batch"}, 1, 1),
        ({"integration": "web"}, 10, 0),
    ]
    assert rows[1]["p50"] == pytest.approx(14, rel=0.05)
    whole = items(site, "/v1/rollups", **DAY, step="minute", type="PredictionLogged")
    assert [row["count"] for row in whole] == [1] * 11


@pytest.mark.parametrize("by", ["latency", "model,model", "model;drop", ","])
def test_counts_cannot_be_grouped_by_anything_else(site: Site, by: str) -> None:
    answer = site.get("/v1/rollups", "ops", **DAY, by=by)
    assert (answer.status_code, answer.json()["field"]) == (400, "by")


def test_a_range_with_too_many_steps_is_refused(site: Site) -> None:
    answer = site.get("/v1/latency", "ops", **RANGE, step="minute")
    assert (answer.status_code, answer.json()["field"]) == (400, "step")


@pytest.mark.parametrize("step", ["minute", "hour", "day"])
def test_the_slowest_predictions_are_found_and_recorded(site: Site, step: str) -> None:
    first = fill(site)
    found = site.get("/v1/latency", "ops", **DAY, step=step, slo_ms=15).json()
    slowest = [(row["index"], row["latency_ms"]) for row in found["slowest"]]
    assert slowest[:2] == [(first + 10, 20.0), (first + 9, 19.0)]
    assert found["summary"]["count"] == 11
    assert found["summary"]["under_slo"] == pytest.approx(6 / 11, abs=0.1)
    assert {row["integration"] for row in found["by"]} == {"web", "batch"}
    assert sorted(site.accesses()[-1]["indexes"]) == sorted(index for index, _ in slowest)


def test_a_range_without_predictions_is_empty_and_no_access(site: Site) -> None:
    fill(site)
    found = site.get("/v1/latency", "ops", **DAY | {"to": "2013-01-01T00:10:00Z"}).json()
    assert found["summary"] == {
        "count": 0, "p50": None, "p95": None, "p99": None, "under_slo": None,
    }  # fmt: skip
    assert (found["points"], found["heat"], found["slowest"]) == ([], [], [])
    assert site.accesses() == []


def test_models_tell_versions_with_their_lineage(site: Site) -> None:
    fill(site)
    [model] = items(site, "/v1/models")
    [version] = model["versions"]
    assert (model["name"], version["version"], version["predictions"]) == ("credit", "1", 11)
    assert version["lineage"] == LINEAGE
    assert version["first"] == "2013-01-01T00:26:40Z"


def test_integrations_tell_what_they_logged(site: Site) -> None:
    fill(site)
    site.log(
        {"id": "i", "time": RANGE["from"], "name": "web", "owner": "ann"},
        type="IntegrationDeclared",
    )
    rows = {row["name"]: row for row in items(site, "/v1/integrations")}
    assert rows.keys() == {"web", "batch"}
    assert (rows["batch"]["events"], rows["batch"]["errors"]) == (1, 1)
    assert rows["web"]["owner"] == "ann"
    assert rows["web"]["last"] == "2013-01-01T00:35:40Z"


def health(site: Site, *, ago_us: int = 0, **fields: Any) -> None:
    at = rfc3339(site.clock() - ago_us)
    body = json.dumps({"as_of": at, "state": "bad", "reasons": ["too few"], **fields}).encode()
    site.store.work.change([New("integration-health", "web", body)])


def test_an_integration_is_told_with_its_declaration_and_its_health(site: Site) -> None:
    fill(site)
    declared = {
        "id": "d",
        "time": RANGE["from"],
        "name": "shop",
        "owner": "ann",
        "cadence": "1h",
        "declaration": {"name": "shop", "adapter": "hubspot"},
    }
    site.ledger.append([event_of("IntegrationDeclared", SYSTEM, declared)])
    health(site, events_hour=7, missing=2)
    rows = {row["name"]: row for row in items(site, "/v1/integrations")}
    shop, web = rows["shop"], rows["web"]
    assert (shop["declared"], shop["adapter"], shop["cadence"]) == (True, "hubspot", "1h")
    assert (shop["health"]["state"], shop["events"], shop["last"]) == ("unknown", 0, None)
    assert (web["declared"], web["health"]["state"]) == (False, "bad")
    assert (web["health"]["events_hour"], web["health"]["missing"]) == (7, 2)


def test_health_that_was_found_long_ago_is_unknown(site: Site) -> None:
    health(site, ago_us=6 * MINUTE)
    [web] = items(site, "/v1/integrations")
    assert web["health"]["state"] == "unknown"
    assert "schedule running?" in web["health"]["reasons"][0]


def test_a_sender_sees_its_own_integration_only(site: Site) -> None:
    fill(site)
    answer = site.client.get(
        "/v1/integrations", headers=site.bearer("integration", integration="web")
    )
    assert [each["name"] for each in answer.json()["items"]] == ["web"]
    assert site.get("/v1/integrations", "keys").status_code == 403


def test_lineage_is_found_by_model_and_unknown_ones_are_not_found(site: Site) -> None:
    fill(site)
    found = site.get("/v1/lineage", "ops", model="credit", version="1").json()
    assert {"from": "dataset:sha256:1", "to": "training_run:run-7"}.items() <= next(
        edge for edge in found["edges"] if edge["label"] == "trained on"
    ).items()
    assert site.get("/v1/lineage", "ops", model="nobody").status_code == 404
    assert site.get("/v1/lineage", "ops", model="credit", depth=99).status_code == 400


def test_the_overview_is_verified_to_the_size_of_the_log(site: Site) -> None:
    fill(site)
    found = site.get("/v1/overview", "ops", **DAY).json()
    assert (found["predictions"], found["errors"]) == (11, 1)
    assert found["models"][0]["status"] == "bad"  # 1 of 11 failed
    assert found["verified"]["size"] == site.store.reader.size()


def test_lineage_and_overview_agree_on_a_version(site: Site) -> None:
    fill(site)
    seen = site.get("/v1/overview", "ops", **DAY).json()["models"][0]["status"]
    nodes = site.get("/v1/lineage", "ops", model="credit").json()["nodes"]
    drawn = {node["id"]: node["status"] for node in nodes}
    assert drawn["version:credit 1"] == seen == "bad"
    assert drawn["predictions:credit 1"] == "unknown"


def test_overview_has_no_predictions_outside_its_range(site: Site) -> None:
    fill(site)
    later = {"from": DAY["to"], "to": "2013-01-03T00:00:00Z"}
    found = site.get("/v1/overview", "ops", **later).json()
    assert (found["predictions"], found["models"][0]["status"]) == (0, "unknown")
