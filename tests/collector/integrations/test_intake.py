"""What becomes of what is sent: logged, kept, answered, called back."""

import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from tests.collector.conftest import House, Open, listening
from tests.collector.integrations.senders import (
    ADAPTERS,
    BY_HEADER,
    ENVIRONMENT,
    HEADERS,
    await_declared,
    declare,
    ids,
    predictions,
)


def kept(web: httpx.Client, headers: dict[str, str]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = web.get("/v1/quarantine", headers=headers).json()["items"]
    return items


def test_what_cannot_be_read_is_kept_whole_and_answered_as_the_sender_needs_it(
    crm: House, web: httpx.Client
) -> None:
    answer = web.post("/in/crm", content=b"{oops", headers={**HEADERS, "X-Trace": "t-1"})
    assert answer.status_code == 202
    (item,) = kept(web, crm.token("crm"))
    assert (item["reason"], item["bytes"]) == ("the message is no JSON", 5)
    web.post("/in/crm", content=b"{oops", headers={**HEADERS, "X-Trace": "t-2"})
    assert len(kept(web, crm.token("crm"))) == 1  # the same bytes again
    again = web.post(f"/v1/quarantine/{item['id']}/replay", headers=crm.token("crm"))
    assert (again.status_code, again.json()["quarantine"]) == (400, item["id"])
    assert len(kept(web, crm.token("crm"))) == 1


def test_a_bug_of_an_adapter_loses_nothing_and_is_told_without_values(
    crm: House, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="modelwitness"):
        answer = web.post("/in/crm", json={"fail": "PRIVATE"}, headers=HEADERS)
    assert answer.status_code == 202
    assert "ZeroDivisionError" in caplog.text
    assert "PRIVATE" not in caplog.text
    assert kept(web, crm.token("crm"))[0]["reason"] == "the adapter failed on this message"


def test_bad_parts_sink_no_good_ones_and_are_read_again_as_declared_now(
    crm: House, web: httpx.Client
) -> None:
    body = {"predictions": [{"id": "a"}, {"id": "b", "kind": "risk"}, {"id": "c"}]}
    assert web.post("/in/crm", json=body, headers=HEADERS).status_code == 202
    assert ids(crm) == ["a", "c"]
    headers = crm.token("crm")
    (item,) = kept(web, headers)
    assert (item["items"], item["field"]) == (1, "/kind")
    refused = web.post(f"/v1/quarantine/{item['id']}/replay", headers=headers).json()
    assert (refused["duplicates"], refused["rejected"]) == (2, 1)
    declare(crm, BY_HEADER.format(name="crm") + "options: {wanted: risk}\n")

    def replayed() -> bool:
        answer = web.post(f"/v1/quarantine/{item['id']}/replay", headers=headers).json()
        return bool(answer["accepted"] == 1)

    await_declared(replayed)
    assert ids(crm) == ["a", "c", "b"]
    assert kept(web, headers) == []


def test_the_same_id_with_other_content_is_kept_as_a_conflict(
    crm: House, web: httpx.Client
) -> None:
    for output in ("late", "early"):
        body = {"predictions": [{"id": "a", "output": output}]}
        assert web.post("/in/crm", json=body, headers=HEADERS).status_code == 202
    assert [each["output"] for each in crm.bodies("PredictionLogged")] == ["late"]
    assert "other content" in kept(web, crm.token("crm"))[0]["reason"]
    told = web.get("/metrics").text
    assert 'address="in:told",fate="conflict",integration="crm"} 1.0' in told


def test_a_flood_of_one_sender_is_told_to_come_again_and_loses_nothing(
    opened: Open, free_port: Callable[[], int]
) -> None:
    house = opened(adapters=ADAPTERS, environment=ENVIRONMENT, waiting_events=20)
    declare(house, BY_HEADER.format(name="crm"))
    told: list[httpx.Response] = []
    with listening(house.app, free_port()) as address, httpx.Client(timeout=30) as client:

        def send(batch: int) -> None:
            body = predictions(*(f"{batch}-{each}" for each in range(20)))
            while True:
                answer = client.post(f"{address}/in/crm", json=body, headers=HEADERS)
                told.append(answer)
                if answer.status_code == 202:
                    return

        with ThreadPoolExecutor(16) as pool:
            list(pool.map(send, range(60)))
    busy = [each for each in told if each.status_code != 202]
    assert {each.status_code for each in busy} <= {504}
    assert all(each.headers["retry-after"] == "1" for each in busy)
    assert len(told) > 60  # it is no flood if nobody was told to wait
    assert sorted(ids(house)) == sorted(f"{a}-{b}" for a in range(60) for b in range(20))


def test_without_its_secret_nobody_is_the_sender(opened: Open) -> None:
    house = opened(adapters=ADAPTERS, environment={})
    declare(house, BY_HEADER.format(name="crm"))
    answer = house.client.post("/in/crm", json=predictions("a"), headers=HEADERS)
    assert answer.status_code == 401
    assert ids(house) == []


class Confirming(BaseHTTPRequestHandler):
    """The sender's own address, which wants to be called."""

    called: list[str]
    status = 200

    def do_GET(self) -> None:
        self.called.append(self.path)
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def site() -> Iterator[tuple[str, type[Confirming]]]:
    class Handler(Confirming):
        called: list[str] = []  # noqa: RUF012  (of this test's own class)

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", Handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_address_to_confirm_is_called_before_the_answer(
    opened: Open, site: tuple[str, type[Confirming]]
) -> None:
    address, handler = site
    house = opened(adapters=ADAPTERS, environment=ENVIRONMENT, callable=["127.0.0.1"])
    declare(house, BY_HEADER.format(name="crm"))
    body = predictions("a", fetch=f"{address}/confirm?token=1")
    assert house.client.post("/in/crm", json=body, headers=HEADERS).status_code == 202
    assert handler.called == ["/confirm?token=1"]
    handler.status = 302
    answer = house.client.post("/in/crm", json=body, headers=HEADERS)
    assert (answer.status_code, answer.headers["retry-after"]) == (504, "30")


def test_a_sender_cannot_have_private_addresses_called(
    crm: House, site: tuple[str, type[Confirming]]
) -> None:
    address, handler = site
    for url in (address, "http://169.254.169.254/latest/", "file:///etc/passwd", "ftp://a/"):
        body = predictions("a", fetch=url)
        answer = crm.client.post("/in/crm", json=body, headers=HEADERS)
        assert answer.status_code == 504
    assert handler.called == []
