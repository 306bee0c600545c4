"""Who may come in at /in, what a stranger learns, and what becomes of what is sent."""

import gzip
import hashlib
import hmac
import json
import logging
import threading
import time
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import httpx
import pytest

from audit.clock import system_clock
from collector.integrations.registered import LAG_US
from tests.collector.conftest import House, Open, listening
from tests.collector.integrations.senders import ADAPTERS, BY_HEADER, HEADERS, SECRET, declare

OLD = "another-secret-of-many-letters"
ENVIRONMENT = {"NEW": SECRET, "OLD": OLD, "HUB": "yyyyyyyy-yyyy-yyyy-yyyy-yyyyyyyyyyyy"}


@pytest.fixture
def house(opened: Open) -> House:
    """A house with the sender `crm`, which shows a secret in a header."""
    found = opened(adapters=ADAPTERS, environment=ENVIRONMENT)
    declare(found, BY_HEADER.format(name="crm"))
    return found


@pytest.fixture
def web(house: House, free_port: Callable[[], int]) -> Iterator[httpx.Client]:
    """A client of the house on a real server and socket."""
    with (
        listening(house.app, free_port()) as address,
        httpx.Client(base_url=address, timeout=20) as client,
    ):
        yield client


def predictions(*ids: str, **more: Any) -> dict[str, Any]:
    return {"predictions": [{"id": each} for each in ids], **more}


def ids(house: House) -> list[str]:
    return [each["id"] for each in house.bodies("PredictionLogged")]


def await_declared(done: Callable[[], bool]) -> None:
    """Wait until a declaration is in force, as long as that may take and no longer."""
    deadline = time.monotonic() + LAG_US / 1e6 + 5
    while not done():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_a_known_sender_is_answered_in_its_own_words(house: House, web: httpx.Client) -> None:
    answer = web.post("/in/crm", json=predictions("a", "b"), headers=HEADERS)
    assert (answer.status_code, answer.text) == (202, "<taken/>")
    assert answer.headers["content-type"] == "application/xml"
    assert ids(house) == ["a", "b"]
    again = web.post("/in/crm", json=predictions("a", "b"), headers={"X-Secret": OLD})
    assert again.status_code == 202
    assert ids(house) == ["a", "b"]


def test_a_stranger_is_refused_and_counted_and_nothing_is_logged(
    house: House, web: httpx.Client
) -> None:
    refused = [
        web.post("/in/crm", json=predictions("a")),
        web.post("/in/crm", json=predictions("a"), headers={"X-Secret": SECRET[:-1]}),
        web.post("/in/crm/" + SECRET, json=predictions("a"), headers=HEADERS),
        web.post("/in/nobody", json=predictions("a"), headers=HEADERS),
        web.post("/in/nobody/x", json=predictions("a")),
        web.post("/in/crm", json=predictions("a"), headers=house.token("crm")),
    ]
    assert {each.status_code for each in refused} == {401}
    assert ids(house) == []
    assert "modelwitness_refused_strangers_total 6.0" in web.get("/metrics").text
    assert len(house.bodies("AccessRecorded")) == 1


def test_a_stranger_cannot_make_the_server_read_a_body(web: httpx.Client) -> None:
    """The answer comes before the body: who waits for it need not send one."""

    def endless() -> Iterator[bytes]:
        yield b"{"
        time.sleep(0.2)
        yield b"x" * 10

    for name in ("crm", "nobody"):
        began = time.monotonic()
        with web.stream("POST", f"/in/{name}", content=endless()) as answer:
            assert answer.status_code == 401
        assert time.monotonic() - began < 5


def test_probes_tell_nothing(web: httpx.Client) -> None:
    for method, status in (("GET", 405), ("HEAD", 200), ("OPTIONS", 200)):
        found = [
            web.request(method, path) for path in ("/in/crm", "/in/nobody", "/in/crm/x", "/in/no/x")
        ]
        assert {each.status_code for each in found} == {status}
        assert len({each.content for each in found}) == 1
        assert {each.headers["allow"] for each in found} == {"OPTIONS, POST"}
    assert web.put("/in/crm").status_code == web.put("/in/nobody").status_code == 405


def test_a_declaration_is_in_force_everywhere_within_a_second(
    house: House, web: httpx.Client
) -> None:
    assert web.post("/in/erp", json={}, headers=HEADERS).status_code == 401
    change = declare(house, BY_HEADER.format(name="erp"))
    assert change.changed
    assert not declare(house, BY_HEADER.format(name="erp")).changed
    await_declared(
        lambda: web.post("/in/erp", json=predictions("e"), headers=HEADERS).status_code == 202
    )
    declare(house, BY_HEADER.format(name="erp").replace("env:NEW, ", ""))
    await_declared(lambda: web.post("/in/erp", json={}, headers=HEADERS).status_code == 401)
    assert web.post("/in/erp", json={}, headers={"X-Secret": OLD}).status_code == 202
    declared = house.bodies("IntegrationDeclared")
    assert [each["name"] for each in declared] == ["crm", "erp", "erp"]
    assert declared[0]["actor"] == "ann"
    assert declared[0]["declaration"]["credential"]["secrets"] == ["env:NEW", "env:OLD"]
    assert SECRET not in json.dumps(declared)


