"""The proof of one entry, in tabs: what was logged, the hashed bytes, the proof, who looked."""

from __future__ import annotations

from base64 import b64decode
from binascii import Error
from datetime import UTC, datetime
from typing import Any

import msgspec
import streamlit as st

from dashboard import looks, states, wording
from dashboard.answers import Entry, Trace
from dashboard.frame import Frame
from dashboard.looks import Field


def tabs(frame: Frame, trace: Trace) -> None:
    """All four tabs; the chosen one is drawn by the browser, so switching asks nothing."""
    parsed, raw, proof, looked = st.tabs(["Parsed", "Raw leaf", "Proof", "Who looked"])
    with parsed:
        _parsed(frame, trace)
    with raw:
        _raw(trace)
    with proof:
        _proof(frame, trace)
    with looked:
        _looked(trace)


def _parsed(frame: Frame, trace: Trace) -> None:
    if trace.leaf:
        st.html(looks.heading("Leaf", "the clear fields that the tree commits to"))
        st.html(
            looks.pairs(
                (name.replace("_", " "), _clear(name, value)) for name, value in trace.leaf.items()
            )
        )
    made = trace.decision
    lineage = made.lineage if made is not None and isinstance(made.lineage, dict) else None
    if lineage:
        st.html(looks.heading("Lineage", "as logged with the decision"))
        st.html(
            looks.pairs(
                (key.replace("_", " "), wording.plain(each)) for key, each in lineage.items()
            )
        )
    st.html(looks.heading("Body", "what your role may see"))
    if made is not None:
        st.json(msgspec.to_builtins(made), expanded=1)
    else:
        body = body_of(frame, trace.index)
        if body is not None:
            st.json(msgspec.to_builtins(body.body), expanded=2)


def _clear(name: str, value: Any) -> looks.Text:
    if name.endswith("_us") and isinstance(value, int) and value > 10**12:
        return looks.join(
            str(value), looks.quiet(f"{datetime.fromtimestamp(value / 1e6, UTC):%Y-%m-%d %H:%M:%S}")
        )
    return looks.mono(str(value)) if len(str(value)) > 30 else wording.plain(value)


def body_of(frame: Frame, index: int) -> Entry | None:
    """One entry as logged; kept like the trace, since asking for it is recorded too."""
    held = st.session_state.get("body")
    if held is not None and held[0] == index:
        kept: Entry = held[1]
        return kept
    entry = states.asked("Body", lambda: frame.api.entry(index))
    if entry is not None:
        st.session_state["body"] = (index, entry)
    return entry


def _raw(trace: Trace) -> None:
    st.caption("The leaf as it is hashed: SHA-256 over a zero byte and exactly these bytes.")
    st.code(_text(trace.canonical), language="json", wrap_lines=True)


def _text(canonical: str) -> str:
    try:
        return b64decode(canonical, validate=True).decode()
    except (Error, UnicodeDecodeError):
        return canonical


def _proof(frame: Frame, trace: Trace) -> None:
    st.caption(
        "Take these files away and check them without this server, against the ledger's key."
    )
    with st.container(horizontal=True):
        st.download_button(
            "Proof (.tlog-proof)",
            trace.proof,
            f"entry-{trace.index}.tlog-proof",
            "text/plain",
            on_click="ignore",
            icon=":material/download:",
            disabled=not trace.proof,
        )
        st.download_button(
            "Checkpoint",
            trace.checkpoint,
            "checkpoint",
            "text/plain",
            on_click="ignore",
            icon=":material/download:",
            disabled=not trace.checkpoint,
            key="checkpoint-file",
        )
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(looks.heading("Inclusion proof"))
        st.code(trace.proof or "not given", language=None, wrap_lines=True)
    with right:
        st.html(looks.heading("Signed checkpoint"))
        st.code(trace.checkpoint or "not given", language=None, wrap_lines=True)
        st.html(looks.heading("Verify the whole ledger"))
        key = frame.log.vkey or "VKEY"
        st.code(
            f"modelwitness verify {frame.address}/log/{frame.log.store} --vkey '{key}'",
            language="bash",
            wrap_lines=True,
        )


def _looked(trace: Trace) -> None:
    st.caption("Everyone who opened this entry, from the ledger itself; your view is in it too.")
    if not trace.looked:
        states.nothing_yet("Nobody has looked", "No access to this entry is on record.")
        return
    fields = (Field("Time (UTC)"), Field("Who"), Field("Did"), Field("Record"))
    rows = [
        (
            wording.moment(look.time, seconds=True),
            look.actor,
            look.action.replace("_", " "),
            looks.link("decision", f"entry {look.index:,}", entry=look.index)
            if look.index is not None
            else wording.ABSENT,
        )
        for look in reversed(trace.looked)
    ]
    st.html(looks.table(fields, rows, caption="Accesses to this entry, newest first"))
