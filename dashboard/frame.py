"""What all pages share: who is signed in, filters and range in the URL, the freshness stamp.

Filters are widgets bound to query parameters, so every view is an address that can be sent to
someone. A page gets a `Frame` and reads from it; it never touches the URL itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import streamlit as st

from dashboard import answers, looks, states, wording
from dashboard.client import Api, Filters
from dashboard.span import PRESETS, Span, resolve

if TYPE_CHECKING:
    from streamlit.navigation.page import StreamlitPage


# Query parameters that every page has; what else is in the address belongs to one page.
SHARED: Final = frozenset({"model", "version", "integration", "range", "from", "to"})
# How old the newest prediction of a live view may be before its age stands out.
_FRESH: Final = timedelta(minutes=5)
# Bounds of the pickers, which know no zones; their labels say UTC.
_EARLIEST = datetime(1990, 1, 1, tzinfo=UTC).replace(tzinfo=None)
_LATEST = datetime(2100, 1, 1, tzinfo=UTC).replace(tzinfo=None)


@dataclass(frozen=True, slots=True)
class Frame:
    """One run of one page, as one person, over one range."""

    api: Api
    address: str
    me: answers.Me
    log: answers.Log
    models: tuple[answers.ModelSeen, ...]
    integrations: tuple[answers.IntegrationSeen, ...]
    span: Span
    now: datetime
    pages: dict[str, StreamlitPage]

    @property
    def model(self) -> str | None:
        return chosen("model")

    @property
    def version(self) -> str | None:
        return chosen("version")

    @property
    def integration(self) -> str | None:
        return chosen("integration")

    @property
    def filters(self) -> dict[str, str | None]:
        return {"model": self.model, "version": self.version, "integration": self.integration}

    @property
    def query(self) -> Filters:
        """Range and filters as the API takes them."""
        return {**self.span.query, **self.filters}

    @property
    def params(self) -> dict[str, str | None]:
        """Range and filters as the pages take them, to carry them over a link."""
        preset = st.session_state.get("range")
        if self.span.preset is None:
            return {**self.filters, **bounds(self.span)}
        return {**self.filters, "range": preset}

    @property
    def model_names(self) -> list[str]:
        return [model.name for model in self.models]

    def empty_ever(self) -> None:
        """What a page shows before anything was logged."""
        states.no_data_ever(self.address, wording.rfc3339(self.now))

    def empty(self) -> None:
        """The right one of the three kinds of empty, for a page that got nothing."""
        if not self.models:
            self.empty_ever()
            return
        filters = {name: value for name, value in self.filters.items() if value}
        elsewhere = states.asked("Overview", lambda: self.api.overview(self.span.query))
        if filters and elsewhere is not None and elsewhere.predictions:
            told = ", ".join(f"{name} {value}" for name, value in filters.items())
            states.no_match(told, clear_filters)
        else:
            states.no_data_in_range(self.span.label, widen)


def chosen(key: str) -> str | None:
    value = st.session_state.get(key)
    return str(value) if value else None


def widen() -> None:
    """Show everything there is."""
    st.session_state["range"] = "all"
    clear_bounds()


def clear_bounds() -> None:
    st.session_state["from"] = None
    st.session_state["to"] = None


def clear_filters() -> None:
    for key in ("model", "version", "integration"):
        st.session_state[key] = None


def carry_filters(page: str) -> None:
    """At the first change of page, filter the next one by the same. Call before filters are drawn.

    Streamlit carries filters itself, but loses sight of those that came with the first address.
    Only the first change needs this: later ones may be steps back, which the address decides.
    """
    first, kept = st.session_state.get("first", (page, {}))
    if first in {page, ""}:
        return
    for key, value in sorted(kept.items()):
        if key not in st.query_params:
            dated = isinstance(value, datetime)
            st.query_params[key] = value.isoformat(timespec="minutes") if dated else value
            st.session_state[key] = value
    st.session_state["first"] = "", {}


def keep_filters(page: str) -> None:
    """Remember what the first page of a session is filtered by."""
    if st.session_state.get("first", (page,))[0] == page:
        kept = {key: st.session_state.get(key) for key in SHARED}
        st.session_state["first"] = page, {key: value for key, value in kept.items() if value}


def bounds(span: Span) -> dict[str, str | None]:
    return {"from": f"{span.start:%Y-%m-%dT%H:%M}", "to": f"{span.end:%Y-%m-%dT%H:%M}"}


def filter_bar(
    models: tuple[answers.ModelSeen, ...],
    integrations: tuple[answers.IntegrationSeen, ...],
    span: Span,
) -> None:
    """The row of filters below the title; `span` is the range that they stand for."""
    with st.container(key="filters", horizontal=True, vertical_alignment="bottom", gap="small"):
        _choice("model", "All models", (model.name for model in models), _forget_version)
        _choice("version", "All versions", _versions(models))
        _choice("integration", "All integrations", (item.name for item in integrations))
        with st.popover(f"{span.label} UTC", icon=":material/calendar_month:", key="range-picker"):
            st.pills(
                "Range",
                PRESETS,
                key="range",
                bind="query-params",
                on_change=clear_bounds,
                help="Ranges end now; all spans everything in the ledger.",
            )
            for key, label in (("from", "From (UTC)"), ("to", "To (UTC)")):
                st.datetime_input(
                    label,
                    value=None,
                    key=key,
                    bind="query-params",
                    format="YYYY-MM-DD",
                    min_value=_EARLIEST,
                    max_value=_LATEST,
                )


def _choice(
    key: str, every: str, known: Iterable[str], on_change: Callable[[], None] | None = None
) -> None:
    wanted = st.query_params.get(key) or st.session_state.get(key)
    options = list(dict.fromkeys([*known, *([str(wanted)] if wanted else [])]))
    st.selectbox(
        key.capitalize(),
        options,
        index=None,
        key=key,
        placeholder=every,
        bind="query-params",
        label_visibility="collapsed",
        width=172,
        on_change=on_change,
    )


def _forget_version() -> None:
    st.session_state["version"] = None


def _versions(models: tuple[answers.ModelSeen, ...]) -> list[str]:
    wanted = st.query_params.get("model") or st.session_state.get("model")
    return [
        seen.version
        for model in models
        if not wanted or model.name == wanted
        for seen in model.versions
    ]


def span_of(models: tuple[answers.ModelSeen, ...], now: datetime) -> Span:
    """The range that the address and the filters ask for."""
    firsts = [wording.instant(seen.first) for model in models for seen in model.versions]
    lasts = [wording.instant(seen.last) for model in models for seen in model.versions]
    known = [when for when in firsts if when], [when for when in lasts if when]
    extent = (min(known[0]), max(known[1])) if known[0] and known[1] else None
    params = st.query_params
    state = st.session_state
    preset = state.get("range") or params.get("range")
    start = state["from"] if "from" in state else _naive(params.get("from"))
    end = state["to"] if "to" in state else _naive(params.get("to"))
    return resolve(preset if preset in PRESETS else None, start, end, now, extent)


def _naive(text: str | None) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def freshness(
    log: answers.Log, models: tuple[answers.ModelSeen, ...], span: Span, now: datetime
) -> looks.Markup:
    """When this was asked, how much there is, and how old the newest prediction is.

    An old one stands out only where the range reaches to now: about the past it says nothing.
    """
    lasts = [seen.last for model in models for seen in model.versions if seen.last]
    newest = max(lasts, key=lambda text: wording.instant(text) or now, default=None)
    parts = [
        looks.Markup(f"As of <b>{now:%Y-%m-%d %H:%M:%S} UTC</b>"),
        looks.Markup(f"ledger <b>{wording.count(log.size)}</b> entries"),
    ]
    if newest is not None:
        told = f"newest prediction <b>{wording.ago(newest, now)}</b>"
        late = span.end >= now and (wording.instant(newest) or now) < now - _FRESH
        parts.append(looks.Markup(f'<span class="mw-late">{told}</span>' if late else told))
    return looks.join(*parts, by=" · ")


def title(name: str, question: str, stamp: looks.Markup) -> None:
    """Page title with the question that the page answers, and how fresh the answer is."""
    st.html(
        f'<div class="mw-title"><h1>{looks.place(name)}</h1><p>{looks.place(question)}</p></div>'
        f'<div class="mw-stamp">{stamp.html}</div>'
    )


def share_address(frame: Frame, page: str, **more: str | int | None) -> str:
    """The address of this view with the range pinned, so that it shows the same tomorrow."""
    pinned: dict[str, str | int | None] = {**frame.filters, **bounds(frame.span), **more}
    query = urlencode({name: value for name, value in pinned.items() if value is not None})
    base = (st.context.url or "").split("?")[0].rstrip("/")
    if base.rsplit("/", 1)[-1] in frame.pages:
        base = base.rsplit("/", 1)[0]
    return f"{base}/{page}?{query}"
