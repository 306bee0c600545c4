"""Approved cases reach their retrainer: signed, again and again until heard, recorded once."""

import base64
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgspec
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from audit.clock import system_clock
from audit.outgoing import Outgoing
from audit.store import Store
from drift import delivery, outbox, steps
from drift.alerts import Alert
from drift.apply import apply_text
from drift.cases import Case
from drift.errors import Undeliverable
from drift.schedule import Scheduler
from drift.settings import DriftSettings
from tests.drift.governance import (
    POLICY,
    RETRAIN,
    HandClock,
    QuickJudge,
    access_to,
    ledger_of,
    predict,
)

SECRET = "whsec_" + base64.b64encode(b"k" * 32).decode()


@dataclass
class Receiver:
    """A real HTTP server that answers as it is told and keeps what it heard."""

    answers: list[int] = field(default_factory=list)
    heard: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    location: str = ""
    url: str = ""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    found = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.heard.append(({k.lower(): v for k, v in self.headers.items()}, body))
            status = found.answers.pop(0) if found.answers else 202
            self.send_response(status)
            if found.location:
                self.send_header("Location", found.location)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}/retrain"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def clock() -> HandClock:
    return HandClock(system_clock())  # receivers refuse signatures that are minutes old


def scheduler(store: Store, clock: HandClock, url: str, **settings: Any) -> Scheduler:
    return Scheduler(
        store,
        access_to(store, clock),
        DriftSettings(**settings),
        QuickJudge(),
        "a",
        clock=clock,
        environment={"RETRAIN_SECRET": SECRET, "RETRAIN_URL": url},
    )


def proposed(store: Store, work: Scheduler, url: str = "env:RETRAIN_URL") -> Case:
    apply_text(store, POLICY + RETRAIN % url, "ann")
    for day, level in enumerate((1.0, 5.0, 5.0, 5.0)):
        predict(store, day, level)
    work.judge_due()
    [case] = steps.list_cases(store)
    return case


def approved(store: Store, clock: HandClock, work: Scheduler) -> Case:
    return steps.decide(
        store, proposed(store, work).id, "approve", "ann", "outcomes agree", clock=clock
    )


def test_an_approval_is_posted_once_as_a_signed_event(
    store: Store, clock: HandClock, receiver: Receiver
) -> None:
    work = scheduler(store, clock, receiver.url)
    assert work.deliver_due() == 0
    case = approved(store, clock, work)
    assert work.deliver_due() == 1
    assert work.deliver_due() == 0
    [(headers, body)] = receiver.heard
    event = Webhook(SECRET).verify(body, headers)
    assert headers["content-type"] == "application/cloudevents+json"
    assert headers["webhook-id"] == case.id
    assert event["type"] == "modelwitness.RetrainingApproved.v1"
    assert event["source"] == store.ledger.origin
    assert event["data"]["labels"] == f"/v1/cases/{case.id}/labels.parquet"
    assert event["data"]["approver"] == "ann"
    assert [span["start"][:10] for span in event["data"]["windows"]] == ["2013-01-02", "2013-01-03"]
    [dispatched] = ledger_of(store, "RetrainingDispatched")
    assert dispatched["attempts"] == 1
    after = steps.case_of(store, case.id)
    assert (after.state, after.attempts) == ("dispatched", 1)


def test_a_changed_body_does_not_verify(store: Store, clock: HandClock, receiver: Receiver) -> None:
    work = scheduler(store, clock, receiver.url)
    approved(store, clock, work)
    work.deliver_due()
    [(headers, body)] = receiver.heard
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(body.replace(b"late-arrival", b"late-arrivaX"), headers)


def test_failures_are_tried_again_after_a_growing_pause_and_dispatched_once(
    store: Store, clock: HandClock, receiver: Receiver
) -> None:
    receiver.answers = [500, 503]
    work = scheduler(store, clock, receiver.url, backoff=10.0)
    approved(store, clock, work)
    assert work.deliver_due() == 0
    assert work.deliver_due() == 0  # not due before its pause is over
    assert len(receiver.heard) == 1
    clock.now_us += 10_000_000
    assert work.deliver_due() == 0
    clock.now_us += 10_000_000
    assert work.deliver_due() == 0
    assert len(receiver.heard) == 2  # the second pause is twice the first
    clock.now_us += 10_000_000
    assert work.deliver_due() == 1
    assert len({headers["webhook-id"] for headers, _ in receiver.heard}) == 1
    assert len({headers["webhook-timestamp"] for headers, _ in receiver.heard}) == 3
    [dispatched] = ledger_of(store, "RetrainingDispatched")
    assert dispatched["attempts"] == 3


def test_what_nobody_takes_is_dead_visible_and_can_be_tried_again(
    store: Store, clock: HandClock, receiver: Receiver
) -> None:
    receiver.answers = [500, 500]
    work = scheduler(store, clock, receiver.url, attempts=2, backoff=1.0)
    case = approved(store, clock, work)
    work.deliver_due()
    clock.now_us += 1_000_000
    work.deliver_due()
    clock.pass_days(1)
    work.deliver_due()
    assert len(receiver.heard) == 2
    dead = outbox.dead_letter(store, case.id)
    assert dead is not None
    assert (dead.attempts, dead.reason) == (2, "the receiver answered 500")
    kinds = [
        msgspec.json.decode(body, type=Alert).kind for _, body in store.documents.list("alert")
    ]
    assert sorted(kinds) == ["shift", "undelivered"]
    assert outbox.revive(store, case.id, clock=clock)
    assert work.deliver_due() == 1
    assert outbox.dead_letter(store, case.id) is None
    assert steps.case_of(store, case.id).state == "dispatched"
    states = {
        (alert := msgspec.json.decode(body, type=Alert)).kind: alert.state
        for _, body in store.documents.list("alert")
    }
    assert states["undelivered"] == "resolved"


