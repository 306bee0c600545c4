"""How the scheduler and the case engine of this process behave.

Decides defaults and names (`MODELWITNESS_DRIFT_*` in the environment) only; what is watched and
when is decided by the policies, which are events.
"""

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from drift.errors import BadSetting

PREFIX = "MODELWITNESS_DRIFT_"
DAY_US = 86_400 * 1_000_000


def _limits() -> Mapping[str, int]:
    return {
        "proposed": 30 * DAY_US,
        "approved": 7 * DAY_US,
        "dispatched": 7 * DAY_US,
        "acknowledged": 7 * DAY_US,
        "candidate": 90 * DAY_US,
    }


@dataclass(frozen=True, slots=True)
class DriftSettings:
    """Seconds unless the name says otherwise.

    tick: pause between two looks at the policies; lease: how long a scheduler may be silent
    before another takes over (one that judges is not silent, however long it takes); workers:
    processes that judge; deliver_timeout: for one HTTP request of the outbox; attempts: deliveries
    before a message is dead; backoff, backoff_most: first and longest pause between deliveries;
    ticket: life of a link to a report; render_timeout: for drawing one; export_bytes: most memory
    for one labelled data set; limits_us: how long a case may stay in a state.
    """

    tick: float = 5.0
    lease: float = 60.0
    workers: int = 1
    deliver_timeout: float = 10.0
    attempts: int = 8
    backoff: float = 2.0
    backoff_most: float = 3600.0
    ticket: float = 60.0
    render_timeout: float = 60.0
    export_bytes: int = 256 * 1024 * 1024
    limits_us: Mapping[str, int] = field(default_factory=_limits)

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None) -> "DriftSettings":
        """Return the settings that the environment gives, defaults for the rest.

        Every number has a variable: MODELWITNESS_DRIFT_TICK, …_EXPORT_BYTES. Raises `BadSetting`.
        """
        found = os.environ if environment is None else environment
        given: dict[str, Any] = {}
        for each in fields(cls):
            text = found.get(PREFIX + each.name.upper())
            if text is not None and isinstance(each.default, int | float):
                given[each.name] = _number(PREFIX + each.name.upper(), text, type(each.default))
        return cls(**given)


def _number(name: str, text: str, kind: type[int] | type[float]) -> int | float:
    try:
        number = kind(text)
    except ValueError:
        number = 0
    if number > 0 and math.isfinite(number):
        return number
    whole = "whole " if kind is int else ""
    raise BadSetting(
        f"{name} is no {whole}number above 0",
        remedy=f"Correct it, or unset {name} for the default.",
    )
