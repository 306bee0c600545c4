"""Quarantine: what was refused and is kept, taken once more or given up.

The page never sees contents; who may replay or discard what is settled by the API.
"""

from __future__ import annotations

from typing import Final

import streamlit as st

from dashboard import looks, states, wording
from dashboard.connected import Kept, Replayed
from dashboard.errors import DashboardError, Denied
from dashboard.frame import Frame
from dashboard.looks import Field
from dashboard.views.deciding import reason_of, send

_DONE: Final = "quarantine-done"


def show(frame: Frame, integration: str | None) -> None:
    """The list, of one integration or of all, and for who may, what can be done about it."""
    st.html(looks.heading("Quarantine", "refused, sealed and kept; oldest first"))
    done = st.session_state.pop(_DONE, None)
    if done is not None:
        st.html(looks.notice(*done))
    try:
        page = states.asked("Quarantine", frame.api.quarantine, denied_ok=True)
    except Denied as refusal:
        st.html(looks.quiet(wording.sentence(refusal.message)).html)
        return
    if page is None:
        return
    kept = [each for each in page.items if integration in {None, each.integration}]
    if not kept:
        of = f" of {integration}" if integration else ""
        st.html(looks.quiet(f"Nothing{of} is kept: whatever was refused was mended.").html)
        return
    st.html(_table(kept))
    if page.next is not None:
        st.html(looks.quiet(f"The oldest {len(page.items)} are shown; there are more.").html)
    _act(frame, kept)


def _table(kept: list[Kept]) -> str:
    fields = (
        Field("Received (UTC)"),
        Field("Integration"),
        Field("Why"),
        Field("What to do"),
        Field("Items", True),
        Field("Bytes", True),
        Field("Id"),
    )
    rows = [
        (
            wording.moment(each.received, seconds=True),
            each.integration,
            looks.wrapped(looks.join(wording.sentence(each.reason), _place(each))),
            looks.wrapped(each.remedy or wording.ABSENT),
            wording.count(each.items),
            wording.count(each.bytes),
            looks.mono(each.id),
        )
        for each in kept
    ]
    return looks.table(fields, rows, caption="What was refused and is kept, oldest first")


def _place(kept: Kept) -> looks.Text:
    """The field that is wrong, unless the reason names it."""
    return looks.mono(kept.field) if kept.field and kept.field not in kept.reason else ""


def _act(frame: Frame, kept: list[Kept]) -> None:
    may = frame.me.can.get("replay_quarantine", "deny")
    if may not in {"allow", "own"}:
        return
    names = {
        f"{wording.moment(each.received, seconds=True)} · {each.integration} · "
        f"{wording.counted(each.items, 'item')}": each
        for each in kept
    }
    with st.container(horizontal=True, vertical_alignment="bottom"):
        wanted = names[st.selectbox("Refusal", list(names), key="refusal", width=420)]
        if st.button("Replay", icon=":material/replay:", key="replay", help=_REPLAY):
            _replay(frame, wanted)
        if may == "allow" and st.button("Discard…", icon=":material/delete:", key="discard"):
            _ask_discard(frame, wanted)


_REPLAY: Final = "Takes it once more, under the declaration in force now. Safe to repeat."


def _replay(frame: Frame, kept: Kept) -> None:
    try:
        answer = frame.api.replay(kept.id)
    except DashboardError as failure:
        states.failed("Replay", failure)
        return
    st.session_state[_DONE] = _told(answer)
    st.rerun()


def _told(answer: Replayed) -> tuple[str, str, str]:
    if answer.accepted is None:
        return "ok", "Taken", "It was there already." if answer.duplicate else "It is logged now."
    refused = answer.rejected if isinstance(answer.rejected, int) else len(answer.rejected)
    told = (
        f"{wording.counted(answer.accepted, 'event')} logged, {answer.duplicates:,} there already."
    )
    if refused:
        return "warn", f"{wording.counted(refused, 'item')} refused again", f"{told} It stays."
    return "ok", "All of it is taken", told


@st.dialog("Discard what was refused")
def _ask_discard(frame: Frame, kept: Kept) -> None:
    told = f"{wording.counted(kept.items, 'item')} of {kept.integration}: {kept.reason}"
    st.html(looks.notice("warn", "This cannot be taken back", wording.sentence(told)))
    label = "Discard for good"
    reason = reason_of(frame, label, "Why it is wanted no more")
    if reason is not None:
        send(lambda: frame.api.discard(kept.id, reason), label)
