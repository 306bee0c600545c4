"""One window against its reference becomes the body of one DriftMeasured event (sketch)."""

from collections.abc import Mapping, Sequence
from typing import Any

from drift.columns import Columns
from drift.policy import Policy
from drift.windows import Window

ALL = "all"
"""The segment that holds every row."""


def judge(
    policy: Policy,
    window: Window,
    reference: Columns,
    current: Columns,
    *,
    version: str = "-",
    history: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The DriftMeasured body of one window, all rows together.

    `history` are the bodies (the report may be left out) of earlier windows of the same policy
    revision, version and segment, oldest first: they decide the confirmation. `version` is the
    model version that predicted the window's rows. Pure, picklable, made for a process pool.
    """
    return judge_segments(
        policy,
        window,
        {ALL: reference},
        {ALL: current},
        version=version,
        history={ALL: history},
    )[0]


def judge_segments(
    policy: Policy,
    window: Window,
    reference: Mapping[str, Columns],
    current: Mapping[str, Columns],
    *,
    version: str = "-",
    history: Mapping[str, Sequence[Mapping[str, Any]]] | None = None,
) -> list[dict[str, Any]]:
    """One DriftMeasured body for each segment, corrected together across columns × segments."""
    raise NotImplementedError
