"""The retrainer's ear: hears only what the shared secret has signed, and everything once."""

import base64
import queue
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec
import pytest
from standardwebhooks.webhooks import Webhook

from collector.demo.retrainer import SECRET_NAME, URL_NAME, Order, Retrainer

ORDER: dict[str, Any] = {
    "specversion": "1.0",
    "type": "modelwitness.RetrainingApproved.v1",
    "id": "case-1",
    "data": {
        "case": "case-1",
        "model": {"name": "late-arrival", "version": "1"},
        "labels": "/v1/cases/case-1/labels.parquet",
        "acknowledge": "/v1/cases/case-1/acknowledge",
    },
}


@pytest.fixture
def heard() -> "queue.SimpleQueue[Order]":
    return queue.SimpleQueue()


@pytest.fixture
def retrainer(heard: "queue.SimpleQueue[Order]") -> Iterator[Retrainer]:
    with Retrainer() as made:
        made.serve(heard.put)
        yield made


def signed(secret: str, body: bytes, at: datetime | None = None) -> dict[str, str]:
    at = at or datetime.now(UTC)
    return {
        "webhook-id": "case-1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("case-1", at, body.decode()),
    }


def post(retrainer: Retrainer, headers: dict[str, str], body: bytes) -> int:
    with httpx.Client(trust_env=False) as client:
        return client.post(
            retrainer.environment[URL_NAME], headers=headers, content=body
        ).status_code


def test_a_signed_order_is_heard_once_however_often_it_is_sent(
    retrainer: Retrainer, heard: "queue.SimpleQueue[Order]"
) -> None:
    body = msgspec.json.encode(ORDER)
    secret = retrainer.environment[SECRET_NAME]
    assert post(retrainer, signed(secret, body), body) == 202
    assert post(retrainer, signed(secret, body), body) == 200
    order = heard.get(timeout=5)
    assert (order.case, order.model.version) == ("case-1", "1")
    assert heard.empty()


def test_another_secret_is_refused(retrainer: Retrainer, heard: "queue.SimpleQueue[Order]") -> None:
    body = msgspec.json.encode(ORDER)
    other = "whsec_" + base64.b64encode(bytes(32)).decode()
    assert post(retrainer, signed(other, body), body) == 401
    assert heard.empty()


def test_a_changed_body_is_refused(retrainer: Retrainer) -> None:
    body = msgspec.json.encode(ORDER)
    headers = signed(retrainer.environment[SECRET_NAME], body)
    assert post(retrainer, headers, body.replace(b"case-1", b"case-2")) == 401


def test_an_old_signature_is_refused(retrainer: Retrainer) -> None:
    body = msgspec.json.encode(ORDER)
    old = datetime.now(UTC) - timedelta(minutes=10)
    assert post(retrainer, signed(retrainer.environment[SECRET_NAME], body, old), body) == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"webhook-id": "a", "webhook-timestamp": "x", "webhook-signature": "v1,x"},
        {"webhook-id": "a", "webhook-timestamp": "NOW", "webhook-signature": "nonsense"},
        {"webhook-id": "a", "webhook-timestamp": "NOW", "webhook-signature": "v1,***"},
    ],
)
def test_a_malformed_signature_is_refused_and_the_ear_stays_open(
    retrainer: Retrainer, headers: dict[str, str]
) -> None:
    now = str(int(datetime.now(UTC).timestamp()))
    sent = {name: value.replace("NOW", now) for name, value in headers.items()}
    assert post(retrainer, sent, b"{}") == 401
    body = msgspec.json.encode(ORDER)
    assert post(retrainer, signed(retrainer.environment[SECRET_NAME], body), body) == 202


@pytest.mark.parametrize("body", [b"not json", b"\xff", b"{}", b'{"type":"other","data":{}}'])
def test_a_genuine_request_that_is_no_order_is_refused(retrainer: Retrainer, body: bytes) -> None:
    secret = retrainer.environment[SECRET_NAME]
    headers = signed(secret, b"x") if body == b"\xff" else signed(secret, body)
    assert post(retrainer, headers, body) in (400, 401)


def test_a_body_beyond_the_limit_is_refused_before_it_is_read(retrainer: Retrainer) -> None:
    address = httpx.URL(retrainer.environment[URL_NAME])
    with socket.create_connection((address.host, address.port or 0), timeout=5) as raw:
        raw.sendall(b"POST /retrain HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n")
        assert b" 413 " in raw.recv(200)


def test_two_retrainers_share_neither_secret_nor_port() -> None:
    with Retrainer() as one, Retrainer() as other:
        assert one.environment[SECRET_NAME] != other.environment[SECRET_NAME]
        assert one.environment[URL_NAME] != other.environment[URL_NAME]
