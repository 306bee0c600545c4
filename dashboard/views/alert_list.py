"""Alerts: what was raised, by whom it was taken, and the dialog that takes one."""

from __future__ import annotations

import streamlit as st

from dashboard import looks, wording
from dashboard.frame import Frame
from dashboard.judged import Alert
from dashboard.looks import Field
from dashboard.views.deciding import MAY_DECIDE, reason_of, send


def show(frame: Frame, alerts: list[Alert]) -> None:
    """The table of alerts and, for who may, the button to acknowledge one."""
    st.html(looks.heading("Alerts", "raised ones first"))
    if not alerts:
        st.html(looks.quiet("None.").html)
        return
    rank = {"raised": 0, "acknowledged": 1, "resolved": 2}
    ordered = sorted(alerts, key=lambda alert: (rank.get(alert.state, 0), alert.raised or ""))
    fields = (
        Field("State"),
        Field("Kind"),
        Field("Model or integration"),
        Field("Version"),
        Field("Why"),
        Field("Raised (UTC)"),
        Field("Owner"),
        Field("Acknowledged by"),
        Field("Evidence"),
    )
    rows = [
        (
            looks.badge(alert.state),
            looks.badge(alert.kind),
            looks.link("integrations", alert.integration, integration=alert.integration)
            if alert.integration
            else alert.model,
            wording.ABSENT if alert.integration else alert.version,
            looks.wrapped(wording.sentence(alert.reason) or ", ".join(alert.columns)),
            wording.moment(alert.raised),
            alert.owner or wording.ABSENT,
            looks.join(alert.acknowledged_by or wording.ABSENT, looks.simulated(alert.simulated)),
            looks.link("decision", f"entry {alert.index:,}", entry=alert.index)
            if alert.index is not None
            else wording.ABSENT,
        )
        for alert in ordered
    ]
    st.html(looks.table(fields, rows, caption="Alerts, raised ones first"))
    _acknowledge(frame, [alert for alert in ordered if alert.state == "raised"])


def _acknowledge(frame: Frame, raised: list[Alert]) -> None:
    may = frame.me.can.get("acknowledge_alert", "deny")
    if not raised or may not in MAY_DECIDE:
        return
    names = {
        f"{alert.kind} · {_about(alert)} · {wording.day(alert.raised)}": alert for alert in raised
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = st.selectbox("Alert", list(names), key="alert", width=340)
        if st.button("Acknowledge…", icon=":material/front_hand:", key="acknowledge"):
            _ask_acknowledge(frame, names[wanted])


def _about(alert: Alert) -> str:
    return alert.integration or f"{alert.model} {alert.version}"


@st.dialog("Acknowledge alert")
def _ask_acknowledge(frame: Frame, alert: Alert) -> None:
    st.html(looks.notice("raised", f"{_about(alert)}: {alert.kind}", alert.reason))
    label = "Acknowledge alert"
    reason = reason_of(frame, label, "What you will do about it")
    if reason is not None:
        send(lambda: frame.api.acknowledge_alert(alert.id, reason), label)
