"""Finding a decision: a search that runs only when asked, since every search is recorded."""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import looks, states, wording
from dashboard.answers import Found, Hit
from dashboard.frame import Frame

_TYPES = ("PredictionLogged", "OutcomeObserved", "OversightRecorded", "ExplanationAttached")
_PAGE_ROWS = 50


def search(frame: Frame) -> None:
    """The form and the page of results that it last found."""
    with (
        st.form("search-form", border=False),
        st.container(horizontal=True, vertical_alignment="bottom"),
    ):
        producer_id = st.text_input(
            "Producer's id",
            width=250,
            placeholder="any",
            help="The id under which the integration logged it. Not put into the address.",
        )
        name = st.text_input(
            "Reference name",
            width=170,
            placeholder="any",
            help="An id of another system that was logged with the event, such as order.",
        )
        value = st.text_input(
            "Reference value",
            width=190,
            placeholder="any",
            help="Exactly as it was logged. Not put into the address.",
        )
        kind = st.selectbox("Type", _TYPES, width=210)
        names = ["any", *(item.name for item in frame.integrations)]
        start = names.index(frame.integration) if frame.integration in names else 0
        integration = st.selectbox("Integration", names, index=start, width=190)
        status = st.selectbox("Status", ("any", "ok", "error", "fallback"), width=130)
        asked = st.form_submit_button("Search", type="primary", icon=":material/search:")
    reference = {"name": name.strip(), "value": value.strip()}
    amiss = _amiss(producer_id.strip(), reference, integration) if asked else None
    if amiss is not None:
        st.html(looks.notice("warn", amiss))
        asked = False
    query = {
        **frame.query,
        "integration": frame.integration if integration == "any" else integration,
        "type": kind,
        "limit": _PAGE_ROWS,
        "status": None if status == "any" else status,
        "producer_id": producer_id.strip() or None,
        "reference": reference if reference["value"] else None,
    }
    if asked:
        st.session_state["searched"] = (query, [None])
        st.session_state.pop("found", None)
    held = st.session_state.get("searched")
    if held is not None:
        _results(frame, *held)


def found() -> bool:
    """Whether a search has been made, whose results are on the page."""
    return "searched" in st.session_state


def newest(frame: Frame) -> None:
    """Search for the newest predictions of the range and filters; shown by the next run."""
    query = {**frame.query, "type": _TYPES[0], "limit": _PAGE_ROWS}
    st.session_state["searched"] = (query, [None])
    st.session_state.pop("found", None)


def _amiss(producer_id: str, reference: dict[str, str], integration: str) -> str | None:
    """What keeps this search from being sent."""
    if producer_id and integration == "any":
        return "Choose the integration that logged this id"
    if bool(reference["name"]) != bool(reference["value"]):
        return "A reference needs both its name and its value"
    if producer_id and reference["value"]:
        return "Search by the producer's id or by a reference, not by both"
    return None


def _results(frame: Frame, query: dict[str, Any], cursors: list[str | None]) -> None:
    """One keyset page; `cursors` are the pages that led here, so that Newer can go back."""
    found: Found | None = st.session_state.get("found")
    if found is None:
        found = states.asked("Search", lambda: frame.api.search({**query, "cursor": cursors[-1]}))
        if found is None:
            return
        st.session_state["found"] = found
    if not found.items:
        st.html(looks.notice("unknown", "Nothing matches", "In this range and with these filters."))
        return
    st.dataframe(
        [_row(hit) for hit in found.items],
        hide_index=True,
        key="hits",
        on_select=_open,
        selection_mode="single-row",
        alt="Matching entries, newest first",
        height=330,
    )
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Newer", disabled=len(cursors) < 2):
            cursors.pop()
            _turn()
        if st.button("Older", disabled=found.next is None):
            cursors.append(found.next)
            _turn()
        told = f"page {len(cursors)}, {len(found.items)} entries"
        if found.snapshot is not None:
            told += f", as of ledger size {found.snapshot:,}"
        st.caption(f"{told}. Select a row to open it.")


def _turn() -> None:
    st.session_state.pop("found", None)
    st.rerun()


def _open() -> None:
    rows = st.session_state["hits"]["selection"]["rows"]
    found: Found | None = st.session_state.get("found")
    if rows and found is not None:
        st.session_state["entry"] = found.items[rows[0]].index


def _row(hit: Hit) -> dict[str, Any]:
    return {
        "entry": hit.index,
        "time (UTC)": wording.moment(hit.time, seconds=True),
        "model": f"{hit.model} {hit.version}",
        "integration": hit.integration,
        "status": wording.labelled(hit.status),
        "latency": wording.duration(hit.latency_ms),
    }
