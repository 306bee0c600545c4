"""A stand-in for the HTTP API with canned answers, for states that a real one shows rarely.

`python -m tests.dashboard.fake_api 8600` serves it for work on the pages. Tests change `answers`
to make a route fail, refuse or be empty; the browser tests of the main path use the real API.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.dashboard import canned, canned_decision, canned_drift, canned_integrations
from tests.dashboard.canned import CODE, TOKEN, Query, Reply, problem

REPORT = """<!doctype html><title>Report</title><body style="font:16px system-ui;padding:1rem">
<h1>Drift report</h1><p id="said">not run</p><script>
let cookie;
try { cookie = document.cookie } catch (e) { cookie = 'blocked' }
let parent_;
try { parent_ = window.parent.document.title } catch (e) { parent_ = 'blocked' }
document.getElementById('said').textContent = `script ran, cookie ${cookie}, parent ${parent_}`;
</script>"""


class FakeApi:
    """Serves on a free loopback port; use as a context manager. `answers` maps path → function."""

    def __init__(self, port: int = 0) -> None:
        self.answers: dict[str, Callable[[Query], Reply]] = {
            "/v1/me": canned.me,
            "/v1/signout": lambda _: (200, {"actor": "ada@example.org"}),
            "/v1/log": canned.log,
            "/v1/models": canned.models,
            "/v1/integrations": canned.integrations,
            "/v1/overview": canned.overview,
            "/v1/rollups": canned.rollups,
            "/v1/latency": canned.latency,
            "/v1/drift": canned_drift.drift,
            "/v1/search": canned_decision.search,
            "/v1/lineage": canned_decision.lineage,
            "/v1/alerts": canned_drift.alerts,
            "/v1/cases": canned_drift.cases,
        }
        self.answers["trace"] = lambda query: canned_decision.trace(int(query["index"]))
        self.answers["ticket"] = self._ticket
        self.answers["act"] = lambda _: (200, {})
        self.answers["gaps"] = canned_integrations.gaps
        self.answers["counts"] = canned_integrations.counts
        self.answers["replay"] = lambda _: (200, {"accepted": 12, "duplicates": 0, "rejected": []})
        self.answers["/v1/quarantine"] = canned_integrations.quarantine
        self.asked: list[tuple[str, str, Query, str]] = []
        self.codes = {CODE}
        self._tickets: set[str] = set()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    def __enter__(self) -> FakeApi:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def serve_forever(self) -> None:
        self._server.serve_forever()

    def reply(self, method: str, path: str, query: Query, token: str) -> Reply | str:
        self.asked.append((method, path, query, token))
        if path == "/v1/signin":
            return self._sign_in(query)
        if path.startswith("/reports/"):
            known = path.rsplit("/", 1)[1] in self._tickets
            self._tickets.clear()
            return REPORT if known else problem(404, "Not found", "used or expired ticket")
        if token != TOKEN:
            return problem(401, "Not signed in", "No valid token came with the request.")
        return self._answer(path, query)

    def _sign_in(self, query: Query) -> Reply:
        if query.get("code") not in self.codes:
            return problem(401, "Not signed in", "the sign-in code is unknown, used or expired")
        self.codes.discard(query["code"])
        return 200, {"token": TOKEN, "actor": "ada@example.org", "roles": ["ops"]}

    def _ticket(self, _: Query) -> Reply:
        self._tickets.add("t1")
        return 200, {"ticket": "t1"}

    def _answer(self, path: str, query: Query) -> Reply:
        parts = path.strip("/").split("/")
        name = "act" if parts[-1] in {"approve", "reject", "acknowledge", "discard"} else parts[-1]
        answer = self.answers.get(path) or self.answers.get(name)
        if answer is None:
            return problem(404, "Not found", "there is no such route or item")
        return answer(query | {"index": parts[2]} if name == "trace" else query)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self._answer(
                    {
                        name: values[0]
                        for name, values in parse_qs(urlsplit(self.path).query).items()
                    }
                )

            def do_POST(self) -> None:
                self._answer(
                    json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
                )

            def _answer(self, query: Query) -> None:
                token = self.headers.get("Authorization", "").removeprefix("Bearer ")
                reply = fake.reply(self.command, urlsplit(self.path).path, query, token)
                if isinstance(reply, str):
                    status, body, kind = 200, reply.encode(), "text/html"
                else:
                    status, body, kind = reply[0], json.dumps(reply[1]).encode(), "application/json"
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Say nothing: a test reads `asked` instead."""

        return Handler


if __name__ == "__main__":
    FakeApi(int(sys.argv[1])).serve_forever()
