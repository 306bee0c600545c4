"""A retraining case as a pure function of its events.

    (none) ─Proposed→ proposed ─Approved→ approved ─Dispatched→ dispatched ─Acknowledged→
    acknowledged ─CandidateRegistered→ candidate ─ChallengerJudged→ judged ─Closed→ closed
    proposed ─Rejected→ rejected;  any open state ─Closed→ closed, when its time is up

Before the case stand *detected* and *confirmed*: a DriftMeasured, and one whose confirmation says
so. Decides which step may follow which, who may take it, and what keeps a case from being opened;
hides that a fast retrainer may answer before its dispatch is on record, which is no error: the
answer proves the delivery, and the record of it changes no state when it comes.
"""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from audit.events import micros
from drift.errors import IllegalStep, SamePerson

State = Literal[
    "proposed",
    "approved",
    "rejected",
    "dispatched",
    "acknowledged",
    "candidate",
    "judged",
    "closed",
]
SETTLED: frozenset[State] = frozenset({"rejected", "closed"})

STEPS: Mapping[tuple[State | None, str], State] = {
    (None, "RetrainingProposed"): "proposed",
    ("proposed", "RetrainingApproved"): "approved",
    ("proposed", "RetrainingRejected"): "rejected",
    ("approved", "RetrainingDispatched"): "dispatched",
    ("approved", "RetrainingAcknowledged"): "acknowledged",
    ("dispatched", "RetrainingAcknowledged"): "acknowledged",
    ("approved", "CandidateRegistered"): "candidate",
    ("dispatched", "CandidateRegistered"): "candidate",
    ("acknowledged", "CandidateRegistered"): "candidate",
    ("candidate", "ChallengerJudged"): "judged",
    ("judged", "RetrainingClosed"): "closed",
}
"""Which state a step leads to. `advance` adds two rules: a dispatch recorded late, and expiry."""

MOST_IGNORED = 100
"""Steps that a case notes without taking them; a producer could send them without end."""

CASE_EVENTS = frozenset(type for _, type in STEPS) | {"VersionReleased"}
REASONED = frozenset({"RetrainingApproved", "RetrainingRejected"})


class Evidence(Struct, frozen=True):
    """An entry that a step rests on: its index and its leaf hash in base64, as receipts tell it."""

    index: int
    leaf_hash: str


class Span(Struct, frozen=True):
    """A window, RFC 3339, end exclusive."""

    start: str
    end: str


class Named(Struct, frozen=True):
    name: str
    version: str


class PolicyRef(Struct, frozen=True):
    name: str
    revision: str


class CaseEvent(Struct, frozen=True):
    """What the body of any case event may hold; each type uses its part.

    `by_policy` marks an approval that nobody gave, because the policy asks for none: the entry of
    the policy is then among its evidence.
    """

    id: str
    time: str
    model: Named
    case: str = ""
    actor: str = ""
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    simulated: bool = False
    by_policy: bool = False
    policy: PolicyRef | None = None
    incident: str = ""
    segment: str = "all"
    windows: tuple[Span, ...] = ()
    columns: tuple[str, ...] = ()
    owner: str = ""
    senders: tuple[str, ...] = ()
    candidate: str = ""
    metrics: dict[str, Any] = {}
    verdict: dict[str, Any] = {}
    outcome: str = ""
    attempts: int = 0


class Step(Struct, frozen=True, omit_defaults=True):
    """One event of a case, as its history shows it."""

    type: str
    index: int
    time: str
    actor: str
    reason: str = ""
    evidence: tuple[Evidence, ...] = ()
    simulated: bool = False


class Case(Struct, frozen=True):
    """A retraining case: where it stands and how it came there.

    `version` is the one that drifted, `candidate` the one that retraining gave; `dispatched` is
    the time of the dispatch, "" before it; `senders` are the integrations that may release for it
    beside those whom the policy lists (the first that predicted, where it listed none when the
    case was opened); `ignored` lists steps that could not be taken when they came (two people
    deciding at once), so that nothing is hidden.
    """

    id: str
    model: str
    version: str
    state: State
    opened: str
    changed: str
    proposer: str
    policy: PolicyRef | None = None
    incident: str = ""
    segment: str = "all"
    windows: tuple[Span, ...] = ()
    columns: tuple[str, ...] = ()
    owner: str = ""
    senders: tuple[str, ...] = ()
    approver: str = ""
    dispatched: str = ""
    attempts: int = 0
    candidate: str = ""
    metrics: dict[str, Any] = {}
    verdict: dict[str, Any] = {}
    outcome: str = ""
    simulated: bool = False
    steps: tuple[Step, ...] = ()
    ignored: tuple[Step, ...] = ()

    @property
    def settled(self) -> bool:
        return self.state in SETTLED


