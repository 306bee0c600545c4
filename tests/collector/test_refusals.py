"""Every refusal: its status, and a problem detail that says what to do."""

import gzip
import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from audit.clock import system_clock
from tests.collector.conftest import House, Open, prediction


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem in an answer, after checking that it is one."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    for member in ("type", "title", "detail", "remedy", "instance"):
        assert found[member], member
    return found


def post(house: House, **changes: Any) -> httpx.Response:
    """A good prediction, except for the changes."""
    path = changes.pop("path", "/v1/predictions")
    headers = {**house.token(), "Content-Type": "application/json", **changes.pop("headers", {})}
    content = changes.pop("content", json.dumps(prediction()).encode())
    return house.client.request(
        changes.pop("method", "POST"), path, content=content, headers=headers
    )


@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer mw_" + "x" * 43, "Basic eDp5", "bearer  x", "x" * 9000],
)
def test_401_without_a_good_token(house: House, authorization: str | None) -> None:
    headers = {"Authorization": authorization} if authorization is not None else {}
    answer = house.client.post("/v1/predictions", json=prediction(), headers=headers)
    assert "Bearer" in problem(answer, 401)["remedy"]
    assert answer.headers["www-authenticate"] == "Bearer"
    assert house.bodies("PredictionLogged") == []


def test_strangers_at_the_door_are_a_metric_and_one_event(house: House) -> None:
    for path in ("/v1/predictions", "/v1/cloudevents", "/v1/outcomes"):
        assert house.client.post(path, json=prediction()).status_code == 401
    assert house.client.get("/v1/quarantine").status_code == 401
    assert house.registry.get_sample_value("modelwitness_refused_strangers_total") == 4
    [told] = house.bodies("AccessRecorded")
    assert (told["actor"], told["action"], told["count"]) == ("stranger", "refused", 1)


def test_the_scheme_of_the_authorization_is_read_in_any_case(house: House) -> None:
    token = house.token()["Authorization"].partition(" ")[2]
    assert post(house, headers={"Authorization": f"bearer {token}"}).status_code == 201


def test_401_within_a_second_after_a_token_is_revoked(house: House) -> None:
    headers = house.token()
    assert house.client.post("/v1/predictions", json=[], headers=headers).status_code == 200
    (issued,) = house.tokens.listed()
    house.tokens.revoke(issued.hash, by="ops")
    _eventually(
        lambda: house.client.post("/v1/predictions", json=[], headers=headers).status_code == 401,
        1_000_000,
    )


@pytest.mark.parametrize("role", ["ops", "reviewer", "audit", "scheduler", "retrainer"])
def test_403_for_a_role_that_does_not_log(house: House, role: str) -> None:
    answer = house.client.post(
        "/v1/predictions", json=prediction(), headers=house.token(None, role)
    )
    problem(answer, 403)
    assert house.bodies("PredictionLogged") == []


def test_403_for_an_event_type_that_the_role_may_not_send(house: House) -> None:
    event = {
        "specversion": "1.0",
        "type": "modelwitness.PredictionLogged.v1",
        "source": "/x",
        "id": "1",
        "data": prediction(),
    }
    headers = {**house.token(None, "retrainer"), "Content-Type": "application/cloudevents+json"}
    answer = house.client.post("/v1/cloudevents", content=json.dumps(event), headers=headers)
    assert problem(answer, 403)["field"] == "/type"


def test_404_for_an_address_that_is_not_there(house: House) -> None:
    problem(post(house, path="/v1/prediction"), 404)


def test_405_names_the_methods_that_are_allowed(house: House) -> None:
    answer = post(house, method="PUT")
    problem(answer, 405)
    assert "POST" in answer.headers["allow"]


def test_406_when_the_sender_refuses_json(house: House) -> None:
    assert problem(post(house, headers={"Accept": "text/html"}), 406)["field"] == "Accept"


