"""Puts one run together: sign-in, navigation, shared frame, then the page itself.

Catches a lost session wherever it is noticed and shows the way back in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import httpx
import streamlit as st

from dashboard import answers, frame, looks, states
from dashboard.client import Api, connect
from dashboard.errors import DashboardError, Denied, SignedOut
from dashboard.frame import Frame
from dashboard.views import (
    cases_page,
    decision_page,
    drift_page,
    integrations_page,
    latency_page,
    lineage_page,
    overview_page,
)

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage

Answer = TypeVar("Answer")

ASSETS: Final = Path(__file__).parent / "assets"


@dataclass(frozen=True, slots=True)
class View:
    """One page: `path` is its address, `question` what it answers.

    `lists_models` is whether it has nothing to say to who may not see which models there are.
    """

    path: str
    title: str
    question: str
    render: Callable[[Frame], None]
    lists_models: bool = True


VIEWS: Final = (
    View("overview", "Overview", "Is anything wrong now?", overview_page.render),
    View(
        "integrations",
        "Integrations",
        "Who logs, and is anything missing?",
        integrations_page.render,
        lists_models=False,
    ),
    View("drift", "Drift", "Which columns moved, and does it matter?", drift_page.render),
    View(
        "latency",
        "Latency",
        "Are we inside the objective; if not, who is slow?",
        latency_page.render,
    ),
    View(
        "decision",
        "Decision",
        "Can it be proved what happened?",
        decision_page.render,
        lists_models=False,
    ),
    View("lineage", "Lineage", "What produced this, what depends on it?", lineage_page.render),
    View(
        "cases",
        "Alerts & retraining",
        "What needs a person, and what happens next?",
        cases_page.render,
    ),
)


@st.cache_resource
def _pool(address: str) -> httpx.Client:
    return connect(address)


def show(
    address: str,
    token: str | None,
    *,
    home: str = "overview",
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> None:
    """Render the application for the holder of `token`; `home` is the page that opens at `/`."""
    st.set_page_config(
        page_title="Model Witness", page_icon=str(ASSETS / "icon.png"), layout="wide"
    )
    st.html(ASSETS / "pages.css")
    st.logo(str(ASSETS / "mark.svg"), size="medium")
    api = Api(_pool(address), token)
    pages: dict[str, StreamlitPage] = {}
    for view in VIEWS:
        pages[view.path] = st.Page(
            _runner(view, api, address, pages, clock),
            title=view.title,
            url_path=view.path,
            default=view.path == home,
        )
    st.navigation(list(pages.values()), position="top").run()


def _runner(
    view: View,
    api: Api,
    address: str,
    pages: dict[str, StreamlitPage],
    clock: Callable[[], datetime],
) -> Callable[[], None]:
    def run() -> None:
        try:
            _page(view, api, address, pages, clock())
        except SignedOut as refusal:
            _way_in(refusal)

    return run


def _page(
    view: View, api: Api, address: str, pages: dict[str, StreamlitPage], now: datetime
) -> None:
    frame.carry_filters(view.path)
    me = states.asked("Your account", api.me)
    if me is None:
        return
    log = _or_default("Ledger", api.log, answers.Log())
    models, integrations, refusal = _known(api)
    stopped = refusal if view.lists_models else None
    span = frame.span_of(models, now)
    with st.container(key="head", horizontal=True, vertical_alignment="top"):
        with st.container(key="head-title"):
            frame.title(view.title, view.question, frame.freshness(log, models, span, now))
        with st.container(key="head-tools", horizontal=True, width="content", gap="small"):
            share = st.popover(
                "Share", icon=":material/link:", key="share", disabled=stopped is not None
            )
            with st.popover(me.actor, icon=":material/account_circle:", key="account"):
                _account(me)
    if stopped is not None:
        states.denied(view.title, stopped)
        return
    frame.filter_bar(models, integrations, span)
    frame.keep_filters(view.path)
    current = Frame(api, address, me, log, models, integrations, span, now, pages)
    with share:
        st.caption("This view with its range pinned. Whoever opens it signs in as themselves.")
        more = {name: st.query_params[name] for name in st.query_params if name not in frame.SHARED}
        path = "" if view.path == VIEWS[0].path else view.path
        st.code(frame.share_address(current, path, **more), language=None, wrap_lines=True)
    view.render(current)


def _known(
    api: Api,
) -> tuple[tuple[answers.ModelSeen, ...], tuple[answers.IntegrationSeen, ...], Denied | None]:
    """Models and integrations, or why this person may not know of any."""
    try:
        seen = states.asked("Models", api.models, denied_ok=True)
    except Denied as refusal:
        return (), (), refusal
    integrations = _or_default(
        "Integrations", api.integrations, answers.Listing[answers.IntegrationSeen]()
    )
    return seen.items if seen else (), integrations.items, None


def _or_default(panel: str, ask: Callable[[], Answer], default: Answer) -> Answer:
    """A part of the frame that the page can do without."""
    answer = states.asked(panel, ask)
    return default if answer is None else answer


def _account(me: answers.Me) -> None:
    st.html(
        looks.pairs(
            [
                ("signed in as", me.actor),
                ("roles", ", ".join(me.roles) or "none"),
                *([("integration", me.integration)] if me.integration else []),
            ]
        )
        + looks.links(looks.link("signout", "Sign out"))
    )


def _way_in(refusal: DashboardError) -> None:
    st.html(
        '<div class="mw-empty"><h1>Sign in</h1><p>Open the address with a one-time code that '
        "<code>modelwitness up</code> or <code>modelwitness signin NAME</code> printed, or "
        f"{looks.link('signin', 'paste the code').html}.</p>"
        f'<p class="mw-quiet">{looks.place(refusal.message)}</p></div>'
    )
