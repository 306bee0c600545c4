"""What a schema refuses is said in a sentence: the field, what it must be, what to do; no value."""

import json
from typing import Any

import pytest

from audit.amiss import amiss
from audit.errors import Rejected
from audit.events import event_of_json

GOOD: dict[str, Any] = {
    "id": "a",
    "time": "2026-01-05T10:00:00Z",
    "model": {"name": "fraud", "version": "3"},
    "inputs": {},
    "output": "accept",
}
SECRET = "hunter2"


def refused(body: dict[str, Any]) -> Rejected:
    with pytest.raises(Rejected) as found:
        event_of_json("PredictionLogged", "web", json.dumps(body).encode())
    return found.value


@pytest.mark.parametrize(
    ("change", "field", "what", "remedy"),
    [
        ({"id": 3}, "/id", "/id must be text, and is a whole number", "Send text there"),
        ({"id": ""}, "/id", "/id must have at least 1 character", "Send at least 1 character."),
        ({"id": "x" * 257}, "/id", "/id must have at most 256 characters", "Send at most 256"),
        ({"time": "noon"}, "/time", "/time is not a time in RFC 3339", "Write times as 2026-"),
        ({"time": "2026-01-05T10:00:00"}, "/time", "/time has no zone", "with a zone"),
        ({"model": "fraud"}, "/model", "/model must be an object, and is text", "an object there"),
        (
            {"model": {"name": "fraud"}},
            "/model/version",
            "/model/version is missing",
            "Add version.",
        ),
        (
            {"model": {"name": "a b", "version": "1"}},
            "/model/name",
            "/model/name has a character that names may not have",
            "Use 1 to 128 of A-Z",
        ),
        (
            {"status": SECRET},
            "/status",
            "/status is none of the values that it may have",
            "Send one of error, fallback, ok.",
        ),
        ({"score": SECRET}, "/score", "/score must be a number, and is text", "Send a number"),
        ({"confidence": 7}, "/confidence", "/confidence must be at most 1", "that is at most 1."),
        (
            {"latency_ms": {"total": -1}},
            "/latency_ms/total",
            "/latency_ms/total must be at least 0",
            "Send a number that is at least 0.",
        ),
        (
            {"explanation": {"attributions": [{"feature": 1}]}},
            "/explanation/attributions/0/feature",
            "/explanation/attributions/0/feature must be text",
            "Send text",
        ),
        (
            {"references": {SECRET: None}},
            "/references/*",
            "/references/* must be a whole number or text, and is null",
            "Send a whole number or text",
        ),
    ],
)
def test_a_refusal_is_a_sentence_with_the_field_and_what_to_do(
    change: dict[str, Any], field: str, what: str, remedy: str
) -> None:
    error = refused(GOOD | change)
    assert error.field == field
    assert str(error).startswith(f"PredictionLogged: {what}")
    assert remedy in error.remedy
    told = f"{error} {error.remedy} {error.field}"
    for machine in ("`", "Expected", "regex", "Object", "null |", SECRET):
        assert machine not in told


def test_a_missing_field_at_the_top_is_named() -> None:
    error = refused({name: value for name, value in GOOD.items() if name != "inputs"})
    assert (error.field, error.remedy) == ("/inputs", "Add inputs.")


def test_a_value_that_looks_like_a_path_is_not_taken_for_one() -> None:
    error = refused(GOOD | {"status": f"x - at `$.{SECRET}`"})
    assert error.field == "/status"
    assert SECRET not in f"{error} {error.remedy}"


@pytest.mark.parametrize(
    "message", ["", "Something new", "Expected `uuid` of a new kind - at `$.a`"]
)
def test_what_nobody_foresaw_is_still_a_sentence(message: str) -> None:
    found = amiss(message)
    assert found.what.endswith("is not what the schema wants")
    assert "/schema/openapi.json" in found.remedy
