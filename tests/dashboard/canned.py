"""Canned answers about predictions: who, counts, latency, one decision, lineage."""

from __future__ import annotations

import math
import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

from tests.dashboard import canned_integrations

Reply = tuple[int, Any]
Query = dict[str, str]

TOKEN = "mw_" + "a" * 43
CODE = "one-time-code"
INPUTS = (
    "dep_delay",
    "distance",
    "sched_hour",
    "carrier",
    "origin",
    "dest",
    "month_day",
    "temp",
    "wind_speed",
    "visib",
    "precip",
    "pressure",
)
SHA = "9f2c6f7a4d0f4f0d8d0b3f2b6f1e0a9c5b7d3e1f2a4c6e8091a3b5c7d9e1f304"
YEAR = 2013


def rfc3339(when: datetime) -> str:
    return when.strftime("%Y-%m-%dT%H:%M:%SZ")


def problem(status: int, title: str, detail: str, remedy: str = "") -> Reply:
    return status, {
        "type": "about:blank",
        "title": title,
        "status": status,
        "detail": detail,
        "remedy": remedy,
        "instance": "urn:uuid:0b3f9a52-0000-4000-8000-1234567890ab",
    }


def month(number: int) -> datetime:
    return datetime(YEAR + (number - 1) // 12, (number - 1) % 12 + 1, 1, tzinfo=UTC)


def me(_: Query) -> Reply:
    return 200, {
        "actor": "ada@example.org",
        "roles": ["ops", "compliance"],
        "integration": None,
        "can": {
            "approve_retraining": "second",
            "acknowledge_alert": "allow",
            "search_metadata": "allow",
        },
    }


def log(_: Query) -> Reply:
    return 200, {
        "origin": "modelwitness.test/main",
        "vkey": "modelwitness.test/main+1a2b3c4d+AQIDBA==",
        "size": 348_120,
        "checkpoint": "modelwitness.test/main\n348120\nabc=\n",
        "store": "main",
    }


def models(_: Query) -> Reply:
    def version(name: str, first: int, last: int, n: int) -> dict[str, Any]:
        return {
            "version": name,
            "first": rfc3339(month(first)),
            "last": rfc3339(month(last)),
            "predictions": n,
        }

    return 200, {
        "items": [
            {
                "name": "late-arrival",
                "owner": "flights-ops",
                "verdict": "shift",
                "versions": [version("1", 1, 13, 301_002), version("2", 8, 13, 29_871)],
            },
            {
                "name": "turnaround",
                "owner": "ground-ops",
                "verdict": "insufficient",
                "versions": [version("2026.1", 11, 13, 412)],
            },
        ],
        "next": None,
    }


def integrations(_: Query) -> Reply:
    return 200, {
        "items": [
            {
                "name": name,
                "first": rfc3339(month(1)),
                "last": rfc3339(month(13)),
                "events": n,
                "errors": bad,
                "owner": "flights-ops",
                "declared": name != "gate-jfk",
                "adapter": None if name == "gate-jfk" else "hubspot",
                "cadence": "1h",
                "health": canned_integrations.HEALTH[name],
            }
            for name, n, bad in (
                ("gate-jfk", 111_279, 214),
                ("gate-lga", 104_662, 180),
                ("gate-ewr", 120_835, 1_902),
            )
        ],
        "next": None,
    }


def overview(query: Query) -> Reply:
    everything = query["from"].startswith(str(YEAR)) or query["from"] < f"{YEAR}"
    wanted = query.get("model")
    if not everything or wanted not in {None, "late-arrival", "turnaround"}:
        rows: list[dict[str, Any]] = []
    else:
        rows = [
            {
                "name": "late-arrival",
                "version": "1",
                "status": "warn",
                "predictions": 301_002,
                "errors": 2_271,
                "p95": 41.7,
                "last_prediction": rfc3339(month(13)),
                "verdict": "shift",
                "drifted": 5,
                "open_alerts": 1,
                "unlabelled_share": 0.034,
            },
            {
                "name": "late-arrival",
                "version": "2",
                "status": "ok",
                "predictions": 29_871,
                "errors": 25,
                "p95": 44.2,
                "last_prediction": rfc3339(month(13)),
                "verdict": "ok",
                "drifted": 0,
                "open_alerts": 0,
                "unlabelled_share": 0.051,
            },
            {
                "name": "turnaround",
                "version": "2026.1",
                "status": "unknown",
                "predictions": 412,
                "errors": 0,
                "p95": 18.0,
                "last_prediction": rfc3339(month(13)),
                "verdict": "insufficient",
                "drifted": 0,
                "open_alerts": 0,
                "unlabelled_share": 1.0,
            },
        ]
        rows = [row for row in rows if wanted in {None, row["name"]}]
    return 200, {
        "predictions": sum(row["predictions"] for row in rows),
        "errors": sum(row["errors"] for row in rows),
        "p95": 42.0 if rows else None,
        "models": rows,
        "integrations": integrations({})[1]["items"] if rows else [],
        "alerts_open": 1 if rows else 0,
        "cases_open": 1 if rows else 0,
        "verified": {"size": 340_000, "at": "2026-11-21T02:00:00Z"},
        "as_of": "2026-11-21T02:14:00Z",
    }


def _bins(query: Query) -> list[datetime]:
    size = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": timedelta(days=1)}
    start = datetime.fromisoformat(query["from"])
    end = datetime.fromisoformat(query["to"])
    if start.year > YEAR + 1:
        return []
    step = size[query.get("step", "day")]
    return [start + step * n for n in range(int((end - start) / step))]


def rollups(query: Query) -> Reply:
    chance = random.Random(7)
    split = query.get("by") == "model,version"
    items = []
    for when in _bins(query):
        season = 1 + 0.25 * math.sin(when.timetuple().tm_yday / 58)
        keys_of = [("late-arrival", "1"), ("late-arrival", "2")] if split else [("", "")]
        for model, version in keys_of:
            if version == "2" and when < month(8):
                continue
            n = int((820 if version != "2" else 190) * season * chance.uniform(0.9, 1.08))
            items.append(
                {
                    "start": rfc3339(when),
                    "keys": {"model": model, "version": version} if split else {},
                    "count": n,
                    "errors": int(n * 0.006 * chance.random())
                    + (90 if when.month == 9 and when.day == 12 else 0),
                    "p50": 12.0,
                    "p95": 38 + 9 * chance.random() + (14 if when.month == 7 else 0),
                    "p99": 88.0,
                }
            )
    return 200, {"items": items, "next": None}


def latency(query: Query) -> Reply:
    chance = random.Random(11)
    points, heat = [], []
    edges = [2.5, 5, 10, 20, 40, 80, 160, 320, 640]
    for when in _bins(query):
        busy = 1.6 if when.month in {6, 7} else 1.0
        n = int(820 * chance.uniform(0.9, 1.1))
        p50 = 11 * busy * chance.uniform(0.95, 1.1)
        points.append(
            {
                "start": rfc3339(when),
                "count": n,
                "p50": p50,
                "p95": p50 * chance.uniform(3.2, 4),
                "p99": p50 * chance.uniform(6, 11),
                "under_slo": 0.991 - 0.02 * (busy - 1),
            }
        )
        if len(points) % 4 == 1:
            for low, high in pairwise(edges):
                at = math.exp(-((math.log(low * 1.4) - math.log(p50)) ** 2) / 1.1)
                heat.append(
                    {
                        "start": rfc3339(when),
                        "low_ms": low,
                        "high_ms": high,
                        "count": int(n * at * 0.5),
                    }
                )
    by = [
        {
            "integration": name,
            "model": "late-arrival",
            "version": version,
            "count": n,
            "p50": p50,
            "p95": p95,
            "p99": p95 * 2.4,
            "under_slo": under,
        }
        for name, version, n, p50, p95, under in (
            ("gate-jfk", "1", 99_102, 10.9, 36.2, 0.9961),
            ("gate-lga", "1", 93_554, 11.2, 38.8, 0.9952),
            ("gate-ewr", "1", 108_346, 16.4, 121.5, 0.9312),
            ("gate-jfk", "2", 9_911, 12.9, 40.3, 0.9948),
            ("gate-ewr", "2", 10_020, 17.1, 88.0, 0.9721),
        )
    ]
    slowest = [
        {
            "index": 204_117 - 131 * n,
            "time": rfc3339(month(7) + timedelta(hours=n * 17)),
            "integration": "gate-ewr",
            "model": "late-arrival",
            "version": "1",
            "latency_ms": 2_204.5 - 71 * n,
        }
        for n in range(12)
    ]
    none = {"count": 0, "p50": None, "p95": None, "p99": None, "under_slo": None}
    full = {"count": 330_873, "p50": 12.1, "p95": 42.0, "p99": 131.2, "under_slo": 0.9718}
    if not points:
        return 200, {"summary": none, "points": [], "heat": [], "by": [], "slowest": []}
    return 200, {"summary": full, "points": points, "heat": heat, "by": by, "slowest": slowest}
