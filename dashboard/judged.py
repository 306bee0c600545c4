"""Shapes of what the API tells about drift, alerts and cases; as tolerant as `answers`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct, field


class ModelName(Struct, frozen=True):
    name: str = "-"
    version: str = "-"


class Fault(Struct, frozen=True):
    kind: str
    share: float | None = None
    limit: float | list[float] | None = None
    detail: str = ""


class Histogram(Struct, frozen=True):
    bins: tuple[Any, ...] = ()
    reference: tuple[float, ...] = ()
    current: tuple[float, ...] = ()


class ColumnVerdict(Struct, frozen=True):
    name: str
    role: str = "input"
    kind: str = "numeric"
    verdict: str = "insufficient"
    test: str | None = None
    score: float | None = None
    threshold: float | None = None
    p: float | None = None
    q: float | None = None
    n_reference: int | None = None
    n_current: int | None = None
    missing: int | None = None
    faults: tuple[Fault, ...] = ()
    histogram: Histogram | None = None


class Rows(Struct, frozen=True):
    """A window by its bounds; `rows` is how many were judged."""

    start: str | None = None
    end: str | None = None
    rows: int = 0


class Confirmation(Struct, frozen=True):
    needed: int = 1
    of: int = 1
    seen: int = 0
    confirmed: bool = False
    entry: str | None = None


class PolicyName(Struct, frozen=True):
    name: str = ""
    revision: str = ""


class Measured(Struct, frozen=True):
    """One judged window (DriftMeasured without its report); `index` is its place in the ledger."""

    time: str
    index: int | None = None
    id: str = ""
    model: ModelName = ModelName()
    policy: PolicyName = PolicyName()
    segment: Any = None
    window: Rows = Rows()
    reference: Rows = Rows()
    verdict: str = "insufficient"
    reason: str = ""
    columns: tuple[ColumnVerdict, ...] = ()
    drifted: tuple[str, ...] = ()
    faulty: tuple[str, ...] = ()
    confirmation: Confirmation | None = None


class Evidence(Struct, frozen=True):
    index: int
    leaf_hash: str = ""


class Alert(Struct, frozen=True):
    """A thing a person must see; state is raised, acknowledged or resolved."""

    id: str
    kind: str = "shift"
    model: str = "-"
    version: str = "-"
    segment: str = "all"
    state: str = "raised"
    raised: str | None = None
    changed: str | None = None
    index: int | None = None
    reason: str = ""
    owner: str = ""
    integration: str = ""
    case: str = ""
    columns: tuple[str, ...] = ()
    evidence: tuple[Evidence, ...] = ()
    acknowledged_by: str = ""
    acknowledged_reason: str = ""
    resolved_by: str = ""
    simulated: bool = False


class Step(Struct, frozen=True):
    """One event of a case."""

    type: str
    index: int | None = None
    time: str | None = None
    actor: str = ""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    simulated: bool = False


class Case(Struct, frozen=True):
    """A retraining case; `steps` brought it to `state`, oldest first.

    `version` is the one that drifted, `candidate` the one that retraining gave; `ignored` are
    steps that came when they could not be taken.
    """

    id: str
    model: str = "-"
    version: str = "-"
    state: str = "proposed"
    opened: str | None = None
    changed: str | None = None
    proposer: str = ""
    policy: PolicyName | None = None
    segment: str = "all"
    windows: tuple[Rows, ...] = ()
    columns: tuple[str, ...] = ()
    owner: str = ""
    approver: str = ""
    dispatched: str = ""
    attempts: int = 0
    candidate: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)
    verdict: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    simulated: bool = False
    steps: tuple[Step, ...] = ()
    ignored: tuple[Step, ...] = ()
