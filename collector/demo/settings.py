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
    """api: base address of `serve`; signin: gives an address of the pages with a new one-time
    code, None where nothing listens once the story is told; again: the command, without its
    program, that gives another code, or starts everything; store: options that name the store;
    tokens: one for each of `traffic.INTEGRATIONS`; person_token: reads everything and approves;
    retrainer_token: role retrainer; data: everything that is written lies below it; vkey: the
    ledger's; apply: puts a policy file in force; stage: the retrainer whose `environment` the
    scheduler was started with; sample: how many flights, None for all; window_seconds: patience
    for one judgement or retraining, at least; more flights are given more; watch: raises once
    something that the story needs has ended; clock: µs since the epoch.
    """

    api: str
    signin: Callable[[], str] | None
    again: str
    store: str
    tokens: Mapping[str, str] = field(repr=False)
    person_token: str = field(repr=False)
    retrainer_token: str = field(repr=False)
    data: Path
    vkey: str
    apply: Callable[[Path], None]
    stage: Retrainer
    sample: int | None = DEFAULT_SAMPLE
    window_seconds: float = 180.0
    watch: Callable[[], None] = lambda: None
    clock: Callable[[], int] = lambda: time.time_ns() // 1000
