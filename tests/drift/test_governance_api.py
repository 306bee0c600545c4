"""Drift over HTTP: who may do what, reports through tickets, a case from proposed to closed."""

import io
import os
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import httpx
import msgspec
import pyarrow.parquet as pq
import pytest
from litestar import Litestar
from litestar.testing import TestClient

from audit import roles
from audit.documents import Applied, View
from audit.events import SYSTEM, event_of, event_of_json
from audit.problems import handlers
from audit.store import Store
from audit.tokens import Tokens
from drift.api import router
from drift.apply import apply_text
from drift.columns import Columns
from drift.judges import History
from drift.listing import Wanted, verdicts
from drift.policy import Policy
from drift.projection import Governance
from drift.schedule import Scheduler
from drift.settings import DriftSettings
from drift.windows import Window
from tests.drift.governance import (
    MODEL,
    POLICY,
    RETRAIN,
    HandClock,
    QuickJudge,
    access_to,
    ledger_of,
    observe,
    predict,
    retrainer_of,
)

REASON = {"reason": "outcomes agree"}


@dataclass
class Site:
    store: Store
    clock: HandClock
    client: TestClient[Litestar]
    tokens: Tokens
    known: dict[str, str] = field(default_factory=dict)

    def _bearer(self, role: str) -> dict[str, str]:
        if role not in self.known:
            integration = "tower" if role == "integration" else None
            self.known[role] = self.tokens.issue(f"{role}-one", [role], integration=integration)
        return {"Authorization": f"Bearer {self.known[role]}"}

    def get(self, path: str, role: str = "ops", **query: Any) -> httpx.Response:
        return self.client.get(path, params=query, headers=self._bearer(role))

    def post(self, path: str, body: Any = None, role: str = "ops") -> httpx.Response:
        return self.client.post(path, json=body, headers=self._bearer(role))


@pytest.fixture
def site(store: Store, clock: HandClock) -> Iterator[Site]:
    access = access_to(store, clock)
    tokens = Tokens(store.ledger, store.documents, clock=clock, random=os.urandom)
    settings = DriftSettings(render_timeout=90)
    app = Litestar(
        [router(store, tokens, access, clock, settings=settings)], exception_handlers=handlers()
    )
    with TestClient(app) as client:
        yield Site(store, clock, client, tokens)


def scheduler(site: Site) -> Scheduler:
    access = access_to(site.store, site.clock)
    return Scheduler(
        site.store, access, DriftSettings(), QuickJudge(), "a", clock=site.clock, environment={}
    )


