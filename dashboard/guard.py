"""Response headers of every page: what the browser may load, frame and tell others.

Decides the content security policy. The index page has short inline scripts, which are allowed by
their hash, so no other inline script runs; nothing may be loaded from anywhere else, which also
keeps the pages working without a network. A route that sets a policy of its own keeps it.
"""

from __future__ import annotations

import base64
import hashlib
import re
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_INLINE_SCRIPT: Final = re.compile(r"<script>(.*?)</script>", re.DOTALL)

# The report of Evidently runs scripts of its own. The sandbox gives it an origin of its own, so
# that it can neither read this page nor its cookie, and `default-src 'none'` stops it from sending.
SANDBOX: Final = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)

# The page that stands where a report will be: markup and its style, nothing else.
WAITING: Final = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"

STEADY: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}


def policy(page: str) -> str:
    """The content security policy for the pages, which all are this one HTML text."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in _INLINE_SCRIPT.findall(page)
    )
    return (
        f"default-src 'self'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
        "worker-src 'self' blob:; frame-src 'self'; frame-ancestors 'self'; "
        "object-src 'none'; base-uri 'self'; form-action 'self'"
    )


class Guard:
    """ASGI middleware that adds the headers to every HTTP response."""

    def __init__(self, app: ASGIApp, policy: str) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", self._policy)
                for name, value in STEADY.items():
                    headers.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, guarded)
