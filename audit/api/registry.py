"""Routes: models, integrations, lineage and the overview, from series, rollups and documents."""

from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
from litestar import get
from litestar.handlers import HTTPRouteHandler
from litestar.params import QueryParameter

from audit import catalog, checkpoint, lineage, note, overview
from audit.api.reads import Asked, From, Name, Reads, To, released, runs, span
from audit.catalog import DeclaredDocument
from audit.counts import SeriesRow
from audit.errors import NotFound
from audit.events import LATEST_US, SYSTEM, rfc3339
from audit.governed import Verdict
from audit.lineage import Graph, Sources
from audit.overview import GROUPS, Facts, Overview, Verified
from audit.problems import documented
from audit.rollups import MINUTE_US
from audit.schema import NAME_PATTERN
from audit.wellbeing import UNSEEN, Health, healths

_WHOLE = 2**62  # a step longer than any range: one row for each group

Depth = Annotated[
    int, QueryParameter(ge=1, le=lineage.MOST_DEPTH, description="Edges from the model")
]
Model = Annotated[str, QueryParameter(pattern=NAME_PATTERN)]
_decode_declared = msgspec.json.Decoder(DeclaredDocument).decode


class VersionRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One version of a model: when it predicted and how often; how it was made, if known.

    `unverified`: that was said by a source that neither predicts with the model nor is listed.
    """

    version: str
    first: str | None
    last: str | None
    predictions: int
    lineage: dict[str, Any] | None = None
    case: str | None = None
    unverified: bool = False


class ModelRow(msgspec.Struct, frozen=True, omit_defaults=True):
    """One model; `owner` and `policy` (its revision) where a policy is in force."""

    name: str
    versions: list[VersionRow]
    owner: str | None = None
    verdict: str | None = None
    policy: str | None = None


class Models(msgspec.Struct, frozen=True):
    """All models; `next` is always None."""

    items: list[ModelRow]
    next: str | None = None


class IntegrationRow(msgspec.Struct, frozen=True):
    """One integration: its events ever, failed predictions among them, and of the last minute.

    `declared`: the operator applied a declaration of it, which names an `adapter` unless it sends
    our own format. `health` is what the scheduler found last.
    """

    name: str
    first: str | None
    last: str | None
    events: int
    errors: int
    last_minute: int
    owner: str | None = None
    declared: bool = False
    adapter: str | None = None
    cadence: str | None = None
    region: str | None = None
    health: Health = msgspec.field(default_factory=Health)


class Integrations(msgspec.Struct, frozen=True):
    """All integrations; `next` is always None."""

    items: list[IntegrationRow]
    next: str | None = None


def routes(reads: Reads) -> Sequence[HTTPRouteHandler]:
    """The routes of this subject."""

    @get(
        "/v1/models",
        sync_to_thread=True,
        responses=documented(),
        summary="Models and their versions",
        tags=["registry"],
    )
    def models(request: Asked) -> Models:
        """Every model that predicted, was released, or is named by a policy."""
        reads.everything(request.user)
        return Models(_models(reads))

    @get(
        "/v1/integrations",
        sync_to_thread=True,
        responses=documented(),
        summary="Integrations, how much they log and how they are",
        tags=["registry"],
    )
    def integrations(request: Asked) -> Integrations:
        """Every integration that logged or was declared; a sender sees its own."""
        own = reads.known_to(request.user)
        return Integrations([each for each in _integrations(reads) if own in {None, each.name}])

    @get(
        "/v1/lineage",
        sync_to_thread=True,
        responses=documented(400, 404),
        summary="What produced a model version and what depends on it",
        tags=["registry"],
    )
    def graph(request: Asked, model: Model, version: Name = None, depth: Depth = 4) -> Graph:
        """Nodes are aggregates of a version, never single predictions."""
        reads.everything(request.user)
        told = released(reads, f"{model} ")
        sources = Sources(
            series=reads.store.counts.series(),
            versions=told,
            runs=runs(reads, told),
            verdicts=reads.governed.verdicts(model),
            alerts=reads.governed.alerts(),
            cases=reads.governed.cases(),
            statuses=_statuses(reads),
        )
        found = lineage.graph(sources, model, version, depth)
        if not found.nodes:
            raise NotFound("no such model or version is known")
        return found

    @get(
        "/v1/overview",
        sync_to_thread=True,
        responses=documented(400),
        summary="Is anything wrong now",
        tags=["registry"],
    )
    def summary(request: Asked, start: From, end: To) -> Overview:
        """Counts are of the range; alerts, cases and verdicts are as they stand."""
        reads.everything(request.user)
        return _overview(reads, *span(start, end))

    return [models, integrations, graph, summary]


def _models(reads: Reads) -> list[ModelRow]:
    found: dict[str, dict[str, VersionRow]] = {}
    for row in _by_version(reads.store.counts.series()):
        found.setdefault(row[0], {})[row[1].version] = row[1]
    for (model, version), (each, *_) in released(reads).items():
        versions = found.setdefault(model, {})
        known = versions.get(version, VersionRow(version, None, None, 0))
        versions[version] = msgspec.structs.replace(
            known, lineage=each.lineage or None, case=each.case, unverified=each.unverified
        )
    policies, judged = reads.governed.policies(), reads.governed.judged_models()
    rows = []
    for name in sorted(found.keys() | policies.keys()):
        policy = policies.get(name)
        verdicts = reads.governed.verdicts(name) if name in judged else []
        last = next((v for v in verdicts if v.segment == "all"), None)
        rows.append(
            ModelRow(
                name,
                sorted(found.get(name, {}).values(), key=lambda each: each.version),
                owner=policy.owner if policy else None,
                verdict=last.verdict if last else None,
                policy=policy.revision if policy else None,
            )
        )
    return rows


def _by_version(series: Sequence[SeriesRow]) -> list[tuple[str, VersionRow]]:
    groups: dict[tuple[str, str], list[SeriesRow]] = {}
    for row in series:
        if row.type == "PredictionLogged":
            groups.setdefault((row.model, row.version), []).append(row)
    return [
        (
            model,
            VersionRow(
                version,
                rfc3339(min(row.first_us for row in rows)),
                rfc3339(max(row.last_us for row in rows)),
                sum(row.count for row in rows),
            ),
        )
        for (model, version), rows in groups.items()
    ]


def _integrations(reads: Reads) -> list[IntegrationRow]:
    groups: dict[str, list[SeriesRow]] = {}
    for row in reads.store.counts.series():
        if row.integration != SYSTEM:
            groups.setdefault(row.integration, []).append(row)
    declared = {each.name: each for each in _declared(reads)}
    now = reads.clock()
    recent = reads.store.counts.rollups(now - MINUTE_US, now, by=["integration"], step_us=_WHOLE)
    last_minute = {row.keys[0]: row.count for row in recent}
    health = healths(reads.store.work, now)
    items = []
    for name in sorted(groups.keys() | declared.keys() | health.keys()):
        rows, told = groups.get(name, []), declared.get(name)
        declaration = (told.declaration if told else None) or {}
        items.append(
            IntegrationRow(
                name,
                rfc3339(min(row.first_us for row in rows)) if rows else None,
                rfc3339(max(row.last_us for row in rows)) if rows else None,
                sum(row.count for row in rows),
                sum(row.count for row in rows if row.status == "error"),
                last_minute.get(name, 0),
                told.owner if told else None,
                bool(declaration),
                declaration.get("adapter"),
                told.cadence if told else None,
                told.region if told else None,
                health.get(name, UNSEEN),
            )
        )
    return items


def _statuses(reads: Reads) -> dict[tuple[str, str], str]:
    """The status that the overview gives each version that ever predicted."""
    ever = _overview(reads, 0, LATEST_US)
    return {(each.name, each.version): each.status for each in ever.models}


def _overview(reads: Reads, start_us: int, end_us: int) -> Overview:
    counts = reads.store.counts
    series = counts.series()
    versions: dict[str, set[str]] = {}
    for row in series:
        if row.type == "PredictionLogged":
            versions.setdefault(row.model, set()).add(row.version)
    verdicts: dict[tuple[str, str], Verdict] = {}
    for model in versions.keys() & reads.governed.judged_models():
        known = reads.governed.last_verdicts(model, len(versions[model]))
        for version, verdict in known.items():
            verdicts[model, version] = verdict
    predictions, outcomes = (
        counts.rollups(start_us, end_us, by=GROUPS, step_us=_WHOLE, type=type)
        for type in ("PredictionLogged", "OutcomeObserved")
    )
    facts = Facts(
        predictions=predictions,
        outcomes=outcomes,
        series=series,
        verdicts=verdicts,
        alerts=reads.governed.alerts(),
        cases=reads.governed.cases(),
    )
    now = reads.clock()
    return overview.summarise(facts, _verified(reads, now), now)


def _verified(reads: Reads, now_us: int) -> Verified:
    """The size of the newest checkpoint, after its signature was checked."""
    verifier = note.Verifier.parse(reads.store.ledger.vkey)
    signed = checkpoint.open(reads.store.ledger.checkpoint(), verifier)
    return Verified(signed.size, rfc3339(now_us))


def _declared(reads: Reads) -> list[DeclaredDocument]:
    rows = reads.store.documents.each(catalog.INTEGRATION)
    return [_decode_declared(body) for _, body in rows]
