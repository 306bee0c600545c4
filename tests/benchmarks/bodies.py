"""Prediction bodies of about 0.9 KB, like those of a credit model: invented, seeded, repeatable."""

import json
import random
from datetime import UTC, datetime, timedelta

START = datetime(2026, 3, 1, tzinfo=UTC)
_STEP_US = 200  # 5,000 events a second of event time


def predictions(count: int, seed: int = 1, first: int = 0) -> list[bytes]:
    """Return `count` JSON objects whose event times follow each other."""
    source = random.Random(seed)
    return [_prediction(source, seed, first + number) for number in range(count)]


def _prediction(source: random.Random, seed: int, number: int) -> bytes:
    at = START + timedelta(microseconds=number * _STEP_US)
    body = {
        "id": f"req-{seed}-{number:09d}",
        "time": at.isoformat().replace("+00:00", "Z"),
        "sequence": number,
        "model": {"name": "credit-risk", "version": "2026.03"},
        "inputs": {
            "income": round(source.lognormvariate(10, 0.5), 2),
            "age": source.randrange(18, 90),
            "debt_ratio": round(source.random(), 4),
            "employment": source.choice(["employed", "self-employed", "retired", "student"]),
            "region": source.choice(["north", "south", "east", "west"]),
            "months_at_address": source.randrange(1, 400),
            "balance": round(source.gauss(1000, 400), 2),
            "late_payments": source.randrange(5),
            "credit_limit": source.randrange(500, 20000),
            "channel": source.choice(["web", "branch", "app"]),
        },
        "output": source.choice(["approve", "decline"]),
        "score": round(source.random(), 6),
        "confidence": round(source.random(), 4),
        "explanation": {
            "method": "shap",
            "attributions": [
                {"feature": name, "contribution": round(source.gauss(0, 0.1), 5)}
                for name in ("income", "debt_ratio", "late_payments")
            ],
            "reason_codes": [f"R{source.randrange(30):02d}"],
        },
        "decision": {"effect": "credit", "automation": "full", "threshold": 0.5},
        "subject": {"scheme": "customer", "id": f"C{source.randrange(20_000):08d}"},
        "references": {"application": f"A-{source.randrange(10**9)}"},
        "latency_ms": {"total": round(source.lognormvariate(3, 0.5), 3), "model": 4.1},
        "context": {"environment": "production", "purpose": "credit", "jurisdiction": "DE"},
    }
    return json.dumps(body, separators=(",", ":")).encode()
