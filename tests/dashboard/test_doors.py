"""Sign-in, sign-out, reports and headers, over the routes and middleware that are deployed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import streamlit
from starlette.applications import Starlette
from starlette.middleware import Middleware

from dashboard import front
from dashboard.client import connect
from dashboard.doors import Doors, cookie_of
from dashboard.guard import Guard, policy
from dashboard.paths import PATHS
from dashboard.shell import VIEWS
from tests.dashboard.canned import CODE, TOKEN, problem
from tests.dashboard.fake_api import FakeApi

COOKIE = cookie_of(8601)
INDEX_PAGE = Path(streamlit.__file__).parent / "static" / "index.html"


class Visitor:
    """Asks the application as a browser that follows no redirect; keeps no cookie by itself."""

    def __init__(self, app: Starlette) -> None:
        self.scheme = "http"
        self.cookies: dict[str, str] = {}
        self._app = app

    def ask(self, method: str, path: str, **how: Any) -> httpx.Response:
        async def asked() -> httpx.Response:
            transport = httpx.ASGITransport(self._app)
            base = f"{self.scheme}://127.0.0.1"
            async with httpx.AsyncClient(
                transport=transport, base_url=base, cookies=self.cookies
            ) as client:
                return await client.request(method, path, **how)

        return asyncio.run(asked())

    def get(self, path: str, **how: Any) -> httpx.Response:
        return self.ask("GET", path, **how)


@pytest.fixture
def doors(api: FakeApi) -> Iterator[Visitor]:
    page = front.document(INDEX_PAGE)
    with connect(api.address) as http:
        app = Starlette(
            routes=[*Doors(http, COOKIE).routes(), *front.routes(page, PATHS)],
            middleware=[Middleware(Guard, policy=policy(page))],
        )
        yield Visitor(app)


def test_a_code_becomes_a_cookie_that_scripts_and_other_sites_cannot_use(
    doors: Visitor,
) -> None:
    answer = doors.get("/signin", params={"code": CODE})
    assert answer.status_code == 303
    assert answer.headers["location"] == "./"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["referrer-policy"] == "no-referrer"
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith(f"{COOKIE}={TOKEN};")
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie  # loopback without TLS


def test_behind_tls_the_cookie_is_secure(doors: Visitor) -> None:
    doors.scheme = "https"
    answer = doors.get("/signin", params={"code": CODE})
    assert "Secure" in answer.headers["set-cookie"]


def test_a_code_works_once(doors: Visitor) -> None:
    doors.get("/signin", params={"code": CODE})
    again = doors.get("/signin", params={"code": CODE})
    assert again.status_code == 401
    assert "unknown, used or older" in again.text
    assert "set-cookie" not in again.headers


def test_a_link_preview_does_not_use_up_the_code(doors: Visitor, api: FakeApi) -> None:
    doors.ask("HEAD", "/signin", params={"code": CODE})
    assert not api.asked
    assert doors.get("/signin", params={"code": CODE}).status_code == 303


def test_without_a_code_there_is_a_form_and_it_works(doors: Visitor) -> None:
    form = doors.get("/signin")
    assert form.status_code == 200
    assert 'name="code"' in form.text
    assert doors.ask("POST", "/signin", data={"code": f" {CODE} "}).status_code == 303


def test_when_the_api_is_down_the_form_says_so() -> None:
    with connect("http://127.0.0.1:9") as http:
        visitor = Visitor(Starlette(routes=[*Doors(http, COOKIE).routes()]))
        answer = visitor.get("/signin", params={"code": CODE})
    assert answer.status_code == 502
    assert "modelwitness serve" in answer.text


def test_signing_out_ends_the_session_at_the_api_and_forgets_the_cookie(
    doors: Visitor, api: FakeApi
) -> None:
    doors.cookies[COOKIE] = TOKEN
    answer = doors.get("/signout")
    assert "You are signed out." in answer.text
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert answer.headers["set-cookie"].startswith(f"{COOKIE}=")
    assert [(method, path, token) for method, path, _, token in api.asked] == [
        ("POST", "/v1/signout", TOKEN)
    ]


def test_signing_out_without_a_session_asks_nobody(doors: Visitor, api: FakeApi) -> None:
    assert "You are signed out." in doors.get("/signout").text
    assert not api.asked


def test_a_session_that_could_not_be_ended_is_not_called_ended(
    doors: Visitor, api: FakeApi
) -> None:
    api.answers["/v1/signout"] = lambda _: problem(503, "Busy", "try again")
    doors.cookies[COOKIE] = TOKEN
    answer = doors.get("/signout")
    assert "the server could not be told" in answer.text
    assert "Max-Age=0" in answer.headers["set-cookie"]


def test_a_session_that_had_ended_already_is_signed_out(doors: Visitor) -> None:
    doors.cookies[COOKIE] = "mw_ended"
    assert "You are signed out." in doors.get("/signout").text


def test_two_dashboards_of_one_host_have_cookies_of_their_own() -> None:
    """A browser sends the cookies of one port to every port of the host."""
    assert cookie_of(8601) != cookie_of(8701)


def test_another_site_cannot_sign_a_person_out(doors: Visitor) -> None:
    answer = doors.get("/signout", headers={"Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_report_is_served_in_a_sandbox(doors: Visitor) -> None:
    doors.cookies[COOKIE] = TOKEN
    answer = doors.get("/report/20000/drawn")
    assert answer.status_code == 200
    assert "Drift report" in answer.text
    csp = answer.headers["content-security-policy"]
    assert csp.startswith("sandbox allow-scripts; default-src 'none'")
    assert "allow-same-origin" not in csp


def test_a_report_is_said_to_be_drawn_before_it_is(doors: Visitor, api: FakeApi) -> None:
    """Drawing takes seconds, in which the frame would be blank."""
    doors.cookies[COOKIE] = TOKEN
    answer = doors.get("/report/20000")
    assert answer.status_code == 200
    assert "Drawing the report" in answer.text
    assert 'http-equiv="refresh" content="0; url=20000/drawn"' in answer.text
    assert "<script" not in answer.text
    csp = answer.headers["content-security-policy"]
    assert csp.startswith("default-src 'none'")
    assert (
        "sandbox" not in csp
    )  # from a sandbox, the browser would send no cookie with what follows
    assert not api.asked


def test_nothing_is_said_to_be_drawn_for_a_stranger(doors: Visitor) -> None:
    answer = doors.get("/report/20000")
    assert answer.status_code == 401
    assert "refresh" not in answer.text


def test_a_report_needs_the_session(doors: Visitor, api: FakeApi) -> None:
    answer = doors.get("/report/20000/drawn")
    assert answer.status_code == 401
    assert answer.headers["content-security-policy"].startswith("sandbox")
    assert not any(path.startswith("/reports/") for _, path, _, _ in api.asked)


def test_a_refused_report_says_why_inside_the_sandbox(doors: Visitor, api: FakeApi) -> None:
    doors.cookies[COOKIE] = TOKEN
    api.answers["ticket"] = lambda _: problem(403, "Not permitted", "needs the role audit")
    answer = doors.get("/report/20000/drawn")
    assert answer.status_code == 403
    assert "needs the role audit" in answer.text


@pytest.mark.parametrize("path", ["/", "/drift", "/decision", "/signin", "/signout"])
def test_every_page_carries_the_headers(path: str, doors: Visitor) -> None:
    headers = doors.get(path).headers
    csp = headers["content-security-policy"]
    assert "default-src 'self'" in csp
    scripts = next(part for part in csp.split("; ") if part.startswith("script-src"))
    assert "unsafe" not in scripts
    assert "http" not in csp
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "SAMEORIGIN"


def test_the_document_names_no_agent_interface_and_no_comments(doors: Visitor) -> None:
    page = doors.get("/").text
    assert "<title>Model Witness</title>" in page
    assert "_stcore/agent" not in page
    assert "BACKEND_BASE_URL" in page


def test_every_page_has_an_address_that_the_server_knows() -> None:
    assert tuple(view.path for view in VIEWS) == PATHS
