"""The overview: is anything wrong now, by model version and by integration.

Decides the status of a model version, worst fact first; it is never ok for lack of data:

    bad      an alert stands, the last verdict is shift or fault, or over 5 % of predictions fail
    warn     the last verdict is insufficient, or over 1 % of predictions fail
    unknown  nobody judges it, or it predicted nothing in the range
    ok       none of these
"""

from collections import Counter
from collections.abc import Mapping, Sequence

import msgspec

from audit.events import rfc3339
from audit.governed import Alert, Case, Verdict
from audit.latency import Rollup, merge
from audit.lineage import Series
from audit.rollups import percentile

GROUPS = ("integration", "model", "version", "status")
"""What the rollups handed to `summarise` are grouped by, in this order."""
_INTEGRATION, _MODEL = slice(0, 1), slice(1, 3)

_BAD_ERRORS, _MANY_ERRORS = 0.05, 0.01
_RANK = {"bad": 0, "warn": 1, "unknown": 2, "ok": 3}


class ModelNow(msgspec.Struct, frozen=True):
    """One model version in the range; p95 in ms."""

    name: str
    version: str
    status: str
    predictions: int
    errors: int
    p95: float | None
    last_prediction: str | None
    verdict: str | None
    drifted: list[str]
    open_alerts: int
    unlabelled_share: float | None = None


class IntegrationNow(msgspec.Struct, frozen=True):
    """One integration in the range; `last` is its last event ever."""

    name: str
    events: int
    errors: int
    last: str | None


class Verified(msgspec.Struct, frozen=True):
    """Up to which size the log's checkpoint signature was verified, and when."""

    size: int
    at: str


class Overview(msgspec.Struct, frozen=True):
    """What the first page shows; models by worst status."""

    predictions: int
    errors: int
    p95: float | None
    models: list[ModelNow]
    integrations: list[IntegrationNow]
    alerts_open: int
    cases_open: int
    verified: Verified
    as_of: str


class Facts(msgspec.Struct, frozen=True):
    """All that the overview is made of; `verdicts` by (model, version)."""

    predictions: Sequence[Rollup]
    outcomes: Sequence[Rollup]
    series: Sequence[Series]
    verdicts: Mapping[tuple[str, str], Verdict]
    alerts: Sequence[Alert]
    cases: Sequence[Case]


def summarise(facts: Facts, verified: Verified, now_us: int) -> Overview:
    """The overview of these facts; rollups grouped by `GROUPS`."""
    standing = Counter(
        (alert.model, alert.version) for alert in facts.alerts if alert.state != "resolved"
    )
    predictions = _by(_MODEL, facts.predictions)
    outcomes = _by(_MODEL, facts.outcomes)
    models = [
        _model(
            each,
            last_us,
            predictions.get(each, []),
            outcomes.get(each, []),
            facts.verdicts.get(each),
            standing[each],
        )
        for each, last_us in sorted(_last(facts.series).items())
    ]
    return Overview(
        predictions=_count(facts.predictions),
        errors=_errors(facts.predictions),
        p95=percentile(merge(row.buckets for row in facts.predictions), 0.95),
        models=sorted(models, key=lambda each: _RANK[each.status]),
        integrations=_integrations(facts),
        alerts_open=standing.total(),
        cases_open=sum(not case.settled for case in facts.cases),
        verified=verified,
        as_of=rfc3339(now_us),
    )


def _last(series: Sequence[Series]) -> dict[tuple[str, str], int]:
    """When each model version predicted last."""
    found: dict[tuple[str, str], int] = {}
    for row in series:
        if row.type == "PredictionLogged":
            key = row.model, row.version
            found[key] = max(row.last_us, found.get(key, row.last_us))
    return found


def _model(
    named: tuple[str, str],
    last_us: int,
    rows: Sequence[Rollup],
    outcomes: Sequence[Rollup],
    verdict: Verdict | None,
    alerts: int,
) -> ModelNow:
    count, errors, labelled = _count(rows), _errors(rows), _count(outcomes)
    return ModelNow(
        *named,
        status=_status(count, errors, verdict, alerts),
        predictions=count,
        errors=errors,
        p95=percentile(merge(row.buckets for row in rows), 0.95),
        last_prediction=rfc3339(last_us),
        verdict=verdict.verdict if verdict else None,
        drifted=list(verdict.drifted) if verdict else [],
        open_alerts=alerts,
        # Outcomes that name no model cannot be told apart by version: then the share is unknown.
        unlabelled_share=max(0.0, 1 - labelled / count) if labelled and count else None,
    )


def _status(count: int, errors: int, verdict: Verdict | None, alerts: int) -> str:
    share = errors / count if count else 0.0
    judged = verdict.verdict if verdict else None
    if alerts or judged in {"shift", "fault"} or share > _BAD_ERRORS:
        return "bad"
    if judged == "insufficient" or share > _MANY_ERRORS:
        return "warn"
    return "ok" if judged == "ok" and count else "unknown"


def _integrations(facts: Facts) -> list[IntegrationNow]:
    last: dict[str, int] = {}
    for row in facts.series:
        if row.type == "PredictionLogged":
            last[row.integration] = max(row.last_us, last.get(row.integration, row.last_us))
    found = []
    by_name = _by(_INTEGRATION, facts.predictions)
    for name, last_us in sorted(last.items()):
        rows = by_name.get((name,), [])
        found.append(IntegrationNow(name, _count(rows), _errors(rows), rfc3339(last_us)))
    return found


def _by(places: slice, rows: Sequence[Rollup]) -> dict[tuple[str, ...], list[Rollup]]:
    """The rows by those of their keys that stand in these places of `GROUPS`."""
    found: dict[tuple[str, ...], list[Rollup]] = {}
    for row in rows:
        found.setdefault(row.keys[places], []).append(row)
    return found


def _count(rows: Sequence[Rollup]) -> int:
    return sum(row.count for row in rows)


def _errors(rows: Sequence[Rollup]) -> int:
    return sum(row.count for row in rows if row.keys[3] == "error")
