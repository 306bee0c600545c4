"""Rounds over a real store with a clock that is set by hand."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.catalog import Catalog
from audit.events import SYSTEM, event_of, micros, rfc3339
from audit.settings import AuditSettings
from audit.store import Store, open_store
from collector.checks import standing
from collector.checks.noted import Notes
from collector.checks.rounds import Rounds
from collector.checks.standing import Health
from collector.checks.troubles import Troubles
from collector.completeness.projection import Completeness
from collector.integrations.apply import apply_text
from drift.alerts import Alert
from drift.listing import alerts
from drift.projection import Governance
from drift.steps import acknowledge_alert

MINUTE_US = 60_000_000
HOUR_US = 60 * MINUTE_US
START_US = micros("2026-01-31T10:00:00Z")


@dataclass
class Turned:
    """A clock that is set by hand."""

    now_us: int = START_US

    def __call__(self) -> int:
        return self.now_us


@dataclass
class Watch:
    """A store whose integrations are watched; `pass_minutes` makes the rounds."""

    store: Store
    clock: Turned
    rounds: Rounds
    logged: int = 0
    notes: Notes = field(init=False)

    def __post_init__(self) -> None:
        self.notes = Notes(self.store.work, self.clock, "here")

    def declare(self, name: str = "web", cadence: str = "10m") -> None:
        text = (
            f"kind: integration\nname: {name}\nowner: sales-ops\nadapter: hubspot\n"
            f"cadence: {cadence}\ncredential: {{verify: bearer}}\n"
        )
        apply_text(self.store.ledger, self.store.documents, text, "ann", clock=self.clock)

    def log(self, count: int = 1, name: str = "web", ago_us: int = 0, **fields: Any) -> None:
        """Log predictions that happened so long ago."""
        events = []
        for _ in range(count):
            self.logged += 1
            body = {
                "id": f"p-{self.logged}",
                "time": rfc3339(self.clock.now_us - ago_us),
                "model": {"name": "credit", "version": "1"},
                "inputs": {},
                **fields,
            }
            events.append(event_of("PredictionLogged", name, body))
        self.store.ledger.append(events)

    def report(self, count: int, *, dropped: int = 0, name: str = "web") -> None:
        """Report on the hour before the running one."""
        hour_us = self.clock.now_us // HOUR_US * HOUR_US
        self.logged += 1
        body = {
            "id": f"r-{self.logged}",
            "time": rfc3339(self.clock.now_us),
            "from": rfc3339(hour_us - HOUR_US),
            "to": rfc3339(hour_us),
            "producer": "gate",
            "counts": {"PredictionLogged": count},
            "dropped": dropped,
        }
        self.store.ledger.append([event_of("CountsReported", name, body)])

    def pass_minutes(self, minutes: int = 1, *, logging: int = 0) -> None:
        """Let time go by, with a round after each minute and so many predictions before it."""
        for _ in range(minutes):
            self.clock.now_us += MINUTE_US
            if logging:
                self.log(logging)
            self.rounds()

    def health(self, name: str = "web") -> Health:
        item = self.store.work.get(standing.KIND, name)
        assert item is not None
        return msgspec.json.decode(item.body, type=Health)

    def alerts(self, state: str | None = None) -> list[Alert]:
        return alerts(self.store.documents, state, None)[0]

    def standing(self) -> list[str]:
        return sorted(each.kind for each in self.alerts() if each.state != "resolved")

    def acknowledge(self, alert: Alert) -> None:
        acknowledge_alert(self.store, alert.id, "ann", "seen", clock=self.clock)

    def system_events(self, type: str) -> list[dict[str, Any]]:
        opened = self.store.reader.open(range(self.store.reader.size()))
        own = [each for each in opened if each.leaf.integration == SYSTEM]
        return [msgspec.json.decode(each.body) for each in own if each.leaf.type == type]


@pytest.fixture
def watch(tmp_path: Path) -> Iterator[Watch]:
    """A new store and its rounds."""
    clock = Turned()
    projections = (Catalog(), Governance(), Completeness(), Troubles())
    store = open_store(AuditSettings(data=tmp_path), projections, clock=clock, random=os.urandom)
    yield Watch(store, clock, Rounds(store, clock, "one"))
    store.close()