def test_an_integration_that_declares_itself_opens_no_door(house: House, web: httpx.Client) -> None:
    """A token of an integration may tell of it; only what the operator applied lets senders in."""
    body = {
        "specversion": "1.0",
        "type": "modelwitness.IntegrationDeclared.v1",
        "source": "/x",
        "id": "1",
        "time": "2026-01-01T00:00:00Z",
        "data": {
            "owner": "mallory",
            "revision": "0",
            "declaration": {"name": "mallory", "adapter": "told", "credential": {"verify": "x"}},
        },
    }
    for name in ("mallory", "crm"):
        sent = web.post(
            "/v1/cloudevents",
            content=json.dumps({**body, "id": name}),
            headers={
                **house.token(name),
                "Content-Type": "application/cloudevents+json",
            },
        )
        assert sent.status_code == 201, sent.text
    time.sleep(2 * LAG_US / 1e6)
    assert web.post("/in/mallory", json={}, headers=house.token("mallory")).status_code == 401
    assert web.post("/in/crm", json=predictions("a"), headers=HEADERS).status_code == 202


def test_a_secret_in_the_path_is_told_nowhere(
    house: House, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    declare(
        house,
        "kind: integration\nname: sf\nadapter: told\n"
        "credential: {verify: path, secrets: [env:NEW]}\n",
    )
    with caplog.at_level(logging.DEBUG):
        await_declared(lambda: web.post(f"/in/sf/{SECRET}", content=b"no json").status_code == 202)
        assert web.post(f"/in/sf/{SECRET}x", json={}).status_code == 401
        assert web.post("/in/sf", json={}).status_code == 401
        told = web.get("/metrics").text
        listed = web.get("/v1/quarantine", headers=house.token("sf"))
    assert SECRET not in told + listed.text + caplog.text
    (kept,) = listed.json()["items"]
    work = house.store.work.get("quarantine", kept["id"])
    assert work is not None
    assert SECRET.encode() not in work.body
    assert b"no json" in work.body


def test_a_signature_covers_the_address_that_was_declared(house: House, web: httpx.Client) -> None:
    """Behind a proxy the server sees another host, and the sender signs the one that it called."""
    declare(
        house,
        "kind: integration\nname: hub\nadapter: told\nurl: https://logs.example.com/in/hub\n"
        "credential: {verify: hubspot-v3, secrets: [env:HUB]}\n",
    )
    body = json.dumps(predictions("h")).encode()

    def send(url: str, query: str, age: int = 0) -> int:
        sent_at = str(system_clock() // 1000 - age)
        signed = b"POST" + url.encode() + body + sent_at.encode()
        mac = hmac.digest(ENVIRONMENT["HUB"].encode(), signed, hashlib.sha256)
        headers = {
            "X-HubSpot-Signature-v3": b64encode(mac).decode(),
            "X-HubSpot-Request-Timestamp": sent_at,
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
        }
        return web.post(f"/in/hub{query}", content=body, headers=headers).status_code

    outside = "https://logs.example.com/in/hub"
    await_declared(lambda: send(outside, "") == 202)
    assert send(f"{outside}?a=b%20c", "?a=b%20c") == 202
    assert send(outside, "?a=b") == 401
    assert send("https://evil.example/in/hub", "") == 401
    assert send(outside, "", age=301_000) == 401


def test_consent_is_given_to_those_who_are_declared(house: House, web: httpx.Client) -> None:
    """The CloudEvents webhook handshake; without consent the header is left out."""
    text = BY_HEADER.format(name="grid") + "origins: [eventgrid.azure.net]\n"
    declare(house, text)

    def ask(path: str, origin: str) -> httpx.Headers:
        answer = web.options(path, headers={"WebHook-Request-Origin": origin})
        assert answer.status_code == 200
        return answer.headers

    await_declared(
        lambda: (
            ask("/in/grid", "eventgrid.azure.net").get("webhook-allowed-origin")
            == "eventgrid.azure.net"
        )
    )
    assert ask("/in/grid", "eventgrid.azure.net")["webhook-allowed-rate"] == "*"
    for path, origin in (
        ("/in/grid", "evil.example"),
        ("/in/crm", "eventgrid.azure.net"),
        ("/in/no", "eventgrid.azure.net"),
    ):
        assert "webhook-allowed-origin" not in ask(path, origin)


def test_bodies_may_be_packed_once_and_not_without_end(house: House, web: httpx.Client) -> None:
    raw = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    plain = json.dumps(predictions("d")).encode()
    packed = {
        "gzip": gzip.compress(json.dumps(predictions("g")).encode()),
        "deflate": zlib.compress(json.dumps(predictions("z")).encode()),
        "Deflate": raw.compress(plain) + raw.flush(),
    }
    for encoding, body in packed.items():
        headers = {**HEADERS, "Content-Encoding": encoding}
        assert web.post("/in/crm", content=body, headers=headers).status_code == 202
    assert ids(house) == ["g", "z", "d"]
    twice = web.post(
        "/in/crm",
        content=gzip.compress(packed["gzip"]),
        headers={**HEADERS, "Content-Encoding": "gzip, gzip"},
    )
    assert (twice.status_code, twice.text) == (415, "<no>Unsupported content encoding</no>")
    for encoding, bomb in (
        ("gzip", gzip.compress(bytes(64 * 1024 * 1024))),
        ("deflate", zlib.compress(bytes(64 * 1024 * 1024))),
    ):
        headers = {**HEADERS, "Content-Encoding": encoding}
        answer = web.post("/in/crm", content=bomb, headers=headers)
        assert (answer.status_code, answer.text) == (413, "<no>Too large</no>")
    cut = web.post(
        "/in/crm", content=packed["gzip"][:-9], headers={**HEADERS, "Content-Encoding": "gzip"}
    )
    assert cut.status_code == 202  # this sender is told so, and the bytes are in quarantine


def test_what_is_too_large_is_refused_in_the_sender_s_words(web: httpx.Client) -> None:
    answer = web.post("/in/crm", content=bytes(9 * 1024 * 1024), headers=HEADERS)
    assert (answer.status_code, answer.text) == (413, "<no>Too large</no>")


def kept(web: httpx.Client, headers: dict[str, str]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = web.get("/v1/quarantine", headers=headers).json()["items"]
    return items


def test_what_cannot_be_read_is_kept_whole_and_answered_as_the_sender_needs_it(
    house: House, web: httpx.Client
) -> None:
    answer = web.post("/in/crm", content=b"{oops", headers={**HEADERS, "X-Trace": "t-1"})
    assert answer.status_code == 202
    (item,) = kept(web, house.token("crm"))
    assert (item["reason"], item["bytes"]) == ("the message is no JSON", 5)
    web.post("/in/crm", content=b"{oops", headers={**HEADERS, "X-Trace": "t-2"})
    assert len(kept(web, house.token("crm"))) == 1  # the same bytes again
    again = web.post(f"/v1/quarantine/{item['id']}/replay", headers=house.token("crm"))
    assert (again.status_code, again.json()["quarantine"]) == (400, item["id"])
    assert len(kept(web, house.token("crm"))) == 1


def test_a_bug_of_an_adapter_loses_nothing_and_is_told_without_values(
    house: House, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.ERROR, logger="modelwitness"):
        answer = web.post("/in/crm", json={"fail": "PRIVATE"}, headers=HEADERS)
    assert answer.status_code == 202
    assert "ZeroDivisionError" in caplog.text
    assert "PRIVATE" not in caplog.text
    assert kept(web, house.token("crm"))[0]["reason"] == "the adapter failed on this message"


def test_bad_parts_sink_no_good_ones_and_are_read_again_as_declared_now(
    house: House, web: httpx.Client
) -> None:
    body = {"predictions": [{"id": "a"}, {"id": "b", "kind": "risk"}, {"id": "c"}]}
    assert web.post("/in/crm", json=body, headers=HEADERS).status_code == 202
    assert ids(house) == ["a", "c"]
    headers = house.token("crm")
    (item,) = kept(web, headers)
    assert (item["items"], item["field"]) == (1, "/kind")
    refused = web.post(f"/v1/quarantine/{item['id']}/replay", headers=headers).json()
    assert (refused["duplicates"], refused["rejected"]) == (2, 1)
    declare(house, BY_HEADER.format(name="crm") + "options: {wanted: risk}\n")

    def replayed() -> bool:
        answer = web.post(f"/v1/quarantine/{item['id']}/replay", headers=headers).json()
        return bool(answer["accepted"] == 1)

    await_declared(replayed)
    assert ids(house) == ["a", "c", "b"]
    assert kept(web, headers) == []


def test_the_same_id_with_other_content_is_kept_as_a_conflict(
    house: House, web: httpx.Client
) -> None:
    for output in ("late", "early"):
        body = {"predictions": [{"id": "a", "output": output}]}
        assert web.post("/in/crm", json=body, headers=HEADERS).status_code == 202
    assert [each["output"] for each in house.bodies("PredictionLogged")] == ["late"]
    assert "other content" in kept(web, house.token("crm"))[0]["reason"]
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


def test_without_its_secret_the_server_decides_nothing(opened: Open) -> None:
    house = opened(adapters=ADAPTERS, environment={})
    declare(house, BY_HEADER.format(name="crm"))
    answer = house.client.post("/in/crm", json=predictions("a"), headers=HEADERS)
    assert (answer.status_code, answer.headers["retry-after"]) == (504, "30")


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
    house: House, site: tuple[str, type[Confirming]]
) -> None:
    address, handler = site
    for url in (address, "http://169.254.169.254/latest/", "file:///etc/passwd", "ftp://a/"):
        body = predictions("a", fetch=url)
        answer = house.client.post("/in/crm", json=body, headers=HEADERS)
        assert answer.status_code == 504
    assert handler.called == []
