"""NetSuite's notes are asked for page by page, from a server that answers as NetSuite's does."""

import asyncio
import json
import os
import threading
from collections.abc import Iterator
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from audit.access import Access
from audit.catalog import Catalog
from audit.clock import system_clock
from audit.errors import Busy, Rejected
from audit.options import Parts
from audit.outgoing import Outgoing
from audit.settings import AuditSettings
from audit.store import Store, open_store
from audit.tokens import Tokens
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapter, Message, Reply
from collector.integrations.declaration import Declared, Record
from collector.integrations.running import ways_in
from collector.integrations.secrets import Secrets
from collector.pulls.netsuite import ADAPTER, KIND, Pull, query
from tests.collector.adapters.business import terminal

FIRST = datetime(2026, 1, 31, 9)  # noqa: DTZ001 - an account's own time, as its notes have it
SINCE = "2026-01-31 00:00:00"


class NetSuite(ThreadingHTTPServer):
    """An account with notes, one each second."""

    def __init__(self, rows: int) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.notes = [note(number) for number in range(rows)]
        self.asked: list[tuple[int, str]] = []
        self.failing: list[int] = []

    @property
    def account(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answering(BaseHTTPRequestHandler):
    server: NetSuite

    def do_POST(self) -> None:
        told = urlsplit(self.path)
        asked = parse_qs(told.query)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.server.failing:
            return self._answer(self.server.failing.pop(0), {"title": "no"})
        if self.headers["Authorization"] != "Bearer good":
            return self._answer(401, {"title": "Invalid login attempt."})
        if told.path != "/services/rest/query/v1/suiteql" or self.headers["Prefer"] != "transient":
            return self._answer(400, {"title": "Bad request"})
        limit, offset = int(asked["limit"][0]), int(asked["offset"][0])
        since = body["q"].split("TO_DATE('")[1][:19]
        self.server.asked.append((offset, since))
        rows = [each for each in self.server.notes if each["date"] >= since]
        page = rows[offset : offset + min(limit, 1000)]
        more = offset + len(page) < len(rows)
        self._answer(
            200,
            {"items": page, "hasMore": more, "count": len(page), "totalResults": len(rows)},
        )
        return None

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        if status == 429:
            self.send_header("Retry-After", "7")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


def note(number: int) -> dict[str, Any]:
    return {
        "id": str(number),
        "date": (FIRST + timedelta(seconds=number)).strftime("%Y-%m-%d %H:%M:%S"),
        "field": "CUSTBODY_SCORE",
        "oldvalue": "0.2",
        "newvalue": f"1.{number}",
        "name": "1234",
        "context": "UIF",
        "recordid": str(number % 100),
        "recordtypeid": "-30",
    }


@pytest.fixture
def netsuite() -> Iterator[NetSuite]:
    server = NetSuite(2500)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join(10)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = AuditSettings(data=tmp_path / "data")
    store = open_store(settings, [Catalog()], clock=system_clock, random=os.urandom)
    yield store
    store.close()


def declared(netsuite: NetSuite, **options: str) -> Declared:
    told = {
        "account": netsuite.account,
        "token": "env:TOKEN",
        "since": SINCE,
        "zone": "UTC",
        "object": "salesorder",
        **options,
    }
    record = Record(prediction="custbody_score", outcome=terminal("status", B="billed"))
    return Declared(
        name="erp", adapter=ADAPTER, model="m", version="1", record=record, options=told
    )


class Looking:
    """Looks in an event loop of its own, as the command does."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.fail_after: int | None = None

    def look(self, declaration: Declared, holder: str = "me") -> int:
        return asyncio.run(self._look(declaration, holder))

    async def _look(self, declaration: Declared, holder: str) -> int:
        store = self.store
        tokens = Tokens(store.ledger, store.documents, clock=system_clock, random=os.urandom)
        access = Access(store.ledger, store.documents, clock=system_clock, random=os.urandom)
        ways = ways_in(Parts(store, tokens, access))

        async def take(message: Message, told: Declared, adapter: Adapter) -> Reply:
            if self.fail_after == 0:
                raise Busy("the ledger is away")
            if self.fail_after is not None:
                self.fail_after -= 1
            return await ways.intake.take(message, told, adapter)

        pull = Pull(
            take,
            ADAPTERS[ADAPTER],
            store.work,
            Secrets({"TOKEN": "good", "OLD": "expired"}, system_clock),
            lambda: Outgoing().client(10, written_by_operator=True),
            system_clock,
            holder,
        )
        return await pull.look(declaration)

    def overrides(self) -> int:
        all_time = self.store.reader.window("OversightRecorded", "m", "1", 0, 2**60)
        return sum(1 for _ in all_time)


@pytest.fixture
def looking(store: Store) -> Looking:
    return Looking(store)


def test_all_pages_are_read_once_and_a_later_look_reads_what_is_new(
    netsuite: NetSuite, looking: Looking
) -> None:
    told = declared(netsuite)
    assert looking.look(told) == 2500
    assert netsuite.asked == [(0, SINCE), (1000, SINCE), (2000, SINCE)]
    assert looking.overrides() == 2500

    netsuite.notes += [note(number) for number in range(2500, 2520)]
    assert looking.look(told) == 621  # ten minutes once more, and twenty that are new
    assert looking.overrides() == 2520


def test_a_note_that_was_committed_late_is_not_missed(netsuite: NetSuite, looking: Looking) -> None:
    late = netsuite.notes.pop(2300)
    looking.look(declared(netsuite))
    netsuite.notes.insert(2300, late)
    looking.look(declared(netsuite))
    assert looking.overrides() == 2500


def test_what_fails_in_the_middle_goes_on_at_the_page_that_was_not_taken(
    netsuite: NetSuite, looking: Looking
) -> None:
    looking.fail_after = 1
    with pytest.raises(Busy, match="away"):
        looking.look(declared(netsuite))
    assert looking.overrides() == 1000
    looking.fail_after = None
    assert looking.look(declared(netsuite)) == 1500
    assert looking.overrides() == 2500
    assert [offset for offset, _ in netsuite.asked] == [0, 1000, 1000, 2000]


@pytest.mark.parametrize(("status", "seconds"), [(429, 7), (503, 60)])
def test_a_busy_account_is_asked_again_when_it_says(
    netsuite: NetSuite, looking: Looking, status: int, seconds: int
) -> None:
    netsuite.failing = [status]
    netsuite.notes = netsuite.notes[:5]
    with pytest.raises(Busy) as caught:
        looking.look(declared(netsuite))
    assert caught.value.retry_after == seconds
    assert looking.look(declared(netsuite)) == 5


def test_an_expired_token_is_told_with_the_remedy_and_not_shown(
    netsuite: NetSuite, looking: Looking
) -> None:
    with pytest.raises(Rejected, match="401") as caught:
        looking.look(declared(netsuite, token="env:OLD"))
    assert "Renew the token" in caught.value.remedy
    assert "expired" not in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        {"token": "by-value"},
        {"account": ""},
        {"account": "file:///etc/passwd"},
        {"account": "http://169.254.169.254"},
        {"since": "yesterday"},
        {"record_type": "1 OR 1=1"},
    ],
)
def test_a_declaration_that_cannot_be_asked_with_is_told_so(
    netsuite: NetSuite, looking: Looking, options: dict[str, str]
) -> None:
    with pytest.raises(Rejected) as caught:
        looking.look(declared(netsuite, **options))
    assert caught.value.remedy


def test_an_account_that_does_not_answer_is_asked_again(
    netsuite: NetSuite, looking: Looking
) -> None:
    netsuite.shutdown()
    netsuite.server_close()
    with pytest.raises(Busy):
        looking.look(declared(netsuite))
    assert looking.store.work.get(KIND, "erp") is None


def test_two_processes_do_not_read_at_a_time(netsuite: NetSuite, looking: Looking) -> None:
    netsuite.notes = []
    looking.look(declared(netsuite))
    with pytest.raises(Busy, match="another process"):
        looking.look(declared(netsuite), holder="other")


def test_only_declared_script_ids_come_into_the_query(netsuite: NetSuite) -> None:
    asked = query(declared(netsuite, record_type="-30"), SINCE)
    assert "IN ('CUSTBODY_SCORE', 'STATUS') AND recordtypeid = -30" in asked
    bad = Declared(name="erp", adapter=ADAPTER, record=Record(prediction="x') OR ('1'='1"))
    with pytest.raises(Rejected):
        query(bad, SINCE)
