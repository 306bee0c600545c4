"""A real system with a small story in it, its pages, and a browser that looks at them.

The story: one model, two integrations, five weeks of 240 predictions; from the third week on, one
input moves. So there are judged windows, a confirmed shift, an alert and a case that waits for a
person. Everything is logged over HTTP and judged by the real scheduler.
"""

from __future__ import annotations

import contextlib
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, StorageState, sync_playwright

from audit.clock import system_clock
from collector.integrations.apply import apply_text
from drift.apply import apply_file
from modelwitness import opened, signin_address

ROOT = Path(__file__).resolve().parents[2]
SCREENSHOTS = ROOT / "var" / "screenshots"
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
WEEKS, ROWS = 5, 240
ACTOR = "ada@example.org"
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POLICY = """\
kind: policy
model: risk
owner: lending
reference: {from: 2026-03-02T00:00:00Z, to: 2026-03-09T00:00:00Z, version: "1"}
window: week
lateness: 1h
minimum_rows: 100
columns:
  amount: {kind: numeric}
  region: {kind: categorical}
output: {kind: categorical}
score: {kind: numeric}
rule: {q: 0.01, confirm: {windows: 2, of: 3}, clear: 0.7}
actions:
  alert: true
  retrain:
    {url: "http://127.0.0.1:9/hook", secret: "env:E2E_SECRET", cooldown: 30d, approval: required}
"""


@dataclass(frozen=True, slots=True)
class System:
    """Where the real system listens, and how a person gets in."""

    data: Path
    api: str
    pages: str
    token: str

    def code(self) -> str:
        """A new one-time code for a person who may approve."""
        with opened(self.data) as parts:
            address = signin_address(parts, "127.0.0.1", 0, ACTOR, ["ops", "compliance"])
        return address.rsplit("code=", 1)[1]

    def ask(self, path: str, **params: str) -> Any:
        """The API's answer, without the pages in between."""
        headers = {"Authorization": f"Bearer {self.token}"}
        with httpx.Client(base_url=self.api, headers=headers, trust_env=False) as client:
            answer = client.get(path, params=params)
        answer.raise_for_status()
        return answer.json()


