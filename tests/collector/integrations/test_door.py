"""Who may come in at /in, and what a stranger learns."""

import gzip
import hashlib
import hmac
import json
import logging
import time
import zlib
from base64 import b64encode
from collections.abc import Iterator

import httpx
import pytest

from audit.clock import system_clock
from collector.integrations.registered import LAG_US
from tests.collector.conftest import House, Open
from tests.collector.integrations.senders import (
    ADAPTERS,
    BY_HEADER,
    ENVIRONMENT,
    HEADERS,
    HUB,
    OLD,
    SECRET,
    await_declared,
    declare,
    ids,
    predictions,
)


def test_a_known_sender_is_answered_in_its_own_words(crm: House, web: httpx.Client) -> None:
    answer = web.post("/in/crm", json=predictions("a", "b"), headers=HEADERS)
    assert (answer.status_code, answer.text) == (202, "<taken/>")
    assert answer.headers["content-type"] == "application/xml"
    assert ids(crm) == ["a", "b"]
    again = web.post("/in/crm", json=predictions("a", "b"), headers={"X-Secret": OLD})
    assert again.status_code == 202
    assert ids(crm) == ["a", "b"]


def test_a_stranger_is_refused_and_counted_and_nothing_is_logged(
    crm: House, web: httpx.Client
) -> None:
    refused = [
        web.post("/in/crm", json=predictions("a")),
        web.post("/in/crm", json=predictions("a"), headers={"X-Secret": SECRET[:-1]}),
        web.post("/in/crm/" + SECRET, json=predictions("a"), headers=HEADERS),
        web.post("/in/nobody", json=predictions("a"), headers=HEADERS),
        web.post("/in/nobody/x", json=predictions("a")),
        web.post("/in/crm", json=predictions("a"), headers=crm.token("crm")),
    ]
    assert {each.status_code for each in refused} == {401}
    assert ids(crm) == []
    assert "modelwitness_refused_strangers_total 6.0" in web.get("/metrics").text
    assert len(crm.bodies("AccessRecorded")) == 1


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
    crm: House, web: httpx.Client
) -> None:
    assert web.post("/in/erp", json={}, headers=HEADERS).status_code == 401
    change = declare(crm, BY_HEADER.format(name="erp"))
    assert change.changed
    assert not declare(crm, BY_HEADER.format(name="erp")).changed
    await_declared(
        lambda: web.post("/in/erp", json=predictions("e"), headers=HEADERS).status_code == 202
    )
    declare(crm, BY_HEADER.format(name="erp").replace("env:NEW, ", ""))
    await_declared(lambda: web.post("/in/erp", json={}, headers=HEADERS).status_code == 401)
    assert web.post("/in/erp", json={}, headers={"X-Secret": OLD}).status_code == 202
    declared = crm.bodies("IntegrationDeclared")
    assert [each["name"] for each in declared] == ["crm", "erp", "erp"]
    assert declared[0]["actor"] == "ann"
    assert declared[0]["declaration"]["credential"]["secrets"] == ["env:NEW", "env:OLD"]
    assert SECRET not in json.dumps(declared)


def test_an_integration_that_declares_itself_opens_no_door(opened: Open) -> None:
    """A token of an integration may tell of it; only what the operator applied lets senders in."""
    ahead = 0
    crm = opened(adapters=ADAPTERS, environment=ENVIRONMENT, clock=lambda: system_clock() + ahead)
    declare(crm, BY_HEADER.format(name="crm"))
    web = crm.client
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
                **crm.token(name),
                "Content-Type": "application/cloudevents+json",
            },
        )
        assert sent.status_code == 201, sent.text
    ahead = 2 * LAG_US
    assert web.post("/in/mallory", json={}, headers=crm.token("mallory")).status_code == 401
    assert web.post("/in/crm", json=predictions("a"), headers=HEADERS).status_code == 202


def test_a_secret_in_the_path_is_told_nowhere(
    crm: House, web: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    declare(
        crm,
        "kind: integration\nname: sf\nadapter: told\n"
        "credential: {verify: path, secrets: [env:NEW]}\n",
    )
    with caplog.at_level(logging.DEBUG):
        await_declared(lambda: web.post(f"/in/sf/{SECRET}", content=b"no json").status_code == 202)
        assert web.post(f"/in/sf/{SECRET}x", json={}).status_code == 401
        assert web.post("/in/sf", json={}).status_code == 401
        told = web.get("/metrics").text
        listed = web.get("/v1/quarantine", headers=crm.token("sf"))
    assert SECRET not in told + listed.text + caplog.text
    (kept,) = listed.json()["items"]
    work = crm.store.work.get("quarantine", kept["id"])
    assert work is not None
    assert SECRET.encode() not in work.body
    assert b"no json" in work.body


def test_a_signature_covers_the_address_that_was_declared(crm: House, web: httpx.Client) -> None:
    """Behind a proxy the server sees another host, and the sender signs the one that it called."""
    declare(
        crm,
        "kind: integration\nname: hub\nadapter: told\nurl: https://logs.example.com/in/hub\n"
        "credential: {verify: hubspot-v3, secrets: [env:HUB]}\n",
    )
    body = json.dumps(predictions("h")).encode()

    def send(url: str, query: str, age: int = 0) -> int:
        sent_at = str(system_clock() // 1000 - age)
        signed = b"POST" + url.encode() + body + sent_at.encode()
        mac = hmac.digest(HUB.encode(), signed, hashlib.sha256)
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


def test_consent_is_given_to_those_who_are_declared(crm: House, web: httpx.Client) -> None:
    """The CloudEvents webhook handshake; without consent the header is left out."""
    text = BY_HEADER.format(name="grid") + "origins: [eventgrid.azure.net]\n"
    declare(crm, text)

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


def test_bodies_may_be_packed_once_and_not_without_end(crm: House, web: httpx.Client) -> None:
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
    assert ids(crm) == ["g", "z", "d"]
    twice = web.post(
        "/in/crm",
        content=gzip.compress(packed["gzip"]),
        headers={**HEADERS, "Content-Encoding": "gzip, gzip"},
    )
    assert twice.status_code == 415
    assert twice.text.startswith("<no>Unsupported content encoding: ")
    assert twice.headers["accept-encoding"] == "gzip"
    for encoding, bomb in (
        ("gzip", gzip.compress(bytes(64 * 1024 * 1024))),
        ("deflate", zlib.compress(bytes(64 * 1024 * 1024))),
    ):
        headers = {**HEADERS, "Content-Encoding": encoding}
        answer = web.post("/in/crm", content=bomb, headers=headers)
        assert answer.status_code == 413
        assert answer.text.startswith("<no>Too large: ")
    cut = web.post(
        "/in/crm", content=packed["gzip"][:-9], headers={**HEADERS, "Content-Encoding": "gzip"}
    )
    assert cut.status_code == 202  # this sender is told so, and the bytes are in quarantine


def test_what_is_too_large_is_refused_in_the_sender_s_words(web: httpx.Client) -> None:
    answer = web.post("/in/crm", content=bytes(9 * 1024 * 1024), headers=HEADERS)
    assert answer.status_code == 413
    assert answer.text.startswith("<no>Too large: ")
    assert "Send fewer items" in answer.text
