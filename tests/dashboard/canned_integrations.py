"""Canned answers about integrations: health, gaps, counts, quarantine."""

from __future__ import annotations

from typing import Any

Reply = tuple[int, Any]
Query = dict[str, str]

AT = "2014-01-01T00:00:00Z"


def health(state: str = "ok", *reasons: str, **more: Any) -> dict[str, Any]:
    return {
        "as_of": AT,
        "state": state,
        "reasons": list(reasons),
        "logged": AT,
        "events_hour": 412,
        "events_day": 9_812,
        "lag_p95_ms": 840.0,
        "ahead_ms": 12.0,
        **more,
    }


HEALTH = {
    "gate-jfk": health(),
    "gate-lga": health(
        "bad",
        "nothing logged for 3 h; declared cadence: 1 h",
        "3 numbers of its producers are missing",
        missing=3,
        difference=2,
        alerts=["gaps", "silence"],
    ),
    "gate-ewr": health("warn", "its clock is ahead of ours: by 42 s", ahead_ms=42_000.0),
}


def gaps(_: Query) -> Reply:
    return 200, {
        "integration": "gate-lga",
        "missing": 3,
        "repeated": 1,
        "producers": 2,
        "forgotten": 0,
        "forgotten_missing": 0,
        "strange": 0,
        "items": [
            {
                "producer": "gate-12",
                "seen": 97,
                "lowest": 1,
                "highest": 100,
                "missing": 3,
                "uncounted": 0,
                "repeated": 1,
                "gaps": [
                    {"first": 17, "last": 18, "count": 2, "after": AT, "before": AT},
                    {"first": 101, "last": 101, "count": 1, "after": AT, "before": None},
                ],
            },
            {"producer": "", "seen": 4, "lowest": 1, "highest": 4, "missing": 0, "gaps": []},
        ],
    }


def counts(_: Query) -> Reply:
    def report(state: str, theirs: int, ours: int | None, dropped: int = 0) -> dict[str, Any]:
        return {
            "producer": "gate-12",
            "from": AT,
            "to": "2014-01-01T01:00:00Z",
            "told": AT,
            "index": 7,
            "state": state,
            "counts": {"PredictionLogged": theirs},
            "ours": None if ours is None else {"PredictionLogged": ours},
            "lacking": max(0, theirs - (ours or 0)),
            "beyond": 0,
            "dropped": dropped,
        }

    items = [report("differs", 100, 98), report("waiting", 10, 9), report("equal", 7, 7, 4)]
    return 200, {
        "integration": "gate-lga",
        "reports": 3,
        "differing": 1,
        "lacking": 2,
        "beyond": 0,
        "dropped": 4,
        "items": items,
    }


def quarantine(_: Query) -> Reply:
    def kept(number: int, integration: str, items: int) -> dict[str, Any]:
        return {
            "id": f"{number:024x}",
            "integration": integration,
            "received": AT,
            "reason": "/model/version is missing",
            "field": "/model/version",
            "remedy": "Add version.",
            "items": items,
            "bytes": items * 900,
        }

    return 200, {"items": [kept(1, "gate-lga", 12), kept(2, "gate-jfk", 1)], "next": None}
