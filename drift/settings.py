"""How the scheduler and the case engine of this process behave.

Decides defaults only; what is watched and when is decided by the policies, which are events.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

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
        """Return the settings of MODELWITNESS_DRIFT_TICK and _WORKERS, defaults for the rest."""
        found = os.environ if environment is None else environment
        return cls(
            tick=float(found.get("MODELWITNESS_DRIFT_TICK", "5")),
            workers=int(found.get("MODELWITNESS_DRIFT_WORKERS", "1")),
        )
