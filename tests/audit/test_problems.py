"""Refusals over HTTP: words, statuses and what they must never tell."""

import logging

import msgspec
import pytest
from litestar import Litestar, get, post
from litestar.params import JSONBody
from litestar.testing import TestClient

from audit.errors import (
    AuditError,
    Busy,
    Conflict,
    Denied,
    NotFound,
    Rejected,
    Tampered,
    Unverifiable,
)
from audit.problems import MEDIA_TYPE, handlers, problem
from audit.roles import Forbidden, Unauthenticated


class Body(msgspec.Struct):
    size: int


def client_raising(error: Exception) -> TestClient[Litestar]:
    @get("/", sync_to_thread=False)
    def raising() -> None:
        raise error

    return TestClient(
        Litestar(
            [raising],
            exception_handlers=handlers(),
            openapi_config=None,
            logging_config=None,
        )
    )


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (Rejected("bad", field="/time", remedy="mend it"), 400, "Rejected"),
        (Conflict("other content"), 409, "Conflict"),
        (Busy("full"), 503, "Busy"),
        (Unauthenticated("no token"), 401, "Not signed in"),
        (Forbidden("search_metadata", ["audit"]), 403, "Not permitted"),
        (Denied("no"), 403, "Not permitted"),
        (NotFound("entry 9"), 404, "Not found"),
        (Tampered("the hash", index=3), 500, "Tampered"),
        (Unverifiable("no key"), 503, "Cannot tell"),
        (AuditError("odd"), 500, "Internal error"),
        (ValueError("odd"), 500, "Internal error"),
    ],
)
def test_every_error_is_a_problem_with_a_remedy(error: Exception, status: int, title: str) -> None:
    with client_raising(error) as client:
        answer = client.get("/")
    body = answer.json()
    assert answer.status_code == status == body["status"]
    assert answer.headers["content-type"] == MEDIA_TYPE
    assert body["title"] == title
    assert body["remedy"]
    assert body["detail"]
    assert body["instance"].startswith("urn:uuid:")


def test_a_rejection_names_field_and_remedy() -> None:
    error = Rejected("the time has no zone", field="/time", remedy="Add Z.")
    with client_raising(error) as client:
        body = client.get("/").json()
    assert (body["field"], body["remedy"]) == ("/time", "Add Z.")


def test_busy_says_when_to_come_back() -> None:
    with client_raising(Busy("full", retry_after=7)) as client:
        assert client.get("/").headers["retry-after"] == "7"


def test_a_missing_token_is_answered_with_the_scheme() -> None:
    with client_raising(Unauthenticated("no token")) as client:
        assert client.get("/").headers["www-authenticate"] == "Bearer"


def test_an_unexpected_error_tells_its_text_to_nobody(caplog: pytest.LogCaptureFixture) -> None:
    with (
        caplog.at_level(logging.ERROR, "modelwitness"),
        client_raising(RuntimeError("payload of Ann")) as client,
    ):
        answer = client.get("/")
    assert "Ann" not in answer.text
    assert "Ann" not in caplog.text
    assert answer.json()["instance"] in caplog.text
    assert "RuntimeError" in caplog.text


def test_a_request_that_does_not_match_is_named_by_field_without_its_value() -> None:
    @post("/", sync_to_thread=False)
    def taking(data: JSONBody[Body]) -> None:
        assert data.size

    app = Litestar([taking], exception_handlers=handlers(), openapi_config=None)
    with TestClient(app) as client:
        answer = client.post("/", json={"size": "secret"})
        malformed = client.post(
            "/", content=b"{secret", headers={"content-type": "application/json"}
        )
    assert answer.status_code == 400
    assert answer.json()["field"] == "/size"
    assert "secret" not in answer.text
    assert malformed.status_code == 400
    assert "secret" not in malformed.text


def test_unknown_routes_and_methods_are_problems_too() -> None:
    with client_raising(NotFound("x")) as client:
        missing, method = client.get("/nowhere"), client.post("/")
    assert (missing.status_code, missing.headers["content-type"]) == (404, MEDIA_TYPE)
    assert (method.status_code, method.headers["content-type"]) == (405, MEDIA_TYPE)


def test_a_problem_can_be_answered_without_raising() -> None:
    answer = problem(413, "Too large", "the body", "Send less.", "/items", {"X-Limit": "5"})
    assert answer.status_code == 413
    assert answer.headers["X-Limit"] == "5"
