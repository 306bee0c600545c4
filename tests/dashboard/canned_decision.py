"""Canned answers about one decision: search, trace, lineage."""

from __future__ import annotations

import base64
import json
from datetime import timedelta

from tests.dashboard.canned import INPUTS, SHA, Query, Reply, month, problem, rfc3339


def search(body: Query) -> Reply:
    items = [
        {
            "index": 204_117 - 3 * n,
            "type": "PredictionLogged",
            "integration": "gate-ewr",
            "model": "late-arrival",
            "version": "1",
            "status": "ok",
            "time": rfc3339(month(7) - timedelta(minutes=n)),
            "logged": rfc3339(month(7)),
            "latency_ms": 12.5 + n,
        }
        for n in range(20)
    ]
    if body.get("producer_id") == "nothing":
        items = []
    return 200, {"items": items, "next": "c2", "snapshot": 348_120}


def trace(index: int) -> Reply:
    if index > 400_000:
        return problem(404, "Not found", f"No entry {index} in the retained range 0–348119.")
    leaf = {
        "alg": "A256GCM",
        "class": "standard",
        "ct": SHA,
        "event_us": 1_372_636_800_000_000,
        "id": "0190d1f2-6c1b",
        "integration": "gate-ewr",
        "kc": SHA[:32],
        "latency_us": 2_204_500,
        "len": 812,
        "log": "modelwitness.test/main",
        "logged_us": 1_372_636_801_000_000,
        "model": "late-arrival",
        "schema": 1,
        "status": "ok",
        "type": "PredictionLogged",
        "v": 1,
        "version": "1",
    }
    at = month(7)
    good = {"state": "ok", "detail": ""}
    return 200, {
        "index": index,
        "prediction": index,
        "verdict": {
            "hash": good,
            "inclusion": {"state": "ok", "detail": "in the tree of 348,120 entries"},
            "signature": good,
            "retention": {"state": "ok", "detail": "standard, until 2020-07-01"},
            "checked_at": "2026-11-21T03:14:07Z",
            "verifier": "modelwitness 0.1.0",
        },
        "decision": {
            "model": {"name": "late-arrival", "version": "1"},
            "version": "1",
            "time": rfc3339(at),
            "status": "ok",
            "latency_ms": {"total": 2_204.5},
            "output": "late",
            "score": 0.8714,
            "confidence": 0.91,
            "inputs": dict(
                zip(
                    INPUTS,
                    (47, 1089, 18, "EV", "EWR", "ORD", 91, 24.1, 9.2, 10.0, 0.12, 1012.4),
                    strict=True,
                )
            ),
            "explanation": {
                "method": "linear",
                "attributions": [
                    {"feature": "dep_delay", "contribution": 0.512},
                    {"feature": "precip", "contribution": 0.141},
                    {"feature": "distance", "contribution": -0.092},
                    {"feature": "sched_hour", "contribution": 0.061},
                ],
            },
            "decision": {"effect": "notify", "automation": "human_in_the_loop", "threshold": 0.5},
            "lineage": {
                "training_run": "run-2013-01",
                "feature_set": "flights@3",
                "artifact_digest": SHA,
            },
            "masked": ["/subject", "/references/booking"],
        },
        "timeline": [
            {
                "index": index,
                "type": "PredictionLogged",
                "time": rfc3339(at),
                "logged": rfc3339(at),
                "actor": "gate-ewr",
                "summary": "late-arrival 1 answered late (0.87)",
            },
            {
                "index": index + 9,
                "type": "ExplanationAttached",
                "time": rfc3339(at + timedelta(seconds=3)),
                "logged": None,
                "actor": "gate-ewr",
                "summary": "linear attributions of 12 inputs",
            },
            {
                "index": index + 51,
                "type": "OversightRecorded",
                "time": rfc3339(at + timedelta(minutes=6)),
                "logged": None,
                "actor": "supervisor-3",
                "summary": "override to on time",
                "simulated": True,
            },
            {
                "index": index + 902,
                "type": "OutcomeObserved",
                "time": rfc3339(at + timedelta(hours=5)),
                "logged": None,
                "actor": "gate-ewr",
                "summary": "observed late",
            },
        ],
        "leaf": leaf,
        "canonical": base64.b64encode(json.dumps(leaf).encode()).decode(),
        "proof": "c2sp.org/tlog-proof@v1\nindex 204117\n"
        + "\n".join(SHA[:43] + "=" for _ in range(9))
        + "\n",
        "checkpoint": "modelwitness.test/main\n348120\n"
        + SHA[:43]
        + "=\n\n— modelwitness.test/main AbCdEf==\n",
        "looked": [
            {
                "index": 348_001,
                "time": "2026-11-20T10:01:00Z",
                "actor": "auditor@example.org",
                "action": "trace",
            },
            {
                "index": 348_119,
                "time": "2026-11-21T03:14:07Z",
                "actor": "ada@example.org",
                "action": "trace",
            },
        ],
    }


def lineage(query: Query) -> Reply:
    if query.get("model") != "late-arrival":
        return 200, {"nodes": [], "edges": []}
    nodes = [
        ("d1", "dataset", "flights 2013-01", {"digest": SHA}, None),
        ("f1", "feature_set", "flights@3", {}, None),
        ("t1", "training_run", "run-2013-01", {"code_commit": "4be1f09"}, None),
        (
            "v1",
            "version",
            "late-arrival 1",
            {"artifact_digest": SHA, "predictions": 301_002},
            "shift",
        ),
        ("i1", "integration", "gate-jfk", {}, None),
        ("i2", "integration", "gate-lga", {}, None),
        ("i3", "integration", "gate-ewr", {"events": 120_835}, None),
        ("p1", "predictions", "301,002 predictions", {}, None),
        ("o1", "outcomes", "290,768 outcomes", {}, None),
        ("h1", "oversight", "1,204 oversight", {}, None),
        ("m1", "drift", "11 windows", {"index": 140_000}, "shift"),
        ("a1", "alert", "shift since 2013-04", {}, "acknowledged"),
        ("c1", "case", "case 2013-04", {}, "closed"),
        ("d2", "dataset", "labelled export 2013-07", {"digest": SHA}, None),
        ("t2", "training_run", "run-2013-08", {}, None),
        ("v2", "version", "late-arrival 2", {"predictions": 29_871}, "ok"),
        ("p2", "predictions", "29,871 predictions", {}, None),
    ]
    edges = [
        ("d1", "t1", "trained on", None),
        ("f1", "t1", "features", None),
        ("t1", "v1", "produced", None),
        ("v1", "p1", "predicted", 301_002),
        ("i1", "p1", "logged", 99_102),
        ("i2", "p1", "logged", 93_554),
        ("i3", "p1", "logged", 108_346),
        ("p1", "o1", "observed", 290_768),
        ("p1", "h1", "reviewed", 1_204),
        ("p1", "m1", "judged", 11),
        ("m1", "a1", "raised", 1),
        ("a1", "c1", "opened", 1),
        ("c1", "d2", "exported", 1),
        ("d2", "t2", "trained on", None),
        ("t2", "v2", "produced", None),
        ("v2", "p2", "predicted", 29_871),
    ]
    return 200, {
        "nodes": [
            dict(zip(("id", "kind", "label", "detail", "status"), node, strict=True))
            for node in nodes
        ],
        "edges": [{"from": a, "to": b, "label": label, "count": n} for a, b, label, n in edges],
    }
