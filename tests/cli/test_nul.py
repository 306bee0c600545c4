"""No parameter of any route makes PostgreSQL, whose text holds no NUL, answer 500."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from litestar.testing import TestClient

from audit.roles import ROLES
from modelwitness import application, opened

METHODS = ("get", "post", "put", "patch", "delete")
NUL = quote("\0")
FILLED = {"from": "2013-01-01T00:00:00Z", "to": "2013-01-02T00:00:00Z", "model": "m", "step": "day"}


@pytest.fixture
def asked(tmp_path: Path, postgres: str) -> Iterator[Any]:
    with opened(tmp_path, postgres, may_migrate=True) as parts:
        person = parts.tokens.issue("everybody", [each for each in ROLES if each != "integration"])
        sender = parts.tokens.issue("web", ["integration"], integration="web")
        with TestClient(application(parts), raise_server_exceptions=False) as client:

            def ask(method: str, path: str, body: bytes = b"{}") -> list[int]:
                return [
                    client.request(
                        method,
                        path,
                        content=None if method == "get" else body,
                        headers={
                            "Authorization": f"Bearer {token}",
                            "Content-Type": "application/json",
                        },
                    ).status_code
                    for token in (person, sender)
                ]

            yield ask, client.get("/schema/openapi.json").json()


def places(document: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Each route with NUL in one of its text parameters and something valid in the others."""
    for path, routes in document["paths"].items():
        for method in METHODS:
            if method not in routes:
                continue
            found = routes[method].get("parameters", [])
            inside = [each["name"] for each in found if each["in"] == "path"]
            query = [each for each in found if each["in"] == "query"]
            needed = {
                each["name"]: FILLED.get(each["name"], "x")
                for each in query
                if each.get("required")
            }
            for name in inside:
                filled = path
                for other in inside:
                    filled = filled.replace(f"{{{other}}}", f"a{NUL}" if other == name else "1")
                yield method, filled + "?" + "&".join(f"{k}={quote(v)}" for k, v in needed.items())
            for each in query:
                values = {k: quote(v) for k, v in needed.items()} | {each["name"]: f"a{NUL}"}
                filled = path
                for other in inside:
                    filled = filled.replace(f"{{{other}}}", "1")
                yield method, filled + "?" + "&".join(f"{k}={v}" for k, v in values.items())


@pytest.mark.slow
def test_no_parameter_with_nul_is_a_fault_of_ours(asked: Any) -> None:
    ask, document = asked
    tried = list(places(document))
    tried += [("post", f"/in/a{NUL}"), ("post", f"/in/web/a{NUL}"), ("get", f"/v1/a{NUL}")]
    assert ("get", f"/v1/quarantine?after=a{NUL}") in tried
    faults = {
        (method, path): answers
        for method, path in tried
        if max(answers := ask(method, path)) >= 500
    }
    assert not faults
    assert ask("get", f"/v1/quarantine?after=a{NUL}")[1] == 400


@pytest.mark.slow
def test_no_text_of_a_question_with_nul_is_a_fault_of_ours(asked: Any) -> None:
    ask, _ = asked
    span = {"from": FILLED["from"], "to": FILLED["to"]}
    bodies: list[tuple[str, dict[str, Any]]] = [
        *(
            ("/v1/search", {**span, **each})
            for each in (
                {"subject": {"scheme": "a\0", "id": "b\0"}},
                {"reference": {"name": "a\0", "value": "b\0"}},
                {"producer_id": "a\0", "integration": "web"},
                {"integration": "a\0"},
                {"model": "a\0"},
                {"cursor": "a\0"},
            )
        ),
        ("/v1/session", {"code": "a\0"}),
        ("/v1/cases/a/approve", {"reason": "a\0"}),
        ("/v1/alerts/a/acknowledge", {"reason": "a\0"}),
        ("/v1/quarantine/0000000000000000/discard", {"reason": "a\0"}),
        ("/v1/predictions", {"id": "a\0", "model": {"name": "m", "version": "1"}}),
    ]
    faults = {
        (path, str(body)): answers
        for path, body in bodies
        if max(answers := ask("post", path, json.dumps(body).encode())) >= 500
    }
    assert not faults
