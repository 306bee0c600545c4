"""Integrations: which systems log, how each is and why, what of theirs is missing or was refused,
and how to connect the next one."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import looks, states, wording
from dashboard.answers import IntegrationSeen
from dashboard.frame import Frame, clear_filters
from dashboard.looks import Field, Figure
from dashboard.views import completeness_panel, connecting, quarantine_list

_RANK: Final = {"bad": 0, "warn": 1, "unknown": 2, "ok": 3}
_SAID: Final = {"bad": "trouble", "warn": "watch", "ok": "well", "unknown": "unknown"}


def render(frame: Frame) -> None:
    seen = frame.integrations
    if not seen:
        answer = states.asked("Health of integrations", frame.api.integrations)
        if answer is None:
            return
        seen = answer.items
    if not seen:
        frame.empty_ever()
        connecting.show(frame)
        return
    ordered = sorted(seen, key=lambda each: (_RANK.get(each.health.state, 2), each.name))
    wanted = [each for each in ordered if frame.integration in {None, each.name}]
    if not wanted:
        states.no_match(f"integration {frame.integration}", clear_filters)
        return
    st.html(looks.figures(_figures(ordered)))
    st.html(looks.heading("Integrations by state", "worst first; each opens its own view"))
    chosen = wanted[0]
    st.html(_table(frame, ordered, chosen))
    with st.container(border=True, key="integration-card"):
        _detail(frame, chosen)
    quarantine_list.show(frame, frame.integration)
    connecting.show(frame)


def _figures(seen: list[IntegrationSeen]) -> list[Figure]:
    health = [each.health for each in seen]
    bad = sum(each.state == "bad" for each in health)
    well = sum(each.state == "ok" for each in health)
    missing = sum(each.missing for each in health)
    differing = sum(each.difference + each.dropped for each in health)
    refused = sum(each.refused_hour for each in health)
    alerts = sum(len(each.alerts) for each in health)
    return [
        Figure("Integrations", str(len(seen)), f"{sum(each.declared for each in seen)} declared"),
        Figure(
            "Well",
            f"{well} of {len(seen)}",
            f"{bad} in trouble",
            "bad" if bad else ("ok" if well == len(seen) else "unknown"),
        ),
        Figure("Events", wording.count(sum(each.events_hour for each in health)), "last hour"),
        Figure("Refused", wording.count(refused), "last hour", "warn" if refused else None),
        Figure(
            "Missing numbers", wording.count(missing), "of producers", "bad" if missing else None
        ),
        Figure(
            "Counts differ by", wording.count(differing), "events", "bad" if differing else None
        ),
        Figure(
            "Open alerts",
            wording.count(alerts),
            looks.link("cases", "alerts"),
            "raised" if alerts else None,
        ),
    ]


def _table(frame: Frame, seen: list[IntegrationSeen], chosen: IntegrationSeen) -> str:
    fields = (
        Field("State"),
        Field("Integration"),
        Field("Why"),
        Field("Owner"),
        Field("Cadence"),
        Field("Last logged"),
        Field("Last hour", True),
        Field("Last day", True),
        Field("Errors", True),
        Field("Refused", True),
        Field("Missing", True),
    )
    rows = [
        (
            looks.badge(each.health.state, _SAID.get(each.health.state)),
            looks.link("integrations", each.name, **{**frame.params, "integration": each.name}),
            looks.wrapped(_why(each)),
            each.owner or wording.ABSENT,
            each.cadence or wording.ABSENT,
            wording.ago(each.health.logged, frame.now) if each.health.logged else wording.ABSENT,
            wording.count(each.health.events_hour),
            wording.count(each.health.events_day),
            wording.count(each.health.errors_hour),
            wording.count(each.health.refused_hour),
            wording.count(each.health.missing),
        )
        for each in seen
    ]
    return looks.table(fields, rows, caption="Integrations, worst first", chosen=seen.index(chosen))


def _why(each: IntegrationSeen) -> str:
    return " ".join(wording.sentence(reason) for reason in each.health.reasons) or wording.ABSENT


def _detail(frame: Frame, each: IntegrationSeen) -> None:
    health = each.health
    st.html(looks.heading(each.name, looks.badge(health.state, _SAID.get(health.state))))
    if health.reasons:
        state = "warn" if health.state == "ok" else health.state
        first, *more = (wording.sentence(reason) for reason in health.reasons)
        st.html(looks.notice(state, first, " ".join(more)))
    st.html(looks.pairs(_facts(frame, each)))
    completeness_panel.show(frame, each.name)


def _facts(frame: Frame, each: IntegrationSeen) -> list[tuple[str, looks.Text]]:
    health = each.health
    alerts = looks.link("cases", ", ".join(health.alerts)) if health.alerts else "none"
    return [
        ("owner", each.owner or "nobody: declare one"),
        ("way in", each.adapter or ("our own format" if not each.declared else wording.ABSENT)),
        ("cadence", each.cadence or "not declared: silence raises no alarm"),
        ("region", each.region or wording.ABSENT),
        ("last logged", _when(health.logged, frame)),
        ("newest event", _when(each.last, frame)),
        ("events ever", wording.count(each.events)),
        ("lag, 1 in 20 above", wording.length(health.lag_p95_ms)),
        ("its clock", _clock(health.ahead_ms)),
        ("calls without half", f"{health.alone_hour:,} in the last hour"),
        ("open alerts", alerts),
        ("looked at", _when(health.as_of, frame)),
    ]


def _when(text: str | None, frame: Frame) -> str:
    if text is None:
        return wording.ABSENT
    return f"{wording.moment(text, seconds=True)} UTC, {wording.ago(text, frame.now)}"


def _clock(ahead_ms: float | None) -> str:
    if ahead_ms is None:
        return wording.ABSENT
    if abs(ahead_ms) < 1_000:
        return "right to a second"
    return f"{wording.length(abs(ahead_ms))} {'ahead of' if ahead_ms > 0 else 'behind'} ours"
