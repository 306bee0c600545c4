"""Routes beside the pages: sign in, sign out, and the report of a judged window.

A one-time code is exchanged at the API for a session token, which lives in a cookie that no script
can read and no other site can send. Reports pass through here rather than being framed from the
API's address: browsers then need to reach the dashboard only, `frame-src` stays `'self'`, and the
sandbox policy is set here too, so that a report can never run with the rights of these pages even
if something between here and the API drops the header.
"""

from __future__ import annotations

import html
from pathlib import Path
from typing import Final

import httpx
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from dashboard.client import Api
from dashboard.errors import DashboardError, Refused, SignedOut
from dashboard.guard import SANDBOX, WAITING

SESSION_SECONDS: Final = 12 * 3600

_PAGE: Final = Path(__file__).parent / "assets" / "door.html"
_DRAWING: Final = Path(__file__).parent / "assets" / "drawing.html"


def cookie_of(port: int) -> str:
    """Name of the session's cookie: browsers share cookies between the ports of one host, and two
    installations there must not sign each other out."""
    return f"modelwitness_session_{port}"


class Doors:
    """Holds the connection pool that the routes use; `cookie` is the name of the session's."""

    def __init__(self, http: httpx.Client, cookie: str) -> None:
        self._http = http
        self._cookie = cookie
        self._drawing = _DRAWING.read_text(encoding="utf-8")
        self._page = _PAGE.read_text(encoding="utf-8")

    def routes(self) -> list[Route]:
        return [
            Route("/signin", self.sign_in, methods=["GET", "POST"]),
            Route("/signout", self.sign_out, methods=["GET"]),
            Route("/report/{index:int}", self.drawing, methods=["GET"]),
            Route("/report/{index:int}/drawn", self.report, methods=["GET"]),
        ]

    async def sign_in(self, request: Request) -> Response:
        """`?code=…` (or the same as a form) signs in; without a code the form is shown."""
        if request.method == "HEAD":  # link previews ask so, and must not use up the code
            return Response()
        if request.method == "POST":
            code = str((await request.form()).get("code", "")).strip()
        else:
            code = request.query_params.get("code", "").strip()
        if not code:
            return self._door("")
        try:
            signed_in = await run_in_threadpool(Api(self._http, None).sign_in, code)
        except Refused as refusal:
            if refusal.status >= 500:
                return self._door(refusal.message, status=502)
            return self._door(
                "This code is unknown, used or older than ten minutes. On the server's machine, "
                "`modelwitness signin NAME` prints a new one.",
                status=401,
            )
        except DashboardError as failure:
            return self._door(f"{failure.message} Is `modelwitness serve` running?", status=502)
        # 303 takes the code out of the address bar and of the history.
        response = RedirectResponse("./", status_code=303, headers={"Cache-Control": "no-store"})
        response.set_cookie(
            self._cookie,
            signed_in.token,
            max_age=SESSION_SECONDS,
            path="/",
            secure=request.url.scheme == "https",
            httponly=True,
            samesite="strict",
        )
        return response

    async def sign_out(self, request: Request) -> Response:
        """End the session at the API and forget it. Other sites cannot sign a person out."""
        if request.headers.get("sec-fetch-site") == "cross-site":
            return self._door("Sign out from the dashboard itself.", status=403)
        told = "You are signed out."
        token = request.cookies.get(self._cookie)
        if token:
            try:
                await run_in_threadpool(Api(self._http, token).sign_out)
            except SignedOut:
                pass  # it had ended already
            except DashboardError:
                told = (
                    "This browser is signed out, but the server could not be told: the session "
                    "ends by itself twelve hours after it began."
                )
        response = self._door(told)
        response.delete_cookie(self._cookie, path="/", httponly=True, samesite="strict")
        return response

    async def drawing(self, request: Request) -> Response:
        """Says at once that the report is being drawn, which takes seconds, and asks for it.

        A page without scripts, and not in the sandbox: what a sandbox asks for comes from nowhere,
        and the browser would not send the cookie with it.
        """
        if self._cookie not in request.cookies:
            return self._note("Sign in to open this report.", 401, {"Cache-Control": "no-store"})
        headers = {"Content-Security-Policy": WAITING, "Cache-Control": "no-store"}
        page = self._drawing.replace("{{index}}", str(request.path_params["index"]))
        return HTMLResponse(page, headers=headers)

    async def report(self, request: Request) -> Response:
        """The report of one judged window, in a sandbox; the API records who opened it."""
        api = Api(self._http, request.cookies.get(self._cookie))
        headers = {"Content-Security-Policy": SANDBOX, "Cache-Control": "no-store"}
        try:
            ticket = await run_in_threadpool(api.report_ticket, request.path_params["index"])
            report = await run_in_threadpool(api.report, ticket)
        except SignedOut:
            return self._note("Sign in to open this report.", 401, headers)
        except DashboardError as failure:
            status = failure.status if isinstance(failure, Refused) else 502
            told = f"{failure.message} Request {failure.request_id}."
            return self._note(told, status, headers)
        return HTMLResponse(report, headers=headers)

    def _door(self, message: str, status: int = 200) -> HTMLResponse:
        page = self._page.replace("{{message}}", html.escape(message))
        return HTMLResponse(page, status_code=status, headers={"Cache-Control": "no-store"})

    @staticmethod
    def _note(message: str, status: int, headers: dict[str, str]) -> HTMLResponse:
        body = (
            "<!doctype html><meta charset=utf-8><title>Report</title>"
            "<body style='font:15px system-ui;color:#14171a;background:#fff;padding:2rem'>"
            f"<p>{html.escape(message)}</p>"
        )
        return HTMLResponse(body, status_code=status, headers=headers)
