"""Shapes of the API's answers, as far as the pages read them.

Unknown fields are ignored and absent ones have defaults, so that pages and API may be a version
apart. Times are RFC 3339 UTC text; durations are milliseconds; `None` means the API does not know.
"""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from msgspec import Struct, field

from dashboard.connected import Health

Item = TypeVar("Item")


class Listing(Struct, Generic[Item], frozen=True):
    """One keyset page; `next` is the cursor of the following one."""

    items: tuple[Item, ...] = ()
    next: str | None = None


class Me(Struct, frozen=True):
    """Who is signed in; `can` maps each action to allow, metadata, request, second or deny."""

    actor: str
    roles: tuple[str, ...] = ()
    integration: str | None = None
    can: dict[str, str] = field(default_factory=dict)


class SignIn(Struct, frozen=True):
    token: str
    actor: str = ""
    roles: tuple[str, ...] = ()


class Log(Struct, frozen=True):
    origin: str = ""
    vkey: str = ""
    size: int = 0
    checkpoint: str = ""
    store: str = "main"


class VersionSeen(Struct, frozen=True):
    version: str
    first: str | None = None
    last: str | None = None
    predictions: int = 0


class ModelSeen(Struct, frozen=True):
    name: str
    versions: tuple[VersionSeen, ...] = ()
    owner: str | None = None


class IntegrationSeen(Struct, frozen=True):
    """One integration; `declared` by the operator, with an adapter unless it sends our format."""

    name: str
    first: str | None = None
    last: str | None = None
    events: int = 0
    errors: int = 0
    last_minute: int | None = None
    owner: str | None = None
    declared: bool = False
    adapter: str | None = None
    cadence: str | None = None
    region: str | None = None
    health: Health = Health()


class ModelState(Struct, frozen=True):
    """One model version on the overview."""

    name: str
    version: str = ""
    status: str = "unknown"
    predictions: int = 0
    errors: int = 0
    p95: float | None = None
    last_prediction: str | None = None
    verdict: str | None = None
    drifted: int | tuple[str, ...] | None = None
    open_alerts: int = 0
    unlabelled_share: float | None = None


class Verified(Struct, frozen=True):
    size: int = 0
    at: str | None = None


class Overview(Struct, frozen=True):
    predictions: int = 0
    errors: int = 0
    p95: float | None = None
    models: tuple[ModelState, ...] = ()
    integrations: tuple[IntegrationSeen, ...] = ()
    alerts_open: int = 0
    cases_open: int = 0
    verified: Verified | None = None
    as_of: str | None = None


class Rollup(Struct, frozen=True):
    start: str
    keys: dict[str, str] = field(default_factory=dict)
    count: int = 0
    errors: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None


class LatencySummary(Struct, frozen=True):
    count: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    under_slo: float | None = None


class LatencyPoint(Struct, frozen=True):
    start: str
    count: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    under_slo: float | None = None


class LatencyCell(Struct, frozen=True):
    start: str
    low_ms: float = 0.0
    high_ms: float | None = None
    count: int = 0


class LatencyGroup(Struct, frozen=True):
    integration: str = "-"
    model: str = "-"
    version: str = "-"
    count: int = 0
    p50: float | None = None
    p95: float | None = None
    p99: float | None = None
    under_slo: float | None = None


class Slow(Struct, frozen=True):
    index: int
    time: str
    integration: str = "-"
    model: str = "-"
    version: str = "-"
    latency_ms: float | None = None


class Latency(Struct, frozen=True):
    summary: LatencySummary = LatencySummary()
    points: tuple[LatencyPoint, ...] = ()
    heat: tuple[LatencyCell, ...] = ()
    by: tuple[LatencyGroup, ...] = ()
    slowest: tuple[Slow, ...] = ()


class Hit(Struct, frozen=True):
    index: int
    type: str = ""
    integration: str = "-"
    model: str = "-"
    version: str = "-"
    status: str = "ok"
    time: str | None = None
    logged: str | None = None
    latency_ms: float | None = None


class Found(Struct, frozen=True):
    items: tuple[Hit, ...] = ()
    next: str | None = None
    snapshot: int | None = None


class Check(Struct, frozen=True):
    """One check of the proof; state is ok, failed or unchecked, never assumed."""

    state: str = "unchecked"
    detail: str = ""


class TraceVerdict(Struct, frozen=True):
    hash: Check = Check()
    inclusion: Check = Check()
    signature: Check = Check()
    retention: Check = Check()
    checked_at: str | None = None
    verifier: str = ""


class DecisionMade(Struct, frozen=True):
    model: Any = None
    version: str | None = None
    time: str | None = None
    status: str = "ok"
    latency_ms: Any = None
    inputs: Any = None
    output: Any = None
    score: Any = None
    confidence: Any = None
    explanation: Any = None
    decision: Any = None
    lineage: Any = None
    masked: tuple[str, ...] = ()


class Moment(Struct, frozen=True):
    index: int
    type: str
    time: str | None = None
    logged: str | None = None
    actor: str | None = None
    summary: str = ""
    simulated: bool | None = None


class Look(Struct, frozen=True):
    time: str
    actor: str = "-"
    action: str = ""
    index: int | None = None


class Trace(Struct, frozen=True):
    """One entry with its proof and story; the trace of an outcome is that of its prediction.

    `decision` is None for an entry that is about no known prediction, `leaf` where its bytes are
    no leaf any more. `prediction` is the entry of the decision where it is told, else `index` is.
    """

    index: int
    prediction: int | None = None
    verdict: TraceVerdict = TraceVerdict()
    decision: DecisionMade | None = None
    timeline: tuple[Moment, ...] = ()
    leaf: dict[str, Any] | None = None
    canonical: str = ""
    proof: str = ""
    checkpoint: str = ""
    looked: tuple[Look, ...] = ()


class Entry(Struct, frozen=True):
    """One entry as this person may see it; `masked` lists JSON pointers of hidden values."""

    index: int
    body: Any = None
    masked: tuple[str, ...] = ()


class Node(Struct, frozen=True):
    id: str
    kind: str
    label: str = ""
    detail: dict[str, Any] = field(default_factory=dict)
    status: str | None = None


class Edge(Struct, frozen=True):
    source: str = field(name="from")
    target: str = field(name="to")
    label: str = ""
    count: int | None = None


class Lineage(Struct, frozen=True):
    nodes: tuple[Node, ...] = ()
    edges: tuple[Edge, ...] = ()


class Ticket(Struct, frozen=True):
    ticket: str


class Problem(Struct, frozen=True):
    """RFC 9457."""

    title: str = ""
    status: int = 0
    detail: str = ""
    remedy: str = ""
    instance: str = ""
