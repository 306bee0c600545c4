"""Alerts & retraining: what needs a person, and what happens once that person agrees.

The page only forwards decisions, each with its reason; who may decide, and whether a second person
is needed, is settled by the API.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from dashboard import looks, states, wording
from dashboard.frame import Frame, clear_filters
from dashboard.judged import Alert, Case, Step
from dashboard.looks import Field, Figure
from dashboard.views import alert_list
from dashboard.views.deciding import MAY_DECIDE, reason_of, send

_STATES = (
    "detected",
    "confirmed",
    "proposed",
    "approved",
    "dispatched",
    "acknowledged",
    "candidate",
    "judged",
    "closed",
)
_SAID = {
    "RetrainingProposed": "Retraining proposed",
    "RetrainingApproved": "Approved",
    "RetrainingRejected": "Rejected",
    "RetrainingDispatched": "Sent to the retrainer",
    "RetrainingAcknowledged": "Taken over by the retrainer",
    "CandidateRegistered": "Candidate registered",
    "VersionReleased": "Version released",
    "ChallengerJudged": "Candidate judged",
    "RetrainingClosed": "Closed",
}
_SETTLED = {"rejected", "closed"}
_LAST = {"rejected": "RetrainingRejected", "closed": "RetrainingClosed"}
_VERDICT = {
    "challenger": "candidate's error",
    "champion": "error before",
    "metric": "measured as",
    "conclusion": "conclusion",
}


def render(frame: Frame) -> None:
    alerts = states.asked("Alerts", frame.api.alerts)
    cases = states.asked("Cases", frame.api.cases)
    if alerts is None and cases is None:
        return
    kept_alerts = [item for item in (alerts.items if alerts else ()) if _wanted(frame, item)]
    kept_cases = [item for item in (cases.items if cases else ()) if _wanted(frame, item)]
    kept_cases.sort(key=lambda case: (case.state in _SETTLED, case.opened or ""))
    st.html(looks.figures(_figures(kept_alerts, kept_cases)))
    if not kept_alerts and not kept_cases:
        _nothing(frame)
        return
    if cases is not None:
        _cases(frame, kept_cases)
    if alerts is not None:
        alert_list.show(frame, kept_alerts)


def _wanted(frame: Frame, item: Alert | Case) -> bool:
    return frame.model in {None, item.model} and frame.version in {None, item.version}


def _nothing(frame: Frame) -> None:
    if not frame.models:
        frame.empty()
        return
    if frame.model or frame.version:
        told = " ".join(filter(None, (frame.model, frame.version)))
        states.no_match(told, clear_filters)
        return
    states.nothing_yet(
        "No alerts and no cases",
        "A confirmed shift or a fault raises an alert here. Whether windows have been judged at "
        "all is on the drift page.",
    )


def _figures(alerts: list[Alert], cases: list[Case]) -> list[Figure]:
    raised = [alert for alert in alerts if alert.state == "raised"]
    known = [alert for alert in alerts if alert.state == "acknowledged"]
    waiting = [case for case in cases if case.state == "proposed"]
    running = [case for case in cases if case.state not in {"proposed", *_SETTLED}]
    closed = [case for case in cases if case.state == "closed"]
    return [
        Figure(
            "Alerts raised", str(len(raised)), "nobody has taken them", "raised" if raised else None
        ),
        Figure("Acknowledged", str(len(known)), "someone is on it"),
        Figure(
            "Waiting for approval",
            str(len(waiting)),
            "retraining cases",
            "proposed" if waiting else None,
        ),
        Figure("Retraining now", str(len(running)), "approved, not closed"),
        Figure("Closed", str(len(closed)), f"{wording.counted(len(cases), 'case')} in all"),
    ]


def _cases(frame: Frame, cases: list[Case]) -> None:
    st.html(looks.heading("Retraining cases", "open ones first"))
    if not cases:
        st.html(
            looks.quiet("None. A confirmed shift of a model whose policy allows it opens one.").html
        )
        return
    fields = (
        Field("State"),
        Field("Model"),
        Field("Version"),
        Field("Opened (UTC)"),
        Field("Columns"),
        Field("Owner"),
        Field("Candidate"),
        Field(""),
    )
    rows = [
        (
            looks.badge(case.state),
            case.model,
            case.version,
            wording.moment(case.opened),
            ", ".join(case.columns[:4]) + ("…" if len(case.columns) > 4 else "") or wording.ABSENT,
            case.owner or wording.ABSENT,
            case.candidate or wording.ABSENT,
            looks.join(
                looks.link("cases", "open", **{**frame.params, "case": case.id}),
                looks.simulated(case.simulated),
            ),
        )
        for case in cases
    ]
    ids = [case.id for case in cases]
    wanted = st.session_state.get("case") or st.query_params.get("case")
    chosen = next((case for case in cases if case.id == wanted), cases[0])
    st.html(looks.table(fields, rows, caption="Retraining cases", chosen=cases.index(chosen)))
    with st.container(border=True, key="case-card"):
        st.selectbox(
            "Case", ids, index=ids.index(chosen.id), key="case", bind="query-params", width=420
        )
        _case(frame, chosen)


def _case(frame: Frame, case: Case) -> None:
    name = f"{case.model} version {case.version}"
    st.html(
        looks.heading(name, looks.join(looks.badge(case.state), looks.simulated(case.simulated)))
    )
    st.html(_steps(case))
    if case.state in _SETTLED:
        st.html(_ending(case))
    left, right = st.columns([3, 2], gap="large")
    with left:
        st.html(looks.timeline(_moment(step) for step in case.steps))
        if case.ignored:
            told = "; ".join(
                f"{_SAID.get(step.type, step.type)} by {step.actor}" for step in case.ignored
            )
            st.html(looks.notice("unknown", "Came too late and had no effect", told))
    with right:
        st.html(looks.pairs(_facts(case)))
        _decide(frame, case)


def _facts(case: Case) -> list[tuple[str, looks.Text]]:
    windows = ", ".join(wording.window(window.start, window.end) for window in case.windows)
    policy = case.policy.revision[:12] if case.policy else wording.ABSENT
    facts: list[tuple[str, looks.Text]] = [
        ("drifted columns", ", ".join(case.columns) or wording.ABSENT),
        ("windows", windows or wording.ABSENT),
        ("segment", case.segment),
        ("policy revision", looks.mono(policy)),
        ("owner", case.owner or wording.ABSENT),
        ("approved by", case.approver or wording.ABSENT),
        ("candidate", f"version {case.candidate}" if case.candidate else wording.ABSENT),
    ]
    facts += [
        (f"reported {name.replace('_', ' ')}", wording.plain(value))
        for name, value in case.metrics.items()
    ]
    return facts + [
        (_VERDICT.get(name, name.replace("_", " ")), _measure(value))
        for name, value in case.verdict.items()
    ]


def _measure(value: Any) -> str:
    """One part of the verdict on a candidate; a measure tells version, error, rows and windows."""
    if not isinstance(value, dict) or "error" not in value:
        return wording.plain(value)
    windows = value.get("windows") or ()
    spans = ", ".join(wording.window(each.get("start"), each.get("end")) for each in windows)
    told = f"version {value.get('version')}: {wording.number(value['error'], 4)}"
    return f"{told} on {wording.count(value.get('rows'))} rows, {spans or 'all windows'}"


def _ending(case: Case) -> str:
    """How a settled case ended, and why, before how it came there."""
    reasons = [step.reason for step in case.steps if step.type == _LAST[case.state]]
    if case.state == "rejected":
        return looks.notice("rejected", "Rejected", reasons[-1] if reasons else "")
    helped = case.outcome.endswith("helped")
    title = f"Closed: {case.outcome or 'no outcome recorded'}"
    return looks.notice("ok" if helped else "unknown", title, reasons[-1] if reasons else "")


def _steps(case: Case) -> str:
    """Where the case stands on its way; a rejected one ends after proposed."""
    way = (*_STATES[:3], "rejected") if case.state == "rejected" else _STATES
    here = way.index(case.state) if case.state in way else 2
    items = "".join(
        f'<li class="{"mw-now" if place == here else "mw-past" if place < here else ""}"'
        f"{' aria-current=step' if place == here else ''}>{name}</li>"
        for place, name in enumerate(way)
    )
    return f'<ol class="mw-steps" aria-label="Progress of the case">{items}</ol>'


def _moment(step: Step) -> tuple[str, looks.Text, looks.Text]:
    evidence = looks.join(
        *(
            looks.link("decision", f"evidence {item.index:,}", entry=item.index)
            for item in step.evidence[:3]
        )
    )
    entry = (
        looks.link("decision", f"entry {step.index:,}", entry=step.index)
        if step.index is not None
        else ""
    )
    return (
        wording.moment(step.time, seconds=True),
        looks.join(_SAID.get(step.type, step.type), looks.simulated(step.simulated)),
        looks.join(
            f"by {step.actor}" if step.actor else "", step.reason, entry, evidence, by=" · "
        ),
    )


def _decide(frame: Frame, case: Case) -> None:
    if case.state != "proposed":
        return
    may = frame.me.can.get("approve_retraining", "deny")
    if may not in MAY_DECIDE:
        st.html(
            looks.notice(
                "unknown",
                "Waiting for approval",
                "Approving or rejecting needs a role with the permission approve retraining, "
                "such as ops.",
            )
        )
        return
    with st.container(horizontal=True):
        if st.button("Approve…", type="primary", icon=":material/check:", key="approve"):
            _ask_decision(frame, case, "approve")
        if st.button("Reject…", icon=":material/close:", key="reject"):
            _ask_decision(frame, case, "reject")


@st.dialog("Decide on retraining")
def _ask_decision(frame: Frame, case: Case, decision: str) -> None:
    """The decision in words, a mandatory reason, and what follows from it."""
    approve = decision == "approve"
    follows = (
        "A signed request goes to the retrainer that the policy names. It may export the labelled "
        "predictions and register a candidate version."
        if approve
        else "Nothing is sent. The case closes; the next confirmed shift may open another."
    )
    st.html(
        looks.heading(
            f"{'Approve' if approve else 'Reject'} retraining of {case.model} {case.version}"
        )
        + looks.pairs(
            [("drifted columns", ", ".join(case.columns)), ("proposed by", case.proposer)]
        )
        + f"<p>{looks.place(follows)}</p>"
    )
    label = "Approve retraining" if approve else "Reject retraining"
    reason = reason_of(frame, label, "Why, in a sentence")
    if reason is not None:
        send(lambda: frame.api.decide_case(case.id, decision, reason), label)
