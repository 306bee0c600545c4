"""What a panel shows when it has nothing to show: failed, denied, or one of three kinds of empty.

*No data ever* helps to send the first prediction; *no data in range* offers a wider range;
*no match* offers to clear the filters. They are different, because what to do next is different.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import streamlit as st

from dashboard import looks, wording
from dashboard.errors import DashboardError, Denied, Missing, Refused, SignedOut

Answer = TypeVar("Answer")

_SNIPPET: Final = """\
# 1  a credential for your system, printed once
modelwitness tokens create --role integration --integration my-app

# 2  the first prediction
curl -X POST {api}/v1/predictions \\
  -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
  -d '{{"id": "order-1", "time": "{now}",
       "model": {{"name": "my-model", "version": "1"}},
       "inputs": {{"amount": 12.5}}, "output": "accept", "score": 0.93,
       "latency_ms": {{"total": 8.2}}}}'"""


def asked(
    panel: str,
    ask: Callable[[], Answer],
    *,
    missing_ok: bool = False,
    denied_ok: bool = False,
) -> Answer | None:
    """The answer, or `None` after a box that says what failed; other panels live on.

    A lost session is not a panel's business: `SignedOut` passes through to the shell. With
    `missing_ok` the caller has something better to say about what is not there, with `denied_ok`
    about what this person may not see.
    """
    try:
        return ask()
    except SignedOut:
        raise
    except (Missing, Denied) as failure:
        if missing_ok if isinstance(failure, Missing) else denied_ok:
            raise
        failed(panel, failure)
        return None
    except DashboardError as failure:
        failed(panel, failure)
        return None


def failed(panel: str, failure: DashboardError) -> None:
    """The box of a failure: what, what to do, request id, Retry."""
    if isinstance(failure, Denied):
        denied(panel, failure)
        return
    remedy = failure.remedy if isinstance(failure, Refused) else ""
    state = "unknown" if isinstance(failure, Missing) else "bad"
    with st.container(key=f"failed-{_slug(panel)}"):
        told = _told(failure.message, remedy, failure.request_id)
        st.html(looks.notice(state, f"{panel} could not be loaded", told))
        # Pressing any button runs the page again, which asks again.
        st.button("Retry", key=f"retry-{_slug(panel)}", icon=":material/refresh:")


def denied(panel: str, failure: Denied) -> None:
    """Says which role is needed; the API names it in the detail of its answer."""
    told = _told(failure.message.replace("_", " "), failure.remedy, failure.request_id)
    st.html(looks.notice("unknown", f"{panel}: your role may not see this", told))


def _told(message: str, remedy: str, request_id: str) -> looks.Markup:
    """What happened and what to do, each a sentence, and how to speak of it to an operator."""
    request = looks.quiet(looks.join("Request", looks.mono(request_id or "–")))
    return looks.join(wording.sentence(message), wording.sentence(remedy), request)


def no_data_ever(api: str, now: str) -> None:
    _empty(
        "No prediction has arrived yet",
        "Give a system a credential and log one prediction; it appears here within a second.",
    )
    st.code(_SNIPPET.format(api=api, now=now), language="bash")


def no_data_in_range(label: str, widen: Callable[[], None]) -> None:
    _empty("No data in this range", f"Nothing happened in {label} UTC.")
    _centred("Show all data", "widen", widen)


def no_match(filters: str, clear: Callable[[], None]) -> None:
    _empty("No match", f"There is data in this range, but none for {filters}.")
    _centred("Clear filters", "clear-filters", clear)


def nothing_yet(title: str, told: str) -> None:
    """An empty panel that is no fault and needs no button."""
    _empty(title, told)


def offered(title: str, told: str, label: str, act: Callable[[], None]) -> None:
    """An empty panel with the one thing to do next."""
    _empty(title, told)
    _centred(label, "offered", act)


def _empty(title: str, told: str) -> None:
    st.html(f'<div class="mw-empty"><h2>{looks.place(title)}</h2><p>{looks.place(told)}</p></div>')


def _centred(label: str, key: str, act: Callable[[], None]) -> None:
    with st.container(horizontal=True, horizontal_alignment="center"):
        st.button(label, key=key, on_click=act, type="primary")


def _slug(text: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in text.lower())
