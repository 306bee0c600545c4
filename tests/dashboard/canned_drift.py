"""Canned answers about drift, alerts and retraining cases."""

from __future__ import annotations

import math
import random
from datetime import timedelta
from typing import Any

from tests.dashboard.canned import INPUTS, SHA, YEAR, Query, Reply, month, rfc3339


def _column(name: str, number: int, chance: random.Random) -> dict[str, Any]:
    categorical = name in {"carrier", "origin", "dest"}
    season = abs(math.sin((number - 1) * math.pi / 12))
    weight = {"temp": 0.62, "pressure": 0.16, "dep_delay": 0.13, "precip": 0.12, "visib": 0.11}.get(
        name, 0.05
    )
    score = round(weight * season + 0.02 * chance.random(), 4)
    verdict = "shift" if score >= 0.1 else "ok"
    faults = []
    if number == 2:
        verdict = "insufficient"
    if name == "wind_speed" and number == 9:
        verdict, faults = (
            "fault",
            [{"kind": "null", "share": 0.41, "limit": 0.2, "detail": "41% null, limit 20%"}],
        )
    bins = (
        ["EV", "B6", "DL", "UA", "other"]
        if categorical
        else [f"{low}–{low + 10}" for low in range(0, 90, 10)]
    )
    reference = [int(900 * math.exp(-((place - 3) ** 2) / 6)) for place in range(len(bins))]
    current = [
        int(1_000 * math.exp(-((place - 3 - 3 * score) ** 2) / 6)) for place in range(len(bins))
    ]
    return {
        "name": name,
        "role": "input",
        "kind": "categorical" if categorical else "numeric",
        "verdict": verdict,
        "test": "Jensen-Shannon" if categorical else "Wasserstein (normed)",
        "score": score,
        "threshold": 0.1,
        "p": 0.0001 if verdict == "shift" else 0.31,
        "q": 0.0004 if verdict == "shift" else 0.44,
        "n_reference": 26_483,
        "n_current": 27_000 + 55 * number,
        "missing": 11_000 if faults else 108,
        "faults": faults,
        "histogram": {"bins": bins, "reference": reference, "current": current},
    }


def drift(query: Query) -> Reply:
    if (
        query.get("model") != "late-arrival"
        or query["from"] > f"{YEAR + 1}"
        or query.get("version") == "9"
    ):
        return 200, {"items": [], "next": None}
    chance = random.Random(3)
    items = []
    for number in range(2, 13):
        columns = [_column(name, number, chance) for name in INPUTS]
        output = _column("output", number, chance) | {"role": "output"}
        score = _column("score", number, chance) | {"role": "score"}
        drifted = [column["name"] for column in columns if column["verdict"] == "shift"]
        faulty = [column["name"] for column in columns if column["verdict"] == "fault"]
        verdict = (
            "insufficient" if number == 2 else "fault" if faulty else "shift" if drifted else "ok"
        )
        reason = {
            "insufficient": "120 rows arrived; the policy wants 200 before it judges.",
            "fault": "wind_speed is null in 41% of rows, above its limit of 20%.",
            "shift": f"{', '.join(drifted)} moved beyond their threshold, significant at q = 0.01.",
            "ok": "No column moved beyond its threshold.",
        }[verdict]
        items.append(
            {
                "index": 20_000 * number,
                "id": f"r1/1/all/{number}",
                "time": rfc3339(month(number + 1)),
                "model": {"name": "late-arrival", "version": "1"},
                "policy": {"name": "late-arrival", "revision": SHA},
                "segment": "all",
                "window": {
                    "start": rfc3339(month(number)),
                    "end": rfc3339(month(number + 1)),
                    "rows": 27_000 + 55 * number,
                },
                "reference": {"start": rfc3339(month(1)), "end": rfc3339(month(2)), "rows": 26_483},
                "verdict": verdict,
                "reason": reason,
                "columns": [*columns, output, score],
                "drifted": drifted,
                "faulty": faulty,
                "confirmation": {
                    "needed": 2,
                    "of": 3,
                    "seen": min(2, len(drifted)),
                    "confirmed": len(drifted) > 1,
                    "entry": "open" if drifted else "clear",
                },
            }
        )
    return 200, {"items": list(reversed(items)), "next": None}


def alerts(_: Query) -> Reply:
    def alert(number: int, kind: str, state: str, reason: str, **more: Any) -> dict[str, Any]:
        return {
            "id": f"al-{number}",
            "kind": kind,
            "model": "late-arrival",
            "version": "1",
            "segment": "all",
            "incident": rfc3339(month(number)),
            "state": state,
            "raised": rfc3339(month(number + 1)),
            "changed": rfc3339(month(number + 1)),
            "index": 20_001 * number,
            "reason": reason,
            "owner": "flights-ops",
            **more,
        }

    return 200, {
        "items": [
            alert(
                9, "fault", "raised", "wind_speed is null in 41% of rows, above its limit of 20%."
            ),
            alert(
                4,
                "shift",
                "acknowledged",
                "temp, pressure and dep_delay moved beyond their threshold.",
                case="c-4",
                acknowledged_by="ada@example.org",
                acknowledged_reason="summer",
                simulated=True,
            ),
            alert(
                3,
                "fault",
                "resolved",
                "visib was constant for two days.",
                acknowledged_by="ada@example.org",
            ),
        ],
        "next": None,
    }


def cases(_: Query) -> Reply:
    def step(
        type: str, number: int, actor: str, reason: str = "", simulated: bool = False
    ) -> dict[str, Any]:
        return {
            "type": type,
            "index": 20_002 * number,
            "time": rfc3339(month(number) + timedelta(days=2)),
            "actor": actor,
            "reason": reason,
            "evidence": [{"index": 20_000 * number, "leaf_hash": SHA}],
            "simulated": simulated,
        }

    def case(number: int, state: str, steps: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        return {
            "id": f"2013{number:02d}01-case",
            "model": "late-arrival",
            "version": "1",
            "state": state,
            "opened": rfc3339(month(number + 1)),
            "changed": rfc3339(month(number + 1)),
            "proposer": "scheduler",
            "policy": {"name": "late-arrival", "revision": SHA},
            "segment": "all",
            "windows": [
                {"start": rfc3339(month(number - 1)), "end": rfc3339(month(number))},
                {"start": rfc3339(month(number)), "end": rfc3339(month(number + 1))},
            ],
            "columns": ["temp", "pressure", "dep_delay"],
            "owner": "flights-ops",
            "steps": steps,
            **more,
        }

    reason = "Confirmed shift of temp, pressure and dep_delay in 2 of 3 windows."
    return 200, {
        "items": [
            case(10, "proposed", [step("RetrainingProposed", 11, "scheduler", reason)]),
            case(
                4,
                "closed",
                [
                    step("RetrainingProposed", 5, "scheduler", reason),
                    step(
                        "RetrainingApproved",
                        5,
                        "grace@example.org",
                        "Summer traffic differs; retrain.",
                        simulated=True,
                    ),
                    step("RetrainingDispatched", 5, "scheduler"),
                    step("RetrainingAcknowledged", 5, "retrainer"),
                    step("CandidateRegistered", 6, "retrainer"),
                    step("ChallengerJudged", 7, "scheduler", "helped"),
                    step(
                        "RetrainingClosed", 8, "scheduler", "Version 2 is better by 0.031 accuracy."
                    ),
                ],
                approver="grace@example.org",
                candidate="2",
                metrics={"accuracy": 0.861},
                verdict={"helped": True, "accuracy": 0.031},
                outcome="helped",
                simulated=True,
            ),
        ],
        "next": None,
    }
