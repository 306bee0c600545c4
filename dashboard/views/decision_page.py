"""Decision: can it be proved what happened? Search first, then one entry with its proof.

Every trace and every search is recorded by the API as an access before it answers, so the page
asks only when a person asked: it keeps an answer until another entry is opened or *Verify again*.
"""

from __future__ import annotations

from typing import Any

import msgspec
import streamlit as st

from dashboard import looks, states, wording
from dashboard.answers import Check, DecisionMade, Entry, Moment, Trace
from dashboard.frame import Frame
from dashboard.looks import Field
from dashboard.views import finding, proving

# What a person wants to read of an entry about a decision without opening it.
_TOLD = ("action", "reviewer", "reason_code", "reason", "final_output", "outcome", "label_source")
_CHECKS = ("hash", "inclusion", "signature", "retention")
_MEANING = {
    "hash": "sealed payload matches its leaf",
    "inclusion": "leaf is in the ledger's tree",
    "signature": "tree head is signed by the ledger's key",
    "retention": "kept as long as its class demands",
}


def render(frame: Frame) -> None:
    if not frame.models and not frame.log.size:
        frame.empty()
        return
    entry = _entry()
    with st.expander("Find a decision", expanded=entry is None, icon=":material/search:"):
        finding.search(frame)
    if entry is None:
        if not finding.found():
            states.offered(
                "No decision chosen yet",
                "Search above, enter the index of an entry, or list the newest predictions of this "
                "range. What you list and open is recorded in the ledger with your name.",
                "List the newest",
                lambda: finding.newest(frame),
            )
        return
    trace = _held(frame, entry)
    if trace is not None:
        _show(frame, trace, entry)


def _entry() -> int | None:
    with st.container(horizontal=True, vertical_alignment="bottom", key="entry-row"):
        entry = st.number_input(
            "Entry",
            min_value=0,
            value=None,
            step=1,
            key="entry",
            bind="query-params",
            width=190,
            placeholder="index",
            help="The position of the entry in the ledger, from 0.",
        )
        again = st.button("Verify again", icon=":material/verified:", disabled=entry is None)
    if again:
        st.session_state.pop("trace", None)
    return None if entry is None else int(entry)


def _held(frame: Frame, entry: int) -> Trace | None:
    held = st.session_state.get("trace")
    if held is not None and held[0] == entry:
        answer: Trace = held[1]
        return answer
    trace = states.asked(f"Entry {entry:,}", lambda: frame.api.trace(entry))
    if trace is not None:
        st.session_state["trace"] = (entry, trace)
    return trace


def _show(frame: Frame, trace: Trace, entry: int) -> None:
    decided = trace.index if trace.prediction is None else trace.prediction
    asked = _asked_about(frame, trace, entry, decided) if entry != decided else None
    st.html(_banner(trace))
    left, right = st.columns([3, 2], gap="large")
    with left:
        if trace.decision is not None:
            _decision(trace.decision)
    with right:
        st.html(looks.heading("What happened", "event time, UTC"))
        st.html(_timeline(trace, entry, asked))
    proving.tabs(frame, trace)


def _asked_about(frame: Frame, trace: Trace, entry: int, decided: int) -> Entry | None:
    """Says that another entry was asked for than the decision shown, and shows that one too."""
    kind = next((step.type for step in trace.timeline if step.index == entry), "entry")
    st.html(
        looks.notice(
            "acknowledged",
            f"Entry {entry:,} is an {kind} about the decision in entry {decided:,}, shown here",
            f"The verdict, the leaf and the proof below are those of entry {trace.index:,}.",
        )
    )
    logged = proving.body_of(frame, entry)
    if logged is not None:
        with st.expander(f"Entry {entry:,} as logged"):
            st.json(msgspec.to_builtins(logged.body), expanded=2)
            if logged.masked:
                st.caption("Hidden from your role: " + ", ".join(logged.masked))
    return logged


def _checks(trace: Trace) -> list[tuple[str, Check]]:
    return [(name, getattr(trace.verdict, name)) for name in _CHECKS]


