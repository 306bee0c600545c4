"""What the governance tests share: a store, a clock that is set by hand, and predictions."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from audit.access import Access
from audit.catalog import Catalog
from audit.clock import Clock
from audit.documents import Projection
from audit.events import event_of, micros, rfc3339
from audit.settings import AuditSettings
from audit.store import Store, open_store
from audit.tokens import Tokens
from drift import rule
from drift.alerts import Alert
from drift.columns import Columns, Numeric
from drift.policy import Policy
from drift.projection import Governance
from drift.schedule import Scheduler
from drift.settings import DriftSettings
from drift.verdicts import Verdict, read
from drift.windows import Window, reference_of

MODEL = "late-arrival"
HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
START_US = micros("2013-01-01T00:00:00Z")
POLICY = """
kind: policy
model: late-arrival
owner: flights-ops
reference: {from: 2013-01-01T00:00:00Z, to: 2013-01-02T00:00:00Z, version: "1"}
window: day
lateness: 1h
minimum_rows: 20
columns:
  delay: {kind: numeric, limits: {null: 0.2}}
output: {kind: categorical}
rule: {confirm: {windows: 2, of: 3}}
"""
RETRAIN = """
actions: {retrain: {url: "%s", secret: "env:RETRAIN_SECRET", cooldown: 30d}}
"""
NOWHERE = RETRAIN % "http://127.0.0.1:9/"


@dataclass
class HandClock:
    """A clock that stands until it is moved."""

    now_us: int = micros("2013-03-01T00:00:00Z")

    def __call__(self) -> int:
        return self.now_us

    def pass_days(self, days: float) -> None:
        self.now_us += int(days * DAY_US)


def opened(folder: Path, clock: Clock, *more: Projection, database: str = "") -> Store:
    """A store with the projections that governance needs."""
    settings = AuditSettings.of(folder, database)
    return open_store(
        settings,
        [Catalog(), Governance(), *more],
        clock=clock,
        random=os.urandom,
        may_migrate=True,
    )


def retrainer_of(store: Store, clock: Clock, actor: str = "trainer") -> str:
    """A token of a retrainer, which lets that actor's releases count."""
    tokens = Tokens(store.ledger, store.documents, clock=clock, random=os.urandom)
    return tokens.issue(actor, ["retrainer"])


def access_to(store: Store, clock: Clock) -> Access:
    return Access(store.ledger, store.documents, clock=clock, random=os.urandom)


def predict(
    store: Store,
    day: int,
    level: float,
    *,
    rows: int = 40,
    version: str = "1",
    integration: str = "tower",
    missing: int = 0,
    turned: bool = False,
) -> list[str]:
    """Log a day's predictions whose `delay` lies about `level`; return their ids.

    Every second output is "late", from the second row on, or from the first if `turned`.
    """
    events, ids = [], []
    for row in range(rows):
        at_us = START_US + day * DAY_US + row * (DAY_US // rows)
        id = f"{version}-{day}-{row}"
        delay = None if row < missing else level + (row * 7 % rows) / rows
        body = {
            "id": id,
            "time": rfc3339(at_us),
            "model": {"name": MODEL, "version": version},
            "inputs": {"delay": delay},
            "output": "late" if row % 2 != turned else "on time",
        }
        events.append(event_of("PredictionLogged", integration, body))
        ids.append(id)
    store.ledger.append(events)
    return ids


def observe(
    store: Store,
    ids: Sequence[str],
    label: Any,
    *,
    at: str,
    integration: str = "tower",
    of: str | None = None,
) -> None:
    """Log the outcome of predictions; they are those of `of`, or of the same integration."""
    store.ledger.append(
        [
            event_of(
                "OutcomeObserved",
                integration,
                {
                    "id": f"outcome-{id}-{at}",
                    "time": at,
                    "prediction": {"id": id, "integration": of or integration},
                    "outcome": label,
                },
            )
            for id in ids
        ]
    )


def ledger_of(store: Store, *types: str) -> list[dict[str, Any]]:
    """Bodies of these types in ledger order, with their type and index."""
    found = []
    for index in range(store.reader.size()):
        leaf = store.reader.leaf(index)
        if leaf.type in types:
            [entry] = store.reader.open([index])
            found.append({**msgspec.json.decode(entry.body), "type": leaf.type, "at": index})
    return found


@dataclass
class QuickJudge:
    """Judges by the mean of `delay` alone, without Evidently: for tests of who judges when."""

    judged: list[str] = field(default_factory=list)

    def __call__(
        self,
        policy: Policy,
        window: Window,
        reference: Columns,
        current: Columns,
        version: str,
        history: Any,
    ) -> list[dict[str, Any]]:
        start = rfc3339(window.start_us)
        self.judged.append(start)
        return [quick_body(policy, window, reference, current, version, history.get("all", []))]


def quick_body(
    policy: Policy,
    window: Window,
    reference: Columns,
    current: Columns,
    version: str,
    history: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    column = current.columns["delay"]
    assert isinstance(column, Numeric)
    against = reference_of(policy, window)
    start = rfc3339(window.start_us)
    values = column.values[~(column.values != column.values)]  # NaN is missing
    if current.count < policy.minimum_rows:
        verdict = "insufficient"
    elif column.missing > current.count * 0.2:
        verdict = "fault"
    else:
        verdict = "shift" if values.mean() > 2 else "ok"
    body: dict[str, Any] = {
        "id": f"{policy.revision}/{version}/all/{start}",
        "time": rfc3339(window.end_us),
        "model": {"name": policy.model, "version": version},
        "policy": {"name": policy.model, "revision": policy.revision},
        "segment": "all",
        "window": {"start": start, "end": rfc3339(window.end_us), "rows": current.count},
        "reference": {
            "start": rfc3339(against.start_us),
            "end": rfc3339(against.end_us),
            "rows": reference.count,
        },
        "verdict": verdict,
        "reason": f"by the mean: {verdict}",
        "columns": [],
        "drifted": ["delay"] if verdict == "shift" else [],
        "faulty": ["delay"] if verdict == "fault" else [],
        "report": {"big": "x" * 100},
        "seconds": 0.1,
    }
    past = [rule.step(policy.rule, each) for each in history]
    confirmation = rule.confirm(policy.rule, past, rule.step(policy.rule, body))
    body["confirmation"] = msgspec.structs.asdict(confirmation)
    return body


def scheduler(store: Store, clock: HandClock, judge: Any = None, holder: str = "a") -> Scheduler:
    return Scheduler(
        store,
        access_to(store, clock),
        DriftSettings(),
        judge or QuickJudge(),
        holder,
        clock=clock,
        environment={},
    )


def verdicts(store: Store) -> list[Verdict]:
    return [read(body) for _, body in store.documents.list("drift", f"{MODEL}/")]


def told(store: Store) -> list[tuple[str, str]]:
    return [(each.window.start[:10], each.verdict) for each in verdicts(store)]


def alerts(store: Store) -> list[Alert]:
    return [msgspec.json.decode(body, type=Alert) for _, body in store.documents.list("alert")]
