"""What the demonstration is told: addresses, tokens and a directory, nothing else."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from collector.demo.retrainer import Retrainer

DEFAULT_SAMPLE: Final = 60_000
POLICY: Final = Path(__file__).with_name("policy.yaml")


@dataclass(frozen=True, slots=True)
class DemoSettings:
    """api: base address of `serve`; dashboard: address with the one-time code; tokens: one for
    each of `traffic.INTEGRATIONS`; person_token: reads everything and approves; retrainer_token:
    role retrainer; data: everything that is written lies below it; vkey: the ledger's; apply: puts
    a policy file in force; stage: the retrainer whose `environment` the scheduler was started
    with; sample: how many flights, None for all; window_seconds: patience for one judgement
    or retraining, at least; more flights are given more;
    clock: µs since the epoch.
    """

    api: str
    dashboard: str
    tokens: Mapping[str, str] = field(repr=False)
    person_token: str = field(repr=False)
    retrainer_token: str = field(repr=False)
    data: Path
    vkey: str
    apply: Callable[[Path], None]
    stage: Retrainer
    sample: int | None = DEFAULT_SAMPLE
    window_seconds: float = 180.0
    clock: Callable[[], int] = lambda: time.time_ns() // 1000