def _banner(trace: Trace) -> str:
    states_ = [check.state for _, check in _checks(trace)]
    if "failed" in states_:
        failed = ", ".join(name for name, check in _checks(trace) if check.state == "failed")
        state, title = "failed", f"Not proved: {failed} failed"
    elif all(found == "ok" for found in states_):
        state, title = "ok", f"Proved: entry {trace.index:,} is in the ledger, unchanged"
    else:
        open_ = ", ".join(name for name, check in _checks(trace) if check.state != "ok")
        state, title = "unchecked", f"Not fully checked: {open_}"
    checked = wording.moment(trace.verdict.checked_at, seconds=True)
    told = f"Entry {trace.index:,}, checked {checked} UTC"
    if trace.verdict.verifier:
        told += f" by {trace.verdict.verifier}"
    return looks.banner(
        state,
        title,
        told,
        [(name, check.state, check.detail or _MEANING[name]) for name, check in _checks(trace)],
    )


def _decision(made: DecisionMade) -> None:
    st.html(looks.heading("Decision", looks.badge(made.status)))
    name = made.model if isinstance(made.model, str) else (made.model or {}).get("name", "-")
    decision = made.decision if isinstance(made.decision, dict) else {}
    st.html(
        looks.pairs(
            [
                ("model", f"{name} {made.version or ''}".strip()),
                ("time (UTC)", wording.moment(made.time, seconds=True)),
                ("output", looks.Markup(f"<b>{looks.place(wording.plain(made.output))}</b>")),
                ("score", wording.plain(made.score)),
                ("confidence", wording.plain(made.confidence)),
                ("latency", _latency(made.latency_ms)),
                *((key.replace("_", " "), wording.plain(value)) for key, value in decision.items()),
            ]
        )
    )
    if made.masked:
        st.html(
            looks.notice(
                "unknown",
                f"{wording.counted(len(made.masked), 'value')} hidden from your role",
                "Shown as •••: "
                + ", ".join(made.masked[:12])
                + ("…" if len(made.masked) > 12 else ""),
            )
        )
    if isinstance(made.inputs, dict):
        st.html(looks.heading("Inputs", _method(made)))
        st.html(_inputs(made))
    elif made.inputs is not None:
        st.html(looks.pairs([("inputs", wording.plain(made.inputs))]))


def _latency(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("total")
    return wording.duration(float(value)) if isinstance(value, int | float) else wording.ABSENT


def _method(made: DecisionMade) -> str:
    explanation = made.explanation if isinstance(made.explanation, dict) else {}
    method = explanation.get("method")
    return f"explained by {method}" if method else "no explanation attached"


def _inputs(made: DecisionMade) -> str:
    explanation = made.explanation if isinstance(made.explanation, dict) else {}
    given = explanation.get("attributions")
    parts = {
        str(item.get("feature")): item.get("contribution")
        for item in (given if isinstance(given, list) else [])
        if isinstance(item, dict)
    }
    known = [abs(float(value)) for value in parts.values() if isinstance(value, int | float)]
    most = max(known, default=0.0)
    rows = [
        (name, wording.plain(value), _contribution(parts.get(name), most))
        for name, value in made.inputs.items()
    ]
    fields = [Field("Input"), Field("Value", True)]
    if not parts:
        return looks.table(fields, [row[:2] for row in rows], caption="Inputs of the decision")
    fields.append(Field("Contribution", True))
    return looks.table(fields, rows, caption="Inputs of the decision with their contribution")


def _contribution(value: Any, most: float) -> looks.Text:
    if not isinstance(value, int | float) or not most:
        return wording.ABSENT
    tone = "info" if value >= 0 else "warn"
    return looks.bar(tone, abs(value) / most * 100, f"{value:+.3f}")


def _timeline(trace: Trace, entry: int, asked: Entry | None) -> str:
    """What happened; the entry that was asked for also tells what it holds."""
    return looks.timeline(
        (
            wording.moment(step.time, seconds=True),
            looks.join(step.type, looks.simulated(step.simulated)),
            looks.join(
                step.summary,
                f"by {step.actor}" if step.actor else "",
                _told(asked, step.summary) if step.index == entry else "",
                looks.quiet(_place(step, entry)),
                by=" · ",
            ),
        )
        for step in trace.timeline
        # Who looked has a tab of its own, and would soon outnumber what happened.
        if step.type != "AccessRecorded"
    )


def _place(step: Moment, entry: int) -> looks.Text:
    if step.index == entry:
        return "this entry"
    return looks.link("decision", f"entry {step.index:,}", entry=step.index)


def _told(asked: Entry | None, summary: str) -> str:
    """What an oversight or outcome says beyond its summary, as far as this person may see it."""
    body = asked.body if asked is not None and isinstance(asked.body, dict) else {}
    known = {name: wording.plain(body[name]) for name in _TOLD if name in body}
    return ", ".join(
        f"{name.replace('_', ' ')} {value}" for name, value in known.items() if value not in summary
    )
