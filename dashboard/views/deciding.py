"""What dialogs that record a decision share: who may, the mandatory reason, and sending it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import streamlit as st

from dashboard import looks, states
from dashboard.errors import DashboardError
from dashboard.frame import Frame

# Decisions of the API's permission matrix with which a person may act; it enforces them itself.
MAY_DECIDE: Final = frozenset({"allow", "second"})


def reason_of(frame: Frame, label: str, hint: str) -> str | None:
    """A reason and a button; the reason once the button was pressed with one given."""
    reason = st.text_area("Reason", key=f"reason-{label}", placeholder=hint, max_chars=500)
    st.html(looks.quiet(f"Recorded in the ledger as {frame.me.actor}.").html)
    if not st.button(label, type="primary", key=f"send-{label}"):
        return None
    if not reason.strip():
        st.html(looks.notice("warn", "A reason is required", "It becomes part of the record."))
        return None
    return reason.strip()


def send(act: Callable[[], None], label: str) -> None:
    """Act, then show the page as it is now; a refusal stays in the dialog with its remedy."""
    try:
        act()
    except DashboardError as failure:
        states.failed(label, failure)
        return
    st.rerun()