@pytest.mark.parametrize("accept", ["*/*", "application/json;q=0.9", "text/html, */*;q=0.1", ""])
def test_an_accept_header_that_allows_json_is_no_obstacle(house: House, accept: str) -> None:
    assert post(house, headers={"Accept": accept}).status_code == 201


@pytest.mark.parametrize("content", [b"", b"{", b"nonsense", b"[1", b"\xff\xfe", b'"text"'])
def test_400_for_a_body_that_is_not_what_it_says_and_is_kept(house: House, content: bytes) -> None:
    found = problem(post(house, content=content), 400)
    assert _kept(house, found["quarantine"]) == content


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"id": None}, "/id"),
        ({"id": ""}, "/id"),
        ({"id": "x" * 257}, "/id"),
        ({"time": "2013-01-01T10:00:00"}, "/time"),
        ({"time": "soon"}, "/time"),
        ({"model": {"name": "m"}}, "/model/version"),
        ({"model": {"name": "a b", "version": "1"}}, "/model/name"),
        ({"inputs": []}, "/inputs"),
        ({"confidence": 1.5}, "/confidence"),
        ({"status": "fine"}, "/status"),
        ({"latency_ms": {"total": -1}}, "/latency_ms/total"),
        ({"references": {"order": {}}}, "/references/*"),
    ],
)
def test_422_names_the_field_and_the_body_is_kept(
    house: House, changes: dict[str, Any], field: str
) -> None:
    content = json.dumps({**prediction(), **changes}).encode()
    found = problem(post(house, content=content), 422)
    assert found["field"] == field
    assert _kept(house, found["quarantine"]) == content


def test_a_problem_never_quotes_the_body(house: House) -> None:
    for content in (b'{"id": "SECRET-1', json.dumps({**prediction(), "status": "SECRET-2"})):
        assert "SECRET" not in post(house, content=content).text
    assert "SECRET" not in post(house, content=json.dumps([{"time": "SECRET-3"}])).text


def test_409_for_another_content_under_a_known_id(house: House) -> None:
    post(house)
    other = json.dumps(prediction(output="other")).encode()
    found = problem(post(house, content=other), 409)
    assert _kept(house, found["quarantine"]) == other


@pytest.mark.parametrize(
    ("limits", "content", "detail"),
    [
        ({"body_bytes": 100}, b"[" + b" " * 100 + b"]", "100 bytes"),
        ({"item_bytes": 100}, json.dumps(prediction(note="x" * 100)).encode(), "100 bytes"),
        ({"items": 3}, b"[1,2,3,4]", "3 items"),
        ({"depth": 4}, json.dumps(prediction(deep=[[[[1]]]])).encode(), "4 levels"),
        ({"keys": 9}, json.dumps(prediction(a=1, b=2, c=3)).encode(), "9 keys"),
    ],
)
def test_413_beyond_a_limit_which_is_named(
    opened: Open, limits: dict[str, int], content: bytes, detail: str
) -> None:
    house = opened(**limits)
    assert detail in problem(post(house, content=content), 413)["detail"]


def test_413_also_when_the_length_is_not_announced(opened: Open) -> None:
    house = opened(body_bytes=1000)

    def chunks() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 100

    headers = {**house.token(), "Content-Type": "application/json"}
    problem(house.client.post("/v1/predictions", content=chunks(), headers=headers), 413)


def test_413_for_a_bomb(opened: Open) -> None:
    house = opened(unpacked_bytes=10_000)
    content = gzip.compress(b"[" + b" " * 10_000_000 + b"]")
    answer = post(house, content=content, headers={"Content-Encoding": "gzip"})
    assert "after decompression" in problem(answer, 413)["detail"]
    assert house.client.get("/v1/quarantine", headers=house.token()).json()["items"] == []


def test_a_too_deep_item_among_good_ones_is_refused_alone(opened: Open) -> None:
    house = opened(depth=4)
    body = json.dumps([prediction("a"), prediction("b", deep=[[[[1]]]]), prediction("c")])
    found = post(house, content=body.encode()).json()
    assert found["accepted"] == 2
    assert [each["problem"]["status"] for each in found["rejected"]] == [413]


