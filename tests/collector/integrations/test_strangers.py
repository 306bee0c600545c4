"""A stranger at /in cannot tell which names are declared, nor with what."""

import logging
import time
from pathlib import Path

import httpx
import pytest
from prometheus_client import generate_latest

from audit.clock import system_clock
from audit.events import SYSTEM, event_of, rfc3339
from collector.adapters.registry import ADAPTERS
from collector.integrations.refusals import LEAST_SECONDS
from collector.integrations.verifiers import VERIFIERS
from tests.collector.conftest import House, Open

SECRET = "a-secret-of-many-letters"
OPTIONS = {
    "header": "X-Secret",
    "parameter": "code",
    "certificates": "a",
    "issuer": "https://issuer.example",
    "audience": "us",
    "jwks": "file:/nowhere",
    "topics": "arn:aws:sns:us-west-2:1:T",
}
REQUESTS: dict[str, tuple[str, dict[str, str], bytes]] = {
    "plain": ("", {}, b"{}"),
    "protobuf": ("", {"Content-Type": "application/x-protobuf"}, b"\xff"),
    "packed": ("", {"Content-Encoding": "br"}, b"x"),
    "wrong secret": ("", {"X-Secret": "wrong", "Authorization": "Basic d3Jvbmc="}, b"{}"),
    "in the address": ("/wrong?code=wrong", {"X-Secret": SECRET}, b"{}"),
    "firehose": ("", {"X-Amz-Firehose-Request-Id": "r-1"}, b"{}"),
    "sns": ("", {"x-amz-sns-message-type": "Notification"}, b'{"Type": "Notification"}'),
    "too large": ("", {}, b"x" * 3_000),
}


def declare(house: House, name: str, adapter: str, verify: str, secret: str = "env:KEY") -> None:
    """Put a declaration in the ledger; most adapters want more of one before they read anything."""
    verifier = VERIFIERS[verify]
    credential = {
        "verify": verify,
        "secrets": [secret] if verifier.secrets else [],
        "options": {each: OPTIONS[each] for each in verifier.required},
    }
    body = {
        "id": name,
        "time": rfc3339(system_clock()),
        "name": name,
        "revision": "1",
        "declaration": {"name": name, "adapter": adapter, "credential": credential},
        "actor": "ann",
    }
    house.store.ledger.append([event_of("IntegrationDeclared", SYSTEM, body)])


def learned(house: House, name: str, request: str) -> tuple[int, list[tuple[str, str]], bytes, str]:
    """What a stranger sees of one request: status, headers, body, and what changed in /metrics."""
    suffix, headers, body = REQUESTS[request]
    before = set(_metrics(house).splitlines())
    answer = house.client.post(f"/in/{name}{suffix}", content=body, headers=headers)
    changed = set(_metrics(house).splitlines()) - before
    names = sorted(each.rpartition(" ")[0] for each in changed if not each.startswith("#"))
    return answer.status_code, sorted(answer.headers.items()), answer.content, "\n".join(names)


def _metrics(house: House) -> str:
    return generate_latest(house.registry).decode()


@pytest.fixture
def house(opened: Open) -> House:
    """A house in which every adapter is declared, and every way to prove who one is."""
    found = opened(environment={"KEY": SECRET}, body_bytes=2_000)
    for number, adapter in enumerate(ADAPTERS.values()):
        for verify in {"header", *adapter.verifiers}:
            declare(found, f"{verify}-of-{number}", adapter.name, verify)
    for verify in VERIFIERS:
        declare(found, f"any-{verify}", "native", verify)
    return found


@pytest.mark.parametrize("request_", REQUESTS)
def test_every_name_refuses_a_stranger_alike(house: House, request_: str) -> None:
    unknown = learned(house, "nobody", request_)
    assert unknown[0] in {401, 503}
    assert "modelwitness_refused_strangers_total" in unknown[3]
    names = [f"{v}-of-{n}" for n, a in enumerate(ADAPTERS.values()) for v in a.verifiers]
    names += [f"header-of-{number}" for number in range(len(ADAPTERS))]
    names += [f"any-{verify}" for verify in VERIFIERS]
    told = {name: learned(house, name, request_) for name in names}
    assert {name: each for name, each in told.items() if each != unknown} == {}


def test_only_who_says_to_be_sns_is_told_to_come_again(house: House) -> None:
    """SNS takes a 4xx for delivered and drops the message; nobody else hears 503."""
    found = {request: learned(house, "nobody", request)[0] for request in REQUESTS}
    assert {request for request, status in found.items() if status == 503} == {"sns"}


def test_no_stranger_is_answered_sooner_than_another(house: House) -> None:
    for name in ("nobody", "any-header", "any-bearer", "any-path"):
        began = time.perf_counter()
        assert house.client.post(f"/in/{name}", content=b"{}").status_code == 401
        assert time.perf_counter() - began >= LEAST_SECONDS, name


def test_who_cannot_be_told_from_the_sender_comes_again(house: House, tmp_path: Path) -> None:
    """Many senders drop what was answered 401: while their secret cannot be read, they must not."""
    key = tmp_path / "key"
    key.write_text(SECRET)
    declare(house, "unreadable", "salesforce.outbound", "header", f"file:{key}")

    def send(secret: str) -> httpx.Response:
        return house.client.post("/in/unreadable", content=b"{}", headers={"X-Secret": secret})

    assert send("wrong").status_code == 401
    key.unlink()
    deadline = time.monotonic() + 10
    while (answer := send(SECRET)).status_code != 503:  # what was read is believed for a second
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert answer.headers["retry-after"] == "30"
    assert answer.text == "Busy, try again"  # in nobody's words


@pytest.mark.parametrize("verify", ["header", "path", "zendesk"])
def test_a_secret_that_was_never_set_tells_no_stranger_of_the_name(
    house: House, verify: str, caplog: pytest.LogCaptureFixture
) -> None:
    declare(house, "unset", "native", verify, "env:GONE")
    with caplog.at_level(logging.WARNING, logger="modelwitness"):
        told = [house.client.post(f"/in/{each}/", content=b"{}") for each in ("unset", "nobody")]
        house.client.post("/in/unset", content=b"{}")
    first, second = ((each.status_code, each.content, sorted(each.headers)) for each in told)
    assert first == second
    assert first[0] == 401
    assert [each for each in caplog.messages if "env:GONE" in each] == [caplog.messages[0]]
    counted = house.registry.get_sample_value(
        "modelwitness_integration_secret_unset_total", {"integration": "unset"}
    )
    assert counted == 2


def test_a_known_sender_is_refused_in_its_own_words(house: House) -> None:
    """The words apply once the credential is proved."""
    number = list(ADAPTERS).index("salesforce.outbound")
    answer = house.client.post(
        f"/in/header-of-{number}", content=b"x" * 3_000, headers={"X-Secret": SECRET}
    )
    assert answer.status_code == 413
    assert b"<faultstring>Too large" in answer.content