@contextlib.contextmanager
def running(*arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A command of ours as a process, ended with the block."""
    environment = {**os.environ, "E2E_SECRET": "whsec_" + "c2VjcmV0" * 4}
    environment["MODELWITNESS_DRIFT_TICK"] = "0.5"
    process = subprocess.Popen(
        [sys.executable, *arguments], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until(told: str, happened: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 180
    while not happened():
        assert process.poll() is None, f"the process ended before {told}"
        assert time.monotonic() < deadline, f"not within three minutes: {told}"
        time.sleep(0.1)


def answers(address: str) -> bool:
    try:
        return httpx.get(address, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def prediction(number: int, chance: random.Random) -> dict[str, Any]:
    week, row = divmod(number, ROWS)
    at = MONDAY + timedelta(weeks=week, minutes=row * 41)
    amount = chance.gauss(100 + (0, 2, 45, 50, 48)[week], 15)
    score = min(0.99, max(0.01, amount / 260))
    return {
        "id": f"loan-{number}",
        "time": at.isoformat().replace("+00:00", "Z"),
        "model": {"name": "risk", "version": "1", "lineage": {"training_run": "run-7"}},
        "inputs": {"amount": round(amount, 2), "region": chance.choice(["north", "south", "west"])},
        "output": "refer" if score > 0.5 else "accept",
        "score": round(score, 4),
        "status": "error" if number % 97 == 96 else "ok",
        "latency_ms": {"total": round(chance.lognormvariate(2.6, 0.6), 2)},
        "subject": {"scheme": "customer", "id": f"c-{number % 50}"},
        "explanation": {
            "method": "linear",
            "attributions": [{"feature": "amount", "contribution": round(score - 0.4, 3)}],
        },
    }


def tell(api: str, tokens: Mapping[str, str]) -> None:
    """Log the story as two integrations."""
    chance = random.Random(1)
    rows = [prediction(number, chance) for number in range(WEEKS * ROWS)]
    # One more, late enough that the last week is over.
    rows.append(prediction(0, chance) | {"id": "last", "time": "2026-04-06T12:00:00Z"})
    for place, (name, token) in enumerate(tokens.items()):
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=api, headers=headers, trust_env=False, timeout=30) as client:
            mine = rows[place::2]
            for start in range(0, len(mine), 300):
                answer = client.post("/v1/predictions", json=mine[start : start + 300])
                assert answer.status_code == 200, answer.text
                assert answer.json()["rejected"] == []
            oversight = {
                "id": f"o-{name}",
                "time": "2026-03-02T12:00:00Z",
                "prediction": {"id": mine[0]["id"]},
                "action": "override",
                "reviewer": "sam",
                "simulated": True,
            }
            client.post("/v1/oversight", json=oversight).raise_for_status()


CRM = """\
kind: integration
name: crm
owner: sales-ops
adapter: hubspot
cadence: 1s
credential: {verify: bearer}
"""


def tell_badly(api: str, token: str) -> None:
    """Log as one producer that loses numbers, counts more than came, and sends a wrong item."""
    headers = {"Authorization": f"Bearer {token}"}
    about = {"producer": "kiosk-7", "time": "2026-04-06T12:10:00Z", "outcome": "repaid"}
    outcomes = [
        {"id": f"k-{n}", "sequence": n, "prediction": {"id": f"kiosk-{n}"}, **about}
        for n in (1, 2, 5, 6)
    ]
    report = {
        "id": "kiosk-7/12",
        "time": "2026-04-06T13:00:00Z",
        "producer": "kiosk-7",
        "from": "2026-04-06T12:00:00Z",
        "to": "2026-04-06T13:00:00Z",
        "counts": {"OutcomeObserved": 6},
    }
    with httpx.Client(base_url=api, headers=headers, trust_env=False, timeout=30) as client:
        assert client.post("/v1/outcomes", json=outcomes).json()["accepted"] == 4
        client.post("/v1/counts", json=report).raise_for_status()
        wrong = client.post("/v1/predictions", json=[{"id": "wrong-1"}, {"id": "wrong-2"}])
        assert len(wrong.json()["rejected"]) == 2


@pytest.fixture(scope="session")
def system(
    tmp_path_factory: pytest.TempPathFactory, free_port: Callable[[], int]
) -> Iterator[System]:
    """`serve` and `dashboard` over a judged store; the scheduler has done its work and stopped."""
    data = tmp_path_factory.mktemp("store")
    api_port, pages_port = free_port(), free_port()
    api, pages = f"http://127.0.0.1:{api_port}", f"http://127.0.0.1:{pages_port}"
    policy = data / "policy.yaml"
    policy.write_text(POLICY)
    serve = ("-m", "modelwitness", "serve", "--data", str(data), "--port", str(api_port))
    show = ("-m", "dashboard", "--api", api, "--port", str(pages_port))
    with running(*serve) as serving:
        until("serve is ready", lambda: answers(f"{api}/readyz"), serving)
        with running(*show) as showing:
            with opened(data) as parts:
                tokens = {
                    name: parts.tokens.issue(name, ["integration"], integration=name)
                    for name in ("branch-app", "web-shop")
                }
                watcher = parts.tokens.issue("watcher", ["ops", "compliance"])
                apply_file(parts.store, policy, "watcher")
                store = parts.store
                apply_text(store.ledger, store.documents, CRM, "watcher", clock=system_clock)
            tell(api, tokens)
            tell_badly(api, tokens["web-shop"])
            found = System(data, api, pages, watcher)
            with running("-m", "modelwitness", "schedule", "--data", str(data)) as scheduling:

                def proposed() -> bool:
                    judged = len(found.ask("/v1/drift", model="risk")["items"]) == WEEKS - 1
                    looked = [each["health"] for each in found.ask("/v1/integrations")["items"]]
                    watched = all(each["as_of"] for each in looked)
                    return judged and watched and bool(found.ask("/v1/cases")["items"])

                until("the case is proposed", proposed, scheduling)
            until("the pages are up", lambda: answers(f"{pages}/_stcore/health"), showing)
            yield found


@pytest.fixture(scope="session")
def browser(chromium: Path) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=str(chromium), args=FLAGS)
        yield launched
        launched.close()


@dataclass(slots=True)
class Watched:
    """A page whose console, requests and errors are kept; `said` and `outside` must stay empty."""

    page: Page
    base: str
    said: list[str]
    outside: list[str]

    def open(self, path: str) -> None:
        # Not "load": that waits for every preloaded script, which no test is about.
        self.page.goto(f"{self.base}/{path}", wait_until="commit")
        self.settle()

    def settle(self) -> None:
        """Wait until Streamlit has run and drawn; charts then have their canvas."""
        self.page.wait_for_selector(
            '[data-testid="stApp"][data-test-connection-state="CONNECTED"]'
            '[data-test-script-state="notRunning"]'
        )
        self.page.wait_for_function(
            "() => !document.querySelector('[data-testid=stSkeleton],[data-stale=true]')"
            " && [...document.querySelectorAll('[data-testid=stEChartsChart]')]"
            ".every(chart => chart.querySelector('canvas, svg'))"
        )

    def text(self) -> str:
        return self.page.locator("[data-testid=stMain]").inner_text()


def watched(context: BrowserContext, base: str) -> Watched:
    page = context.new_page()
    page.set_default_timeout(45_000)
    found = Watched(page, base, [], [])

    def request(address: str) -> None:
        if not address.startswith((base, base.replace("http", "ws", 1), "data:", "blob:")):
            found.outside.append(address)

    page.on("request", lambda each: request(each.url))
    page.on("websocket", lambda each: request(each.url))
    page.on("console", lambda each: found.said.append(each.text) if each.type == "error" else None)
    page.on("pageerror", lambda each: found.said.append(str(each)))
    return found


@pytest.fixture(scope="session")
def session(browser: Browser, system: System) -> StorageState:
    """What the browser of a person who signed in keeps."""
    with browser.new_context() as context:
        context.new_page().goto(f"{system.pages}/signin?code={system.code()}")
        return context.storage_state()


def context_of(
    browser: Browser, mode: str = "light", session: StorageState | None = None
) -> BrowserContext:
    return browser.new_context(
        viewport={"width": 390 if mode == "narrow" else 1440, "height": 900},
        color_scheme="dark" if mode == "dark" else "light",
        reduced_motion="reduce",
        timezone_id="Asia/Tokyo",  # times on the pages are UTC wherever the person is
        locale="en-GB",
        storage_state=session,
    )


@pytest.fixture(scope="session", params=["light", "dark", "narrow"])
def visit(
    request: pytest.FixtureRequest, browser: Browser, session: StorageState, system: System
) -> Iterator[tuple[str, Watched]]:
    """A signed-in person, in light, in dark, and on a telephone."""
    mode = str(request.param)
    with context_of(browser, mode, session) as context:
        yield mode, watched(context, system.pages)


@pytest.fixture
def person(browser: Browser, session: StorageState, system: System) -> Iterator[Watched]:
    """A signed-in person with a browser of their own."""
    with context_of(browser, "light", session) as context:
        yield watched(context, system.pages)


@pytest.fixture
def stranger(browser: Browser, system: System) -> Iterator[Watched]:
    """Someone without a session."""
    with context_of(browser) as context:
        yield watched(context, system.pages)
