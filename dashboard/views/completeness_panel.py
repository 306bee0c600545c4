"""Completeness of one integration: which numbers are missing, and whose counts differ."""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import looks, states, wording
from dashboard.connected import Counts, Gaps, Producer, Report
from dashboard.frame import Frame
from dashboard.looks import Field

_LISTED: Final = 100
_BADGE: Final = {"equal": "ok", "differs": "bad", "waiting": "unknown", "unknown": "unknown"}


def show(frame: Frame, name: str) -> None:
    """Gaps on the left, counts on the right."""
    left, right = st.columns(2, gap="medium")
    with left:
        st.html(looks.heading("Numbers", "each producer counts its events", level=3))
        gaps = states.asked("Gaps", lambda: frame.api.gaps(name))
        if gaps is not None:
            _gaps(gaps)
    with right:
        st.html(looks.heading("Counts", "what producers counted, beside ours", level=3))
        counts = states.asked("Counts of producers", lambda: frame.api.counts(name))
        if counts is not None:
            _counts(counts)


def _gaps(gaps: Gaps) -> None:
    if not gaps.items:
        told = "No event carries a sequence: what is missing cannot be told from numbers."
        st.html(looks.notice("unknown", "Not counted by numbers", told))
        return
    if gaps.missing:
        told = f"of {wording.counted(gaps.producers, 'producer')}; what comes late closes its gap"
        title = f"{wording.counted(gaps.missing, 'number')} missing"
        st.html(looks.notice("bad", title, told))
    else:
        told = f"{wording.counted(gaps.producers, 'producer')} followed, none lacks a number."
        st.html(looks.notice("ok", "No number is missing", told))
    st.html(_missing(gaps))
    with st.expander(f"Producers ({len(gaps.items):,})", type="compact"):
        st.html(_producers(gaps.items))
    notes = []
    if gaps.repeated:
        notes.append(f"{gaps.repeated:,} numbers came twice: two processes share a name?")
    if gaps.forgotten:
        notes.append(
            f"{gaps.forgotten:,} producers gave way to newer ones; they lacked "
            f"{wording.counted(gaps.forgotten_missing, 'number')}."
        )
    if gaps.strange:
        notes.append(f"{gaps.strange:,} events name producers that are not followed: too many.")
    for note in notes:
        st.html(looks.quiet(note).html)


def _missing(gaps: Gaps) -> str:
    rows = [
        (
            looks.mono(_name(producer.producer)),
            f"{gap.first:,}" if gap.first == gap.last else f"{gap.first:,} – {gap.last:,}",
            wording.count(gap.count),
            wording.moment(gap.after, seconds=True),
            wording.moment(gap.before, seconds=True),
        )
        for producer in gaps.items
        for gap in producer.gaps
    ]
    if not rows:
        return ""
    fields = (
        Field("Producer"),
        Field("Missing", True),
        Field("How many", True),
        Field("After (UTC)"),
        Field("Before (UTC)"),
    )
    more = f" The first {_LISTED} of {len(rows):,} gaps." if len(rows) > _LISTED else ""
    return looks.table(fields, rows[:_LISTED], caption="Missing numbers") + looks.quiet(more).html


def _producers(producers: tuple[Producer, ...]) -> str:
    fields = (
        Field("Producer"),
        Field("Seen", True),
        Field("From", True),
        Field("To", True),
        Field("Missing", True),
        Field("Twice", True),
    )
    rows = [
        (
            looks.mono(_name(each.producer)),
            wording.count(each.seen),
            wording.count(each.lowest),
            wording.count(each.highest),
            wording.count(each.missing),
            wording.count(each.repeated),
        )
        for each in producers
    ]
    return looks.table(fields, rows, caption="Producers, those that miss most first")


def _counts(counts: Counts) -> None:
    if not counts.items:
        told = "No producer reports counts (POST /v1/counts): what it sent cannot be compared."
        st.html(looks.notice("unknown", "Nothing was reported", told))
        return
    if counts.differing:
        told = f"{counts.lacking:,} events are not here, {counts.beyond:,} were not reported"
        title = f"{wording.counted(counts.differing, 'report')} of {counts.reports:,} differ"
        st.html(looks.notice("bad", title, told))
    else:
        told = f"{wording.counted(counts.reports, 'report')}, none differs."
        st.html(looks.notice("ok", "Counts agree", told))
    if counts.dropped:
        told = "They were made and lost at the sender, which says so itself."
        title = f"{wording.counted(counts.dropped, 'event')} never sent"
        st.html(looks.notice("warn", title, told))
    fields = (
        Field("State"),
        Field("From (UTC)"),
        Field("Producer"),
        Field("Theirs", True),
        Field("Ours", True),
        Field("Lost there", True),
    )
    rows = [_report(each) for each in counts.items[:_LISTED]]
    st.html(looks.table(fields, rows, caption="Reported counts, differences first"))


def _report(report: Report) -> tuple[looks.Text, ...]:
    ours = None if report.ours is None else sum(report.ours.values())
    return (
        looks.badge(_BADGE.get(report.state, "unknown"), report.state),
        wording.window(report.start, report.end),
        looks.mono(_name(report.producer)),
        wording.count(sum(report.counts.values())),
        wording.count(ours),
        wording.count(report.dropped),
    )


def _name(producer: str) -> str:
    return producer or "(all)"
