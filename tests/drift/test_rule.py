"""The rule: the correction against known answers, confirmation and hysteresis by table."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import false_discovery_control

from drift.policy import Rule
from drift.rule import Step, adjusted, confirm, moved, step

RULE = Rule(q=0.01, needed=2, of=3, clear=0.7)


def test_the_correction_equals_a_worked_example() -> None:
    # By hand, m = 5: 0.01·5/1, 0.02·5/2, 0.03·5/3, 0.04·5/4 = 0.05 each, then 0.5·5/5.
    assert adjusted([0.03, 0.5, 0.01, 0.04, 0.02]) == pytest.approx([0.05, 0.5, 0.05, 0.05, 0.05])
    # By hand, m = 4: 0.9; min(0.9, 0.3·4/3 = 0.4); min(0.4, 0.008·4/2); min(0.016, 0.001·4).
    assert adjusted([0.001, 0.3, 0.008, 0.9]) == pytest.approx([0.004, 0.4, 0.016, 0.9])


@pytest.mark.parametrize("p_values", [[], [0.2], [0.0, 0.0, 1.0], [1.0, 1.0], [0.5] * 7])
def test_the_correction_handles_the_edges(p_values: list[float]) -> None:
    expected = false_discovery_control(p_values).tolist() if p_values else []
    assert adjusted(p_values) == pytest.approx(expected)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=60))
def test_the_correction_equals_scipy(p_values: list[float]) -> None:
    assert adjusted(p_values) == pytest.approx(false_discovery_control(p_values).tolist())


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40), st.floats(0.001, 0.5))
def test_the_adjusted_values_reject_what_the_step_up_procedure_rejects(
    p_values: list[float], q: float
) -> None:
    ordered = np.sort(p_values)
    below = np.flatnonzero(ordered <= np.arange(1, len(ordered) + 1) / len(ordered) * q)
    cut = ordered[below[-1]] if len(below) else -1.0
    for p, value in zip(p_values, adjusted(p_values), strict=True):
        if abs(value - q) > 1e-12:
            assert (value <= q) == (p <= cut)


@pytest.mark.parametrize(
    ("score", "q", "expected"),
    [(0.1, 0.01, True), (0.099, 0.0, False), (5.0, 0.011, False), (5.0, 0.0, True)],
)
def test_a_column_moved_only_by_effect_and_chance_together(
    score: float, q: float, expected: bool
) -> None:
    assert moved(RULE, score, 0.1, q) is expected


# Verdict and level of each window, and the state expected after it: seen, confirmed, entry.
# S shift · o ok and calm · h ok but above 70 % · F fault · I insufficient
STORIES = {
    "one shift confirms nothing": ("S", ["1-c"]),
    "two of three confirm": ("oSS", ["0-c", "1-c", "2+o"]),
    "a gap of one still confirms": ("SoS", ["1-c", "1-c", "2+o"]),
    "a gap of two does not": ("SooS", ["1-c", "1-c", "1-c", "1-c"]),
    "one calm window does not clear": ("SSoS", ["1-c", "2+o", "2-o", "2+o"]),
    "two calm windows clear": ("SSoo", ["1-c", "2+o", "2-o", "1-c"]),
    "above 70 % is not calm": ("SShhh", ["1-c", "2+o", "2-o", "1-o", "0-o"]),
    "calm windows must follow each other": ("SSohoo", ["1-c", "2+o", "2-o", "1-o", "0-o", "0-c"]),
    "faults and lack count neither way": ("SFIS", ["1-c", "1-c", "1-c", "2+o"]),
    "an entry stays open through a fault": ("SSoFo", ["1-c", "2+o", "2-o", "2-o", "1-c"]),
    "counting starts anew after clearing": ("SSooSS", ["1-c", "2+o", "2-o", "1-c", "1-c", "2+o"]),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_confirmation_and_hysteresis(story: str) -> None:
    windows, expected = STORIES[story]
    meaning = {
        "S": ("shift", 2.0),
        "o": ("ok", 0.3),
        "h": ("ok", 0.8),
        "F": ("fault", 0.0),
        "I": ("insufficient", 0.0),
    }
    history: list[Step] = []
    states = []
    for number, letter in enumerate(windows):
        verdict, level = meaning[letter]
        now = Step(f"w{number}", verdict, level)
        state = confirm(RULE, history, now)
        states.append(f"{state.seen}{'+' if state.confirmed else '-'}{state.entry[0]}")
        history.append(Step(now.start, verdict, level, state.entry, state.since))
    assert states == expected


def test_with_a_long_memory_shifts_from_before_the_clearing_do_not_confirm_again() -> None:
    rule = Rule(needed=2, of=10)
    history: list[Step] = []
    for number, letter in enumerate("SSooS"):
        now = Step(f"w{number}", "shift" if letter == "S" else "ok", 2.0 if letter == "S" else 0.0)
        state = confirm(rule, history, now)
        history.append(Step(now.start, now.verdict, now.level, state.entry, state.since))
    assert (state.seen, state.confirmed, state.entry) == (1, False, "clear")


def test_an_entry_remembers_the_window_that_opened_it() -> None:
    history: list[Step] = []
    since = []
    for number, letter in enumerate("SSSoo"):
        now = Step(f"w{number}", "shift" if letter == "S" else "ok", 2.0 if letter == "S" else 0.0)
        state = confirm(RULE, history, now)
        since.append(state.since)
        history.append(Step(now.start, now.verdict, now.level, state.entry, state.since))
    assert since == [None, "w1", "w1", "w1", None]


def test_the_level_of_a_window_is_its_largest_significant_effect() -> None:
    def column(score: float | None, q: float | None) -> dict[str, float | None]:
        return {"score": score, "threshold": 0.1, "q": q}

    body = {
        "window": {"start": "2013-01-01T00:00:00Z"},
        "verdict": "ok",
        "columns": [column(0.05, 0.001), column(0.4, 0.5), column(None, None)],
        "confirmation": {"entry": "open", "since": "2012-12-01T00:00:00Z"},
    }
    found = step(RULE, body)
    assert found.level == pytest.approx(0.5)
    assert (found.entry, found.since) == ("open", "2012-12-01T00:00:00Z")