def test_a_receiver_that_is_gone_for_good_is_not_asked_again(
    store: Store, clock: HandClock, receiver: Receiver
) -> None:
    receiver.answers = [410]
    work = scheduler(store, clock, receiver.url)
    case = approved(store, clock, work)
    assert work.deliver_due() == 0
    assert outbox.dead_letter(store, case.id) is not None
    assert len(receiver.heard) == 1
    clock.pass_days(1)  # longer than any pause between attempts
    assert work.deliver_due() == 0
    assert len(receiver.heard) == 1


def test_a_redirect_is_not_followed(store: Store, clock: HandClock, receiver: Receiver) -> None:
    receiver.answers = [307]
    receiver.location = receiver.url
    work = scheduler(store, clock, receiver.url)
    case = approved(store, clock, work)
    assert work.deliver_due() == 0
    assert len(receiver.heard) == 1
    assert steps.case_of(store, case.id).state == "approved"


def test_a_process_that_died_after_the_post_repeats_it_under_the_same_id_and_records_it_once(
    store: Store, clock: HandClock, receiver: Receiver
) -> None:
    work = scheduler(store, clock, receiver.url)
    case = approved(store, clock, work)
    work.deliver_due()
    store.work.put("outbox", case.id, b"{}", clock())  # as if `done` had never been reached
    assert work.deliver_due() == 0
    assert len(receiver.heard) == 1
    assert len(ledger_of(store, "RetrainingDispatched")) == 1


def test_an_answer_that_overtakes_its_dispatch_is_taken(
    store: Store, clock: HandClock, receiver: Receiver
) -> None:
    work = scheduler(store, clock, receiver.url)
    case = approved(store, clock, work)
    steps.acknowledge_case(store, case.id, "retrainer", clock=clock)
    store.work.put("outbox", case.id, b"{}", clock())
    assert work.deliver_due() == 1
    after = steps.case_of(store, case.id)
    assert after.state == "acknowledged"
    assert after.dispatched


def test_a_missing_secret_is_told_without_a_request(
    store: Store, clock: HandClock, receiver: Receiver
) -> None:
    work = Scheduler(
        store,
        access_to(store, clock),
        DriftSettings(attempts=1),
        QuickJudge(),
        "a",
        clock=clock,
        environment={"RETRAIN_URL": receiver.url},
    )
    case = approved(store, clock, work)
    work.deliver_due()
    assert receiver.heard == []
    dead = outbox.dead_letter(store, case.id)
    assert dead is not None
    assert "env:RETRAIN_SECRET" in dead.reason


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_a", "ключ"])
def test_a_secret_that_is_none_signs_nothing(secret: str) -> None:
    with pytest.raises(Undeliverable):
        delivery.sign(secret, "id", 0, b"{}")


def test_a_secret_may_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text(SECRET + "\n")
    assert delivery.resolve_reference(f"file:{path}") == SECRET
    with pytest.raises(Undeliverable):
        delivery.resolve_reference(f"file:{path}.gone")


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]/",
        "http://0.0.0.0:1/",
        "http://[::ffff:169.254.169.254]/",
        "http://user:word@127.0.0.1/",
        "ftp://127.0.0.1/",
        "not an address",
    ],
)
def test_addresses_that_no_retrainer_has_are_refused_for_good(url: str) -> None:
    with pytest.raises(Undeliverable) as refused:
        delivery.deliver(Outgoing(), url, {}, b"", 1)
    assert refused.value.final


def test_a_name_that_leads_to_this_machine_is_refused_unless_it_says_so(
    receiver: Receiver,
) -> None:
    outgoing = Outgoing(resolve=lambda _host, _port: ["127.0.0.1"])
    assert delivery.deliver(outgoing, receiver.url, {}, b"{}", 5) == 202
    named = receiver.url.replace("127.0.0.1", "name.example")
    with pytest.raises(Undeliverable) as refused:
        delivery.deliver(outgoing, named, {}, b"{}", 5)
    assert refused.value.final
    assert len(receiver.heard) == 1


def test_nobody_listening_may_be_tried_again() -> None:
    with pytest.raises(Undeliverable) as refused:
        delivery.deliver(Outgoing(), "http://127.0.0.1:9/", {}, b"", 1)
    assert not refused.value.final


def test_the_message_names_nobody_the_predictions_are_about(
    store: Store, clock: HandClock, receiver: Receiver
) -> None:
    work = scheduler(store, clock, receiver.url)
    case = approved(store, clock, work)
    data = json.loads(outbox.message(case, "origin"))["data"]
    assert set(data) == {
        "case",
        "model",
        "policy",
        "segment",
        "windows",
        "columns",
        "approver",
        "reason",
        "approval",
        "labels",
        "acknowledge",
        "candidate",
    }
