"""The bodies of events, as producers send them.

Decides which fields each event type has, which are required and what they may hold; the fields
are those of the prediction record, and the JSON Schemas of the API are generated from here.
Hides nothing: a body is plain data. Fields that are not named here are kept and sealed as they
came, so a producer may send more than this version reads.

Every body carries `id`, the producer's own key (idempotent within one integration and type), and
`time`, RFC 3339 with an explicit zone.
"""

from datetime import datetime
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

NAME_PATTERN = r"^[A-Za-z0-9._:/@-]{1,128}$(?!\n)"
"""What a leaf may carry; Python's `$` alone would let a final newline pass."""

Id = Annotated[str, Meta(min_length=1, max_length=256, description="Producer's idempotency key")]
Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=NAME_PATTERN)]
Time = Annotated[datetime, Meta(tz=True, description="RFC 3339 with a zone")]
Sequence = Annotated[
    int, Meta(ge=0, le=2**63 - 1, description="Counts the events of one producer, by ones")
]
Share = Annotated[float, Meta(ge=0, le=1)]
Milliseconds = Annotated[float, Meta(ge=0, le=1e12)]
Text = Annotated[str, Meta(max_length=4096)]


class Dataset(Struct, frozen=True, omit_defaults=True):
    name: Text
    digest: Text | None = None


class Lineage(Struct, frozen=True, omit_defaults=True):
    """Where a model version comes from."""

    training_run: Text | None = None
    datasets: list[Dataset] = []
    feature_set: Text | None = None
    code_commit: Text | None = None
    artifact_digest: Text | None = None
    prompt_template: Any = None


class Model(Struct, frozen=True, omit_defaults=True):
    name: Name
    version: Name
    lineage: Lineage | None = None


class Attribution(Struct, frozen=True, omit_defaults=True):
    feature: Text
    value: Any = None
    contribution: float | None = None


class Explanation(Struct, frozen=True, omit_defaults=True):
    method: Text | None = None
    attributions: list[Attribution] = []
    reason_codes: list[Text] = []


class Decision(Struct, frozen=True, omit_defaults=True):
    effect: Text | None = None
    automation: Text | None = None
    threshold: float | None = None
    policy_version: Text | None = None


class Subject(Struct, frozen=True):
    """The person a prediction is about: sealed, found through a blind index only."""

    id: Annotated[str, Meta(min_length=1, max_length=512)]
    scheme: Name = "default"


class Latency(Struct, frozen=True, omit_defaults=True):
    total: Milliseconds
    queue: Milliseconds | None = None
    features: Milliseconds | None = None
    model: Milliseconds | None = None


class Context(Struct, frozen=True, omit_defaults=True):
    environment: Text | None = None
    shadow: bool | None = None
    purpose: Text | None = None
    lawful_basis: Text | None = None
    jurisdiction: Text | None = None
    region: Text | None = None
    retention_class: Name | None = None
    segment: dict[str, Any] = {}
    traceparent: Text | None = None


class PredictionRef(Struct, frozen=True, omit_defaults=True):
    """Names the prediction that an outcome, oversight or explanation is about."""

    id: Id
    integration: Name | None = None


References = dict[str, str | int]


class Prediction(Struct, frozen=True, omit_defaults=True):
    """One model output for one input: the body of PredictionLogged."""

    id: Id
    time: Time
    model: Model
    inputs: dict[str, Any]
    output: Any = None
    status: Literal["ok", "error", "fallback"] = "ok"
    sequence: Sequence | None = None
    producer: Name | None = None
    score: float | None = None
    confidence: Share | None = None
    error: Any = None
    explanation: Explanation | None = None
    decision: Decision | None = None
    subject: Subject | None = None
    references: References = {}
    latency_ms: Latency | None = None
    context: Context | None = None


class About(Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What outcomes, oversight and explanations share."""

    id: Id
    time: Time
    prediction: PredictionRef
    model: Model | None = None
    subject: Subject | None = None
    references: References = {}
    context: Context | None = None
    sequence: Sequence | None = None
    producer: Name | None = None


class Outcome(About, frozen=True, omit_defaults=True, kw_only=True):
    """The truth observed later: the body of OutcomeObserved."""

    outcome: Any
    label_source: Text | None = None


class Oversight(About, frozen=True, omit_defaults=True, kw_only=True):
    """What a person did with a prediction: the body of OversightRecorded."""

    action: Literal["accept", "override", "correct", "escalate"]
    reviewer: Text | None = None
    role: Text | None = None
    reason_code: Text | None = None
    reason: Text | None = None
    final_output: Any = None
    review_ms: Milliseconds | None = None
    saw_explanation: bool | None = None
    simulated: bool = False


class ExplanationEvent(About, frozen=True, omit_defaults=True, kw_only=True):
    """A late or asked-for explanation: the body of ExplanationAttached."""

    explanation: Explanation


class Version(Struct, frozen=True, omit_defaults=True):
    """A model version and what it was made from: the body of VersionReleased."""

    id: Id
    time: Time
    model: Model
    case: Name | None = None
    metrics: dict[str, float] = {}
    simulated: bool = False


class Observed(Struct, frozen=True, omit_defaults=True):
    """What an orchestrator tells of a run, a job or a dataset: the body of LineageObserved.

    `model` is the version that a training run made, `state` the run's as it was told.
    """

    id: Id
    time: Time
    run: Text | None = None
    job: Text | None = None
    state: Text | None = None
    inputs: list[Dataset] = []
    outputs: list[Dataset] = []
    parent_run: Text | None = None
    parent_job: Text | None = None
    code_commit: Text | None = None
    model: Model | None = None
    references: References = {}


Counted = Literal["PredictionLogged", "OutcomeObserved", "OversightRecorded", "ExplanationAttached"]
"""The types of events that a producer counts."""


class Numbers(Struct, frozen=True, omit_defaults=True):
    """The first and the last `sequence` that a producer gave out, both included."""

    first: Sequence
    last: Sequence


class CountsReported(Struct, frozen=True, omit_defaults=True):
    """How many events a producer sent: the body of CountsReported.

    `counts` are those whose own time lies in the range (`to` is not included); `dropped` were made
    and lost before they could be sent. With a `producer` the range is of whole hours in UTC. A
    later report on a range that begins at the same time takes the place of the former.
    """

    id: Id
    time: Time
    start: Time = field(name="from")
    end: Time = field(name="to")
    counts: dict[Counted, Annotated[int, Meta(ge=0, le=2**53)]]
    dropped: Annotated[int, Meta(ge=0, le=2**53)] = 0
    producer: Name | None = None
    numbers: Numbers | None = None


class SystemBody(Struct, frozen=True, omit_defaults=True):
    """What every event of the system's own carries at least."""

    id: Id
    time: Time
    model: Model | None = None
    subject: Subject | None = None
    references: References = {}


BODIES: dict[str, type[Struct]] = {
    "PredictionLogged": Prediction,
    "OutcomeObserved": Outcome,
    "OversightRecorded": Oversight,
    "ExplanationAttached": ExplanationEvent,
    "VersionReleased": Version,
    "LineageObserved": Observed,
    "CountsReported": CountsReported,
}
"""Producers' event types and the struct that validates their bodies."""
