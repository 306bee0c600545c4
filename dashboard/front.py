"""The one HTML document that every page starts from, and its icon.

Streamlit's own index page, changed in three ways: it says at once where the server is, where
Streamlit would first ask two addresses that do not exist on every deep link; it carries our name
and icon from the first moment; and it does not offer the agent API, which is off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

ASSETS: Final = Path(__file__).parent / "assets"
TITLE: Final = "Model Witness"

_WHERE: Final = '<script>window.__streamlit = { BACKEND_BASE_URL: location.origin + "/" }</script>'
_CHANGES: Final = (
    (re.compile(r"<!--.*?-->\s*", re.DOTALL), ""),
    (re.compile(r"<title>.*?</title>"), f"<title>{TITLE}</title>{_WHERE}"),
    (re.compile(r'<link rel="service-desc"[^>]*>\s*'), ""),
    (
        re.compile(r"<noscript>.*?</noscript>", re.DOTALL),
        "<noscript>These pages need JavaScript. Everything they show is also in the HTTP API, "
        "described at /schema/openapi.json of the server.</noscript>",
    ),
)


def document(index_page: Path) -> str:
    """The HTML text, from the index page that Streamlit ships."""
    text = index_page.read_text(encoding="utf-8")
    for pattern, replacement in _CHANGES:
        text = pattern.sub(replacement, text)
    return text


def routes(page: str, paths: Iterable[str]) -> list[Route]:
    """Serve the document at the address of every page, the first at `/`, and the icon."""

    async def index(_: Request) -> Response:
        return HTMLResponse(page, headers={"Cache-Control": "no-cache"})

    async def icon(_: Request) -> Response:
        return FileResponse(ASSETS / "icon.png")

    async def home(request: Request) -> Response:
        query = f"?{request.url.query}" if request.url.query else ""
        return RedirectResponse(f"./{query}", status_code=307)

    first, *others = paths
    return [
        Route("/favicon.png", icon),
        Route("/", index),
        # The first page lives at the root; its own name leads there.
        Route(f"/{first}", home),
        *(Route(f"/{path}", index) for path in others),
    ]