@pytest.mark.parametrize("media", ["text/plain", "application/xml", "application/json;charset=x"])
def test_415_for_another_content_type(house: House, media: str) -> None:
    found = problem(post(house, headers={"Content-Type": media}), 415)
    assert found["field"] == "Content-Type"


def test_415_for_another_encoding_names_the_one_that_works(house: House) -> None:
    answer = post(house, headers={"Content-Encoding": "br"})
    assert problem(answer, 415)["field"] == "Content-Encoding"
    assert answer.headers["accept-encoding"] == "gzip"


def test_415_for_what_is_no_cloudevent(house: House) -> None:
    assert "ce-specversion" in problem(post(house, path="/v1/cloudevents"), 415)["remedy"]


def test_429_when_one_integration_has_its_share_waiting_and_others_go_on(opened: Open) -> None:
    house = opened(waiting_events=1)
    web, app = _known(house, "web"), _known(house, "app")
    with _locked(house):
        first = _sent(house, web, prediction("p-1"))
        _eventually(lambda: house.store.ledger.waiting == 1, 5_000_000)
        second = house.client.post("/v1/predictions", json=prediction("p-2"), headers=web)
        other = _sent(house, app, prediction("p-1"))
        _eventually(lambda: house.store.ledger.waiting == 2, 5_000_000)
    problem(second, 429)
    assert int(second.headers["retry-after"]) >= 1
    assert (first.result().status_code, other.result().status_code) == (201, 201)
    assert house.client.post("/v1/predictions", json=prediction("p-2"), headers=web).is_success


def test_503_with_retry_after_when_the_queue_of_the_ledger_is_full(house: House) -> None:
    web, app = _known(house, "web"), _known(house, "app")
    many = [prediction(str(i)) for i in range(10_000)]
    with _locked(house):
        first = _sent(house, web, many)
        _eventually(lambda: house.store.ledger.waiting == 10_000, 20_000_000)
        second = house.client.post("/v1/predictions", json=many, headers=app)
    problem(second, 503)
    assert int(second.headers["retry-after"]) >= 1
    assert first.result().json()["accepted"] == 10_000
    assert house.client.post("/v1/predictions", json=many[:5], headers=app).is_success


def test_503_when_as_many_bodies_are_held_as_may_be(opened: Open) -> None:
    house = opened(held_bytes=10)
    answer = post(house)
    problem(answer, 503)
    assert int(answer.headers["retry-after"]) >= 1
    assert post(house, content=b"[]").status_code == 200


def _known(house: House, integration: str) -> dict[str, str]:
    """A token that the server has seen, so that it need not ask a locked database."""
    headers = house.token(integration)
    assert house.client.post("/v1/predictions", json=[], headers=headers).status_code == 200
    return headers


def _sent(house: House, headers: dict[str, str], body: object) -> Future[httpx.Response]:
    """The answer to come."""
    answer: Future[httpx.Response] = Future()

    def run() -> None:
        answer.set_result(house.client.post("/v1/predictions", json=body, headers=headers))

    threading.Thread(target=run, daemon=True).start()
    return answer


def _kept(house: House, id: str) -> bytes:
    from collector.quarantine import Quarantine

    (delivery,) = Quarantine(house.store.work, system_clock).get(id).deliveries
    return delivery.body


@contextmanager
def _locked(house: House) -> Iterator[None]:
    """Holds the database's write lock, so that the ledger must wait."""
    connection = sqlite3.connect(house.store.settings.data / "ledger.db", isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def _eventually(condition: Callable[[], bool], within_us: int) -> None:
    deadline = system_clock() + within_us
    pause = threading.Event()
    while not condition():
        assert system_clock() < deadline, "it did not come to pass"
        pause.wait(0.01)
