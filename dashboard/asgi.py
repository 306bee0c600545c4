"""The dashboard as one ASGI application: Streamlit's pages, our routes, our headers.

Composes `st.App` ourselves instead of `streamlit run`, which would put this folder first on
`sys.path`, where a file named like a dependency would replace it.
"""

from __future__ import annotations

from pathlib import Path

import streamlit
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from streamlit.starlette import App
from streamlit.web.bootstrap import load_config_options

from dashboard import front, options
from dashboard.client import connect
from dashboard.doors import Doors, cookie_of
from dashboard.guard import Guard, policy
from dashboard.paths import PATHS

_SCRIPT = Path(__file__).parent / "app.py"
_INDEX_PAGE = Path(streamlit.__file__).parent / "static" / "index.html"


def build(api: str, host: str, port: int, allowed_hosts: tuple[str, ...]) -> App:
    """The application for one API address; applies Streamlit's settings to this process."""
    load_config_options(options.flags(host, port, allowed_hosts))
    page = front.document(_INDEX_PAGE)
    cookie = cookie_of(port)
    return App(
        _SCRIPT,
        secrets={"modelwitness": {"api": api, "cookie": cookie}},
        routes=[*Doors(connect(api), cookie).routes(), *front.routes(page, PATHS)],
        middleware=[
            # Streamlit checks the host of its websocket only; this covers every route.
            Middleware(
                TrustedHostMiddleware, allowed_hosts=list(allowed_hosts), www_redirect=False
            ),
            Middleware(Guard, policy=policy(page)),
        ],
    )
