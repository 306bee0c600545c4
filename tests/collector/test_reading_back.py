"""Values at the edges of what ingest takes: refused, or readable by everybody ever after."""

import json
from typing import Any

from tests.collector.conftest import House, prediction
from tests.collector.reading_back import assert_all_can_be_read

LONG = "n" * 128
EDGES: dict[str, dict[str, Any]] = {
    "the first time": {"time": "0001-01-01T00:00:00Z"},
    "before the first time": {"time": "0001-01-01T00:00:00+14:00"},
    "before 1970": {"time": "1969-12-31T23:59:59.999999Z"},
    "the last time": {"time": "9999-12-31T23:59:59.999999Z"},
    "after the last time": {"time": "9999-12-31T23:59:59-12:00"},
    "a leap second": {"time": "2016-12-31T23:59:60Z"},
    "no latency": {"latency_ms": {"total": 0}},
    "a latency of ages": {"latency_ms": {"total": 1e300}},
    "a latency of nothing": {"latency_ms": {"total": 5e-324}},
    "a negative latency": {"latency_ms": {"total": -1}},
    "the longest names": {"model": {"name": LONG, "version": LONG}},
    "a name with a slash": {"model": {"name": "a/b", "version": "../.."}},
    "a name with a line": {"model": {"name": "a\nb", "version": "1"}},
    "a name with a line at its end": {"model": {"name": "a\n", "version": "1"}},
    "a name in other letters": {"model": {"name": "модель", "version": "1"}},
    "a status of its own": {"status": "fine"},
    "a class of its own": {"context": {"retention_class": LONG}},
    "a null character": {"output": "\x00", "references": {"a": "\x00"}},
    "half a character": {"output": "\ud800", "subject": {"scheme": "s", "id": "\udfff"}},
    "half a character in a key": {"inputs": {"\ud800": 1}},
    "half a character in the id": {"id": "\ud800"},
    "whole numbers without end": {"inputs": {"x": 10**400}},
    "a number too small to tell": {"score": 1e-400},
    "a field of its own": {"prediction": {"id": "p-1"}},
    "a field of its own that is no object": {"prediction": ["p-1"]},
    "a lineage of its own": {"model": {"name": "m", "version": "1", "lineage": {"x": []}}},
}


def test_what_is_accepted_can_be_read(house: House) -> None:
    headers = {**house.token(), "Content-Type": "application/json"}
    accepted = []
    for number, (edge, fields) in enumerate(EDGES.items()):
        body = json.dumps({**prediction(f"p-{number}"), **fields})
        answer = house.client.post("/v1/predictions", content=body, headers=headers)
        assert answer.status_code in {201, 400, 422}, (edge, answer.text)
        accepted += [edge] if answer.status_code == 201 else []
    assert assert_all_can_be_read(house) == len(accepted)
    # It is no test if everything is refused at the door, or nothing.
    assert {"no latency", "the longest names", "a field of its own"} <= set(accepted)
    assert {"a leap second", "a name with a line", "half a character in the id"}.isdisjoint(
        accepted
    )
