"""What is still to be judged: closed windows of every version, oldest first.

Decides that windows close by the watermark of the model (its newest prediction less the lateness
of the policy, never ahead of the clock); that a version is judged while it predicts; that a policy
revised later goes on where its predecessor stopped, for what was judged stays judged; and that no
window is judged against itself: those inside a fixed reference are left out. A silence is told as
windows without rows, but only as many of them as a confirmation looks at: a clock set to 1970 must
not cost half a million judgements. Hides where that is read: clear series, rollups, documents.
"""

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from audit.events import micros
from audit.store import Store
from drift.policy import HOUR_US, Policy
from drift.projection import progress_key
from drift.senders import Senders
from drift.verdicts import Progress
from drift.windows import Window, due, reference_of, watermark, window_at

MINUTE_US = 60_000_000
LOGGED = "PredictionLogged"
_decode_progress = msgspec.json.Decoder(Progress).decode


class Due(Struct, frozen=True, order=True):
    """A closed window of one version that has no verdict yet; ordered as it is to be judged."""

    window: Window
    version: str


class Duty(Struct, frozen=True):
    """What is to be judged now, and the time before which nothing more can become due."""

    due: list[Due]
    wake_us: int


def duty_of(store: Store, policy: Policy, now_us: int) -> Duty:
    """Return what is to be judged under this policy now, oldest window first.

    Nothing closes a window before the clock has passed its end and the lateness; late news of a
    version that was never seen may, so whoever rests until `wake_us` looks once a while.
    """
    spans = _spans(store, policy)
    if not spans:
        return Duty([], now_us)
    mark = watermark(max(last for _, last in spans.values()), now_us, policy.lateness_us)
    found: list[Due] = []
    for version, (first_us, last_us) in spans.items():
        after = _after(store, policy.model, version)
        start = first_us if after is None else max(first_us, after.end_us)
        if window_at(policy.window, start).end_us > mark or start > last_us:
            continue
        filled = _filled(store, policy, version, start, mark)
        for window in _told(policy, first_us, last_us, mark, after, filled):
            if not _inside_reference(policy, window, version):
                found.append(Due(window, version))
    return Duty(sorted(found), window_at(policy.window, mark).end_us + policy.lateness_us)


def _told(
    policy: Policy,
    first_us: int,
    last_us: int,
    mark: int,
    after: Window | None,
    filled: set[int],
) -> Iterator[Window]:
    """Every window with rows, and the first empty ones of each silence."""
    silent = 0
    for window in due(policy.window, first_us, mark, after):
        if window.start_us > last_us:
            return
        silent = 0 if window.start_us in filled else silent + 1
        if silent <= policy.rule.of:
            yield window


def _spans(store: Store, policy: Policy) -> dict[str, tuple[int, int]]:
    """First and last event time of each version's predictions."""
    spans: dict[str, tuple[int, int]] = {}
    senders = Senders.under(policy)
    for row in store.counts.series():
        if (row.type, row.model) == (LOGGED, policy.model) and senders.count(row.integration):
            first, last = spans.get(row.version, (row.first_us, row.last_us))
            spans[row.version] = (min(first, row.first_us), max(last, row.last_us))
    return spans


def _after(store: Store, model: str, version: str) -> Window | None:
    stored = store.documents.get("drift-progress", progress_key(model, version))
    if stored is None:
        return None
    progress = _decode_progress(stored)
    return Window(micros(progress.start), micros(progress.end))


def _filled(store: Store, policy: Policy, version: str, start: int, end: int) -> set[int]:
    """Starts of the windows that may have rows."""
    step = HOUR_US if policy.window in {"month", "week", "day", "hour"} else MINUTE_US
    rows = store.counts.rollups(
        start,
        end,
        by=["integration"],
        step_us=step,
        type=LOGGED,
        model=policy.model,
        version=version,
    )
    senders = Senders.under(policy)
    starts = {row.start_us for row in rows if senders.count(row.keys[0])}
    edges = {edge for start_us in starts for edge in (start_us, start_us + step - 1)}
    return {window_at(policy.window, edge).start_us for edge in edges}


def _inside_reference(policy: Policy, window: Window, version: str) -> bool:
    reference = policy.reference
    if reference.trailing_us or reference.version not in {None, version}:
        return False
    span = reference_of(policy, window)
    return window.start_us < span.end_us and span.start_us < window.end_us
