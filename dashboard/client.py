"""The API as the pages see it: one method per route, asked as the signed-in person.

Decides how failures are told apart (`errors`) and hides HTTP and JSON. It never retries by itself:
a page shows the failure with its request id and a Retry button, so that people see what happens.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from dashboard import answers, connected, judged
from dashboard.errors import Denied, Garbled, Missing, Refused, SignedOut, Unreachable

TIMEOUT: Final = httpx.Timeout(10.0, connect=2.0)
DRAWING: Final = httpx.Timeout(90.0, connect=2.0)
REQUEST_ID: Final = "X-Request-Id"

Answer = TypeVar("Answer")
Filters = Mapping[str, str | int | float | None]

_REFUSALS: Final[dict[int, type[Refused]]] = {401: SignedOut, 403: Denied, 404: Missing}


def connect(address: str) -> httpx.Client:
    """A pool of connections to the API. No proxy from the environment sees the bearer tokens."""
    return httpx.Client(base_url=address, timeout=TIMEOUT, trust_env=False)


class Api:
    """Reads and acts as one person. Every method raises a `DashboardError` when it fails."""

    def __init__(self, http: httpx.Client, token: str | None) -> None:
        self._http = http
        self._token = token

    # who, and what there is

    def me(self) -> answers.Me:
        return self._get("/v1/me", answers.Me)

    def log(self) -> answers.Log:
        return self._get("/v1/log", answers.Log)

    def models(self) -> answers.Listing[answers.ModelSeen]:
        return self._get("/v1/models", answers.Listing[answers.ModelSeen])

    def integrations(self) -> answers.Listing[answers.IntegrationSeen]:
        return self._get("/v1/integrations", answers.Listing[answers.IntegrationSeen])

    def gaps(self, integration: str) -> connected.Gaps:
        """Which numbers of its producers are missing."""
        return self._get(f"/v1/integrations/{quote(integration, safe='')}/gaps", connected.Gaps)

    def counts(self, integration: str) -> connected.Counts:
        """What its producers reported beside what is there."""
        return self._get(f"/v1/integrations/{quote(integration, safe='')}/counts", connected.Counts)

    def quarantine(self) -> answers.Listing[connected.Kept]:
        """The oldest of what was refused and is kept."""
        return self._get("/v1/quarantine", answers.Listing[connected.Kept], {"limit": 200})

    def replay(self, id: str) -> connected.Replayed:
        """Take what was refused once more; what is accepted leaves quarantine."""
        return self._post(f"/v1/quarantine/{id}/replay", connected.Replayed, {})

    def discard(self, id: str, reason: str) -> None:
        """Give up what was refused, with the person's reason."""
        self._ask("POST", f"/v1/quarantine/{id}/discard", body={"reason": reason})

    # counts and times

    def overview(self, span: Filters) -> answers.Overview:
        return self._get("/v1/overview", answers.Overview, span)

    def rollups(self, query: Filters) -> answers.Listing[answers.Rollup]:
        return self._get("/v1/rollups", answers.Listing[answers.Rollup], query)

    def latency(self, query: Filters) -> answers.Latency:
        return self._get("/v1/latency", answers.Latency, query)

    # drift, alerts, cases

    def drift(self, query: Filters) -> answers.Listing[judged.Measured]:
        return self._get("/v1/drift", answers.Listing[judged.Measured], query)

    def report_ticket(self, index: int) -> str:
        """A ticket that opens the report of one judged window once, within a minute."""
        return self._post(f"/v1/drift/{index}/ticket", answers.Ticket, {}).ticket

    def report(self, ticket: str) -> bytes:
        """The report as HTML. The API draws it on demand, which can take a while."""
        return self._ask("GET", f"/reports/{ticket}", timeout=DRAWING).content

    def alerts(self, state: str | None = None) -> answers.Listing[judged.Alert]:
        return self._get("/v1/alerts", answers.Listing[judged.Alert], {"state": state})

    def acknowledge_alert(self, alert: str, reason: str) -> None:
        self._ask("POST", f"/v1/alerts/{alert}/acknowledge", body={"reason": reason})

    def cases(self) -> answers.Listing[judged.Case]:
        return self._get("/v1/cases", answers.Listing[judged.Case])

    def case(self, case: str) -> judged.Case:
        return self._get(f"/v1/cases/{case}", judged.Case)

    def decide_case(self, case: str, decision: str, reason: str) -> None:
        """Approve or reject (`decision`) a proposed retraining, with the person's reason."""
        self._ask("POST", f"/v1/cases/{case}/{decision}", body={"reason": reason})

    # one decision, and what it is connected to

    def search(self, query: Mapping[str, Any]) -> answers.Found:
        """What `query` selects. Its ids travel in the body, never in an address."""
        body = {name: value for name, value in query.items() if value is not None}
        return self._post("/v1/search", answers.Found, body)

    def trace(self, index: int) -> answers.Trace:
        """Everything about one entry. The API records this as an access before it answers."""
        return self._get(f"/v1/entries/{index}/trace", answers.Trace)

    def entry(self, index: int) -> answers.Entry:
        """The body of one entry. Recorded as an access, like a trace."""
        return self._get(f"/v1/entries/{index}", answers.Entry)

    def lineage(self, query: Filters) -> answers.Lineage:
        return self._get("/v1/lineage", answers.Lineage, query)

    # signing in

    def sign_in(self, code: str) -> answers.SignIn:
        """Exchange a one-time code for a session token; the code works once."""
        return self._post("/v1/signin", answers.SignIn, {"code": code})

    def sign_out(self) -> None:
        """End the session at the API, so that its token opens nothing wherever else it is."""
        self._ask("POST", "/v1/signout")

    # transport

    def _get(self, path: str, shape: type[Answer], query: Filters | None = None) -> Answer:
        return self._read(self._ask("GET", path, query=query), shape)

    def _post(self, path: str, shape: type[Answer], body: Mapping[str, Any]) -> Answer:
        return self._read(self._ask("POST", path, body=body), shape)

    def _ask(
        self,
        method: str,
        path: str,
        *,
        query: Filters | None = None,
        body: Mapping[str, Any] | None = None,
        timeout: httpx.Timeout = TIMEOUT,
    ) -> httpx.Response:
        headers = {REQUEST_ID: uuid.uuid4().hex[:12]}
        if self._token:
            headers["Authorization"] = f"Bearer {self._token}"
        params = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            response = self._http.request(
                method, path, params=params, json=body, headers=headers, timeout=timeout
            )
        except httpx.HTTPError as failure:
            raise Unreachable(
                f"The API did not answer ({type(failure).__name__}).", headers[REQUEST_ID]
            ) from failure
        if response.is_success:
            return response
        raise _refusal(response, headers[REQUEST_ID])

    @staticmethod
    def _read(response: httpx.Response, shape: type[Answer]) -> Answer:
        try:
            return msgspec.json.decode(response.content, type=shape)
        except msgspec.DecodeError as failure:
            raise Garbled(
                f"The API's answer does not have the expected shape: {failure}",
                _request_id(response, response.request.headers[REQUEST_ID]),
            ) from failure


def _refusal(response: httpx.Response, sent: str) -> Refused:
    try:
        problem = msgspec.json.decode(response.content, type=answers.Problem)
    except msgspec.DecodeError:
        problem = answers.Problem(title=response.reason_phrase)
    kind = _REFUSALS.get(response.status_code, Refused)
    return kind(
        response.status_code,
        problem.detail or problem.title or f"The API answered {response.status_code}.",
        problem.remedy,
        problem.instance.removeprefix("urn:uuid:") or _request_id(response, sent),
        problem.title,
    )


def _request_id(response: httpx.Response, sent: str) -> str:
    return str(response.headers.get(REQUEST_ID, sent))