def drifted(site: Site) -> str:
    """Two shifted windows; returns the id of the case that they open."""
    apply_text(site.store, POLICY + RETRAIN % "http://127.0.0.1:9/", "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(site.store, day, level)
    scheduler(site).judge_due()
    return str(site.get("/v1/cases").json()["items"][0]["id"])


def test_verdicts_are_listed_newest_first_within_a_range_and_without_reports(site: Site) -> None:
    apply_text(site.store, POLICY, "ann")
    for day in range(6):
        predict(site.store, day, 1.0)
    scheduler(site).judge_due()
    found = site.get("/v1/drift", model=MODEL).json()
    assert [each["window"]["start"][8:10] for each in found["items"]] == ["05", "04", "03", "02"]
    assert "report" not in found["items"][0]
    ranged = site.get(
        "/v1/drift",
        **{"model": MODEL, "from": "2013-01-03T12:00:00Z", "to": "2013-01-05T00:00:00+00:00"},
    ).json()
    assert [each["window"]["start"][8:10] for each in ranged["items"]] == ["04", "03"]
    assert site.get("/v1/drift").json() == found
    assert site.get("/v1/drift", version="2").json()["items"] == []
    one = site.get(f"/v1/drift/{found['items'][0]['index']}").json()
    assert one["window"] == found["items"][0]["window"]
    assert one["has_report"] is True
    assert site.get("/v1/drift", cursor="nonsense").status_code == 400
    refused = site.get("/v1/drift", **{"from": "2013-01-03"})
    assert (refused.status_code, refused.json()["field"]) == (400, "from")
    # A plus sign that was not escaped arrives as a space.
    since = site.get("/v1/drift", **{"from": "2013-01-05T00:00:00 00:00"}).json()
    assert since["items"] == found["items"][:1]
    assert site.get("/v1/drift/0").status_code == 404


def test_pages_of_verdicts_follow_each_other_without_gap_or_repetition(site: Site) -> None:
    apply_text(site.store, POLICY, "ann")
    apply_text(site.store, POLICY.replace(f"model: {MODEL}", f"model: {MODEL}/night"), "ann")
    for day in range(5):
        predict(site.store, day, 1.0)
        predict(site.store, day, 1.0, version="2")
    scheduler(site).judge_due()
    everything, end = verdicts(site.store.documents, Wanted(), None)
    assert end is None
    assert len(everything) == 7  # version 2 has no reference of its own on the first day
    paged: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        page, cursor = verdicts(site.store.documents, Wanted(), cursor, limit=2)
        paged += page
        if cursor is None:
            break
    assert paged == everything
    nights, _ = verdicts(site.store.documents, Wanted(f"{MODEL}/night"), None)
    assert nights == []


def test_policies_are_listed_with_who_applied_them(site: Site) -> None:
    change = apply_text(site.store, POLICY, "ann")
    [found] = site.get("/v1/policies").json()["items"]
    assert (found["model"], found["author"], found["owner"]) == (MODEL, "ann", "flights-ops")
    assert (found["revision"], found["index"]) == (change.revision, change.index)
    assert found["text"] == POLICY


def test_alerts_are_acknowledged_with_a_reason(site: Site) -> None:
    drifted(site)
    [alert] = site.get("/v1/alerts", state="raised").json()["items"]
    path = f"/v1/alerts/{alert['id']}/acknowledge"
    assert site.post(path, {"reason": ""}).status_code == 400
    assert site.post(path, REASON, "audit").status_code == 403
    done = site.post(path, {"reason": "storm", "simulated": True}).json()
    assert (done["state"], done["acknowledged_by"]) == ("acknowledged", "ops-one")
    assert done["simulated"] is True
    assert site.get("/v1/alerts", state="raised").json()["items"] == []
    assert site.post(path, REASON, "data_scientist").status_code == 409
    assert site.post("/v1/alerts/none/acknowledge", REASON).status_code == 404


def test_a_case_goes_from_proposed_to_closed_over_http(site: Site) -> None:
    case = drifted(site)
    path = f"/v1/cases/{case}"
    assert site.get(f"{path}/labels.parquet", "retrainer").status_code == 409
    approved = site.post(f"{path}/approve", REASON).json()
    assert (approved["state"], approved["approver"]) == ("approved", "ops-one")
    assert site.post(f"{path}/reject", REASON, "ops").status_code == 409
    assert site.post(f"{path}/acknowledge", {}, "retrainer").json()["state"] == "acknowledged"
    assert site.post(f"{path}/acknowledge", {}, "retrainer").status_code == 200
    ids = [each["id"] for each in ledger_of(site.store, "PredictionLogged")]
    observe(site.store, ids, "late", at="2013-01-20T00:00:00Z")
    export = site.get(f"{path}/labels.parquet", "retrainer")
    assert export.status_code == 200
    [told] = ledger_of(site.store, "LabelsExported")
    table = pq.read_table(io.BytesIO(export.content))
    assert table.num_rows == told["rows"] == 80
    assert export.headers["repr-digest"].startswith("sha-256=:")
    registered = site.post(
        f"{path}/candidate", {"version": "2", "metrics": {"accuracy": 0.9}}, "retrainer"
    ).json()
    assert (registered["state"], registered["candidate"]) == ("candidate", "2")
    # The candidate is always right, but on other days than its predecessor was half wrong.
    for day in (4, 5):
        better = predict(site.store, day, 5.0, version="2")
        for id in better:
            label = "late" if int(id.rpartition("-")[2]) % 2 else "on time"
            observe(site.store, [id], label, at="2013-01-25T00:00:00Z")
    scheduler(site).judge_due()
    closed = site.get(path, "retrainer").json()
    assert (closed["state"], closed["outcome"]) == ("closed", "unproven")
    assert closed["verdict"]["conclusion"] == "not comparable: different windows"
    assert closed["verdict"]["champion"]["error"] == 0.5
    assert closed["verdict"]["challenger"]["error"] == 0.0
    assert [step["type"] for step in closed["steps"]] == [
        "RetrainingProposed",
        "RetrainingApproved",
        "RetrainingAcknowledged",
        "CandidateRegistered",
        "ChallengerJudged",
        "RetrainingClosed",
    ]
    for step in closed["steps"]:
        for evidence in step["evidence"]:
            leaf = site.store.reader.leaf(evidence["index"])
            assert leaf.hash == b64decode(evidence["leaf_hash"])
    first = site.get("/v1/alerts").json()["items"][-1]
    assert (first["version"], first["state"]) == ("1", "resolved")


def test_a_released_version_that_names_the_case_registers_the_candidate(site: Site) -> None:
    case = drifted(site)
    site.post(f"/v1/cases/{case}/approve", REASON)
    body = {
        "id": "release-2",
        "time": "2013-03-01T00:00:00Z",
        "model": {"name": MODEL, "version": "2"},
        "case": case,
        "metrics": {"accuracy": 0.9},
        "evidence": "not what the case reads",
    }
    site.store.ledger.append([event_of("VersionReleased", "rival", {**body, "id": "r0"})])
    refused = site.get(f"/v1/cases/{case}").json()
    assert (refused["state"], refused["candidate"]) == ("approved", "")
    [ignored] = refused["ignored"]
    assert (ignored["actor"], ignored["reason"]) == ("rival", "unverified source")
    retrainer_of(site.store, site.clock)
    site.store.ledger.append([event_of("VersionReleased", "trainer", body)])
    found = site.get(f"/v1/cases/{case}").json()
    assert (found["state"], found["candidate"]) == ("candidate", "2")
    assert found["steps"][-1]["actor"] == "trainer"
    for id, name in (("r3", "unknown"), ("r4", None)):
        site.store.ledger.append(
            [event_of("VersionReleased", "trainer", {**body, "id": id, "case": name})]
        )
    assert len(site.get("/v1/cases").json()["items"]) == 1


def test_every_route_asks_for_the_permission_that_the_matrix_names(site: Site) -> None:
    case = drifted(site)
    [alert] = site.get("/v1/alerts").json()["items"]
    index = site.get("/v1/drift").json()["items"][0]["index"]
    reading = [
        *("/v1/policies", "/v1/drift", f"/v1/drift/{index}", "/v1/alerts", "/v1/cases"),
        f"/v1/cases/{case}",
    ]
    for role in roles.ROLES:
        principal = roles.Principal("x", (role,))
        sees = roles.decide(principal, "search_metadata") != "deny"
        for path in reading:
            allowed = sees or (role == "retrainer" and path == f"/v1/cases/{case}")
            assert site.get(path, role).status_code == (200 if allowed else 403), (path, role)
        if roles.decide(principal, "acknowledge_alert") != "allow":
            path = f"/v1/alerts/{alert['id']}/acknowledge"
            assert site.post(path, REASON, role).status_code == 403
        if roles.decide(principal, "approve_retraining") not in {"allow", "second"}:
            for decision in ("approve", "reject"):
                path = f"/v1/cases/{case}/{decision}"
                assert site.post(path, REASON, role).status_code == 403, (path, role)
        if role != "retrainer":
            assert site.get(f"/v1/cases/{case}/labels.parquet", role).status_code == 403
            assert site.post(f"/v1/cases/{case}/acknowledge", {}, role).status_code == 403
            body = {"version": "2"}
            assert site.post(f"/v1/cases/{case}/candidate", body, role).status_code == 403
    assert site.client.get("/v1/cases").status_code == 401
    assert site.get(f"/v1/cases/{case}").json()["state"] == "proposed"


def test_a_report_opens_once_with_its_ticket_and_in_a_sandbox(site: Site) -> None:
    """A real judgement, drawn by the real subprocess."""
    apply_text(site.store, POLICY, "ann")
    for day, level in enumerate((1.0, 1.0, 1.4)):
        predict(site.store, day, level, rows=60)
    access = access_to(site.store, site.clock)
    Scheduler(site.store, access, DriftSettings(), judged_here, "a", clock=site.clock).judge_due()
    [verdict] = site.get("/v1/drift").json()["items"]
    assert site.post(f"/v1/drift/{verdict['index']}/ticket", {}, "integration").status_code == 403
    ticket = site.post(f"/v1/drift/{verdict['index']}/ticket").json()["ticket"]
    looked = [
        each for each in ledger_of(site.store, "AccessRecorded") if each["action"] == "open_report"
    ]
    assert [each["indexes"] for each in looked] == [[verdict["index"]]]
    opened = site.client.get(f"/reports/{ticket}")
    assert opened.status_code == 200
    assert opened.headers["content-type"].startswith("text/html")
    assert opened.headers["content-security-policy"] == (
        "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
        "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
    )
    assert b"delay" in opened.content
    assert site.client.get(f"/reports/{ticket}").status_code == 404
    assert site.client.get("/reports/guessed").status_code == 404


def test_a_ticket_ends_after_its_minute_and_is_cleared_away(site: Site) -> None:
    drifted(site)
    index = site.get("/v1/drift").json()["items"][0]["index"]
    ticket = site.post(f"/v1/drift/{index}/ticket").json()["ticket"]
    other = site.post(f"/v1/drift/{index}/ticket").json()["ticket"]
    site.clock.now_us += 61_000_000
    assert site.client.get(f"/reports/{ticket}").status_code == 404
    scheduler(site).deliver_due()
    assert site.store.work.list("ticket") == []
    assert site.client.get(f"/reports/{other}").status_code == 404


def test_a_verdict_without_a_report_gives_no_ticket(site: Site) -> None:
    apply_text(site.store, POLICY, "ann")
    body = {
        "id": "x",
        "time": "2013-01-03T00:00:00Z",
        "model": {"name": MODEL, "version": "1"},
        "policy": {"name": MODEL, "revision": "r"},
        "segment": "all",
        "window": {"start": "2013-01-02T00:00:00Z", "end": "2013-01-03T00:00:00Z", "rows": 0},
        "verdict": "insufficient",
        "reason": "no rows",
        "report": None,
    }
    [there] = site.store.ledger.append([event_of("DriftMeasured", SYSTEM, body)])
    assert site.post(f"/v1/drift/{there.index}/ticket").status_code == 404
    assert site.get(f"/v1/drift/{there.index}").json()["has_report"] is False


class Copied:
    """Documents in a dictionary: what `audit.documents.View` is to a projection."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], bytes] = {}

    def get(self, kind: str, key: str) -> bytes | None:
        return self.documents.get((kind, key))

    def put(self, kind: str, key: str, body: bytes) -> None:
        self.documents[kind, key] = body

    def delete(self, kind: str, key: str) -> None:
        self.documents.pop((kind, key), None)


@pytest.mark.parametrize("together", [1, 1_000])
def test_replaying_the_ledger_gives_the_same_documents(site: Site, together: int) -> None:
    """What `rebuild` relies on: documents follow from the events alone, however many at once."""
    test_a_case_goes_from_proposed_to_closed_over_http(site)
    projection, copy = Governance(), Copied()
    stored = {
        (kind, key): body
        for kind in projection.kinds
        for key, body in site.store.documents.list(kind, limit=10_000)
    }
    # Every alert of that story is resolved.
    assert {kind for kind, _ in stored} == projection.kinds - {"alert-standing"}
    leaves = [site.store.reader.leaf(index) for index in range(site.store.reader.size())]
    wanted = [leaf for leaf in leaves if leaf.type in projection.types]
    for start in range(0, len(wanted), together):
        part = wanted[start : start + together]
        opened = site.store.reader.open([leaf.index for leaf in part])
        projection.apply(
            [
                Applied(
                    each.leaf.index,
                    event_of_json(each.leaf.type, each.leaf.integration, each.body),
                )
                for each in opened
            ],
            cast(View, copy),
        )
    assert copy.documents == stored


def test_problems_name_what_to_do(site: Site) -> None:
    case = drifted(site)
    site.post(f"/v1/cases/{case}/reject", REASON)
    refused = site.post(f"/v1/cases/{case}/approve", REASON)
    found = msgspec.json.decode(refused.content)
    assert refused.headers["content-type"] == "application/problem+json"
    assert found["status"] == 409
    assert "rejected" in found["detail"]
    assert found["remedy"]


def judged_here(
    policy: Policy,
    window: Window,
    reference: Columns,
    current: Columns,
    version: str,
    history: History,
) -> list[dict[str, Any]]:
    """The real judge, in this process."""
    from drift.judge import judge_segments

    return judge_segments(policy, window, reference, current, version=version, history=history)