def case_id(model: str, version: str, revision: str, segment: str, incident: str) -> str:
    """Return the idempotency key of a case: one per model, version, policy revision, incident.

    It begins with the incident's time, so that ids in order are cases in order of time, and is
    safe in the path of an address.
    """
    key = "\n".join((model, version, revision, segment, incident))
    stamp = "".join(c for c in incident if c.isdigit())[:12]
    return f"{stamp}-{hashlib.sha256(key.encode()).hexdigest()[:20]}"


def advance(case: Case | None, type: str, event: CaseEvent, index: int) -> Case:
    """Return the case after the event at `index` of the ledger.

    Raises `IllegalStep` where the state does not allow the event or the event lacks what its
    step requires (a named person, a reason, a candidate), and `SamePerson` where who proposed
    also approves.
    """
    if type == "VersionReleased":
        type, event = "CandidateRegistered", replace(event, candidate=event.model.version)
    step = Step(
        type=type,
        index=index,
        time=event.time,
        actor=event.actor,
        reason=event.reason,
        evidence=event.evidence,
        simulated=event.simulated,
    )
    state = _next(case, type, event)
    if case is None:
        return _opened(event, step)
    _check(case, type, event)
    return replace(
        case,
        state=state,
        changed=event.time,
        approver=event.actor if type == "RetrainingApproved" else case.approver,
        dispatched=event.time if type == "RetrainingDispatched" else case.dispatched,
        attempts=event.attempts or case.attempts,
        candidate=event.candidate or case.candidate,
        metrics=event.metrics or case.metrics,
        verdict=event.verdict or case.verdict,
        outcome=event.reason if state == "rejected" else event.outcome or case.outcome,
        simulated=case.simulated or event.simulated,
        steps=(*case.steps, step),
    )


def ignore(case: Case, type: str, event: CaseEvent, index: int) -> Case:
    """Return the case with a step noted that it could not take."""
    step = Step(type=type, index=index, time=event.time, actor=event.actor, reason=event.reason)
    return replace(case, ignored=(*case.ignored, step)[:MOST_IGNORED])


def blocked(cases: Iterable[Case], now_us: int, cooldown_us: int) -> str | None:
    """Return why no case may be opened now for the model of `cases`, or None.

    One open case per model; after a dispatch, none until the cooldown is over.
    """
    for case in cases:
        if not case.settled:
            return f"case {case.id} is open ({case.state})"
        if case.dispatched and now_us < micros(case.dispatched) + cooldown_us:
            return f"case {case.id} was dispatched at {case.dispatched}; the cooldown still runs"
    return None


def overdue(case: Case, since_us: int, now_us: int, limits_us: Mapping[str, int]) -> bool:
    """Whether the case has stood in its state for longer than `limits_us` gives that state.

    `since_us` is when its last step was logged, not the time that who took the step gave it.
    """
    limit = limits_us.get(case.state)
    return limit is not None and now_us >= since_us + limit


def _next(case: Case | None, type: str, event: CaseEvent) -> State:
    state = case.state if case is not None else None
    found = STEPS.get((state, type))
    if found is not None:
        return found
    if case is not None and not case.settled:
        late = type == "RetrainingDispatched" and not case.dispatched
        if late and case.state in {"acknowledged", "candidate"}:
            return case.state
        if type == "RetrainingClosed" and event.outcome == "expired":
            return "closed"
    raise IllegalStep(
        f"{type} cannot follow: the case is {state or 'not proposed'}",
        remedy="Read the case again and take a step that its state allows.",
    )


def _check(case: Case, type: str, event: CaseEvent) -> None:
    if event.model.name != case.model:
        raise IllegalStep(f"{type} names another model than its case", field="/model/name")
    if not event.actor and type != "CandidateRegistered":
        raise IllegalStep(f"{type} names no actor", field="/actor", remedy="Name who acts.")
    if type in REASONED and not event.reason.strip():
        raise IllegalStep(f"{type} gives no reason", field="/reason", remedy="Say why.")
    if type == "RetrainingApproved" and event.actor == case.proposer and not event.by_policy:
        raise SamePerson("who proposed a retraining may not approve it; ask a second person")
    if type == "CandidateRegistered" and event.candidate in {"", case.version}:
        raise IllegalStep(
            "a candidate needs a version of its own",
            field="/version",
            remedy="Name the new version, other than the one that drifted.",
        )


def _opened(event: CaseEvent, step: Step) -> Case:
    return Case(
        id=event.case,
        model=event.model.name,
        version=event.model.version,
        state="proposed",
        opened=event.time,
        changed=event.time,
        proposer=event.actor,
        policy=event.policy,
        incident=event.incident,
        segment=event.segment,
        windows=event.windows,
        columns=event.columns,
        owner=event.owner,
        senders=event.senders,
        simulated=event.simulated,
        steps=(step,),
    )
