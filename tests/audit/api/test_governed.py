"""What drift leaves behind, as the read routes show it: its real projection beside ours."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.events import event_of
from drift.projection import Governance
from tests.audit.reading import RANGE, Site, open_site, prediction

JANUARY = ("2013-01-01T00:00:00Z", "2013-02-01T00:00:00Z")
FEBRUARY = ("2013-02-01T00:00:00Z", "2013-03-01T00:00:00Z")
POLICY = {"name": "credit", "revision": "r1"}


@pytest.fixture
def site(tmp_path: Path, new_store: Path) -> Iterator[Site]:
    folder = tmp_path / "data"
    shutil.copytree(new_store, folder)
    found = open_site(folder, [Governance()])
    with found.client:
        yield found
    found.store.close()


def told(site: Site, type: str, id: str, **facts: Any) -> int:
    model = {"name": "credit", "version": "1"}
    body = {"id": id, "time": FEBRUARY[0], "model": model, **facts}
    return site.log(body, type=type, by="modelwitness")


def measured(site: Site, window: tuple[str, str], verdict: str, segment: str = "all") -> int:
    return told(
        site,
        "DriftMeasured",
        f"r1/1/{segment}/{window[0]}",
        policy=POLICY,
        segment=segment,
        window={"start": window[0], "end": window[1], "rows": 10},
        reference={"start": window[0], "end": window[1], "rows": 10},
        verdict=verdict,
        reason=f"it is {verdict}",
        columns=[],
        drifted=["income"] if verdict == "shift" else [],
        faulty=[],
        confirmation={"needed": 1, "of": 1, "seen": 1, "confirmed": True, "entry": "open"},
        report={},
        seconds=0.1,
    )


def alerted(site: Site) -> int:
    return told(
        site,
        "AlertRaised",
        "201301-a",
        alert="201301-a",
        kind="shift",
        actor="scheduler",
        segment="all",
        incident=JANUARY[0],
        reason="income moved",
        policy=POLICY,
    )


def test_a_decision_is_told_with_the_verdict_on_its_window_and_the_alert(site: Site) -> None:
    index = site.log(prediction())
    drift = measured(site, JANUARY, "shift")
    measured(site, FEBRUARY, "ok")
    alert = alerted(site)
    moments = site.get(f"/v1/entries/{index}/trace").json()["timeline"]
    found = {m["type"]: m["index"] for m in moments}
    assert (found["DriftMeasured"], found["AlertRaised"]) == (drift, alert)
    [verdict] = [m for m in moments if m["type"] == "DriftMeasured"]
    assert verdict["time"] == FEBRUARY[0] < verdict["logged"]


def test_the_overview_counts_alerts_and_shows_the_last_verdict(site: Site) -> None:
    site.log(prediction())
    measured(site, JANUARY, "shift")
    measured(site, FEBRUARY, "ok")
    measured(site, FEBRUARY, "fault", segment="origin=EWR")
    before = site.get("/v1/overview", "ops", **RANGE).json()
    assert (before["models"][0]["status"], before["models"][0]["verdict"]) == ("ok", "ok")
    alerted(site)
    after = site.get("/v1/overview", "ops", **RANGE).json()
    assert (after["alerts_open"], after["models"][0]["open_alerts"]) == (1, 1)
    assert after["models"][0]["status"] == "bad"


def test_a_model_tells_its_last_verdict(site: Site) -> None:
    site.log(prediction())
    measured(site, JANUARY, "shift")
    assert site.get("/v1/models", "ops").json()["items"][0]["verdict"] == "shift"


def test_lineage_goes_on_to_drift_and_alert(site: Site) -> None:
    site.log(prediction())
    measured(site, JANUARY, "shift")
    alerted(site)
    edges = site.get("/v1/lineage", "ops", model="credit").json()["edges"]
    drift = f"drift:credit 1 all {JANUARY[0]}"
    assert {(e["from"], e["to"]) for e in edges} >= {
        ("predictions:credit 1", drift),
        (drift, "alert:201301-a"),
    }


def test_who_judged_the_window_has_looked_at_its_predictions(site: Site) -> None:
    from audit.roles import Principal

    index = site.log(prediction())
    window = {"type": "PredictionLogged", "model": "credit", "from": JANUARY[0], "to": JANUARY[1]}
    site.access.record(Principal("scheduler", ("scheduler",)), "drift window", filter=window)
    looked = site.get(f"/v1/entries/{index}/trace").json()["looked"]
    assert [look["action"] for look in looked] == ["drift window", "trace"]


def test_every_policy_is_known_however_many_there_are(site: Site) -> None:
    events = [
        event_of(
            "PolicyChanged",
            "modelwitness",
            {
                "id": f"r/{number}",
                "time": JANUARY[0],
                "model": {"name": f"m-{number}", "version": "-"},
                "policy": {"name": f"m-{number}", "revision": "r"},
                "owner": "ops",
                "actor": "ann",
                "text": "",
            },
        )
        for number in range(230)
    ]
    site.ledger.append(events)
    assert len(site.governed.policies()) == 230


def test_a_verdict_on_a_decision_is_found_behind_many_others(site: Site) -> None:
    """A model with hundreds of segments has hundreds of verdicts on one window."""
    index = site.log(prediction())
    for number in range(230):
        measured(site, JANUARY, "ok", segment=f"z={number:03}")
    drift = measured(site, JANUARY, "shift", segment="a=1")
    moments = site.get(f"/v1/entries/{index}/trace").json()["timeline"]
    told_of = [m["index"] for m in moments if m["type"] == "DriftMeasured"]
    assert drift in told_of
    assert len(told_of) == 231
