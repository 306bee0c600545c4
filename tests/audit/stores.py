"""What tests of the ledger share: a store over either database, events of every sort, fsck."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from audit import fsck
from audit.catalog import Catalog
from audit.clock import Clock, system_clock
from audit.documents import Projection
from audit.events import SYSTEM, Event, event_of, rfc3339
from audit.settings import AuditSettings
from audit.store import Store, open_store

START = 1_357_000_000_000_000  # 2013-01-01T00:26:40Z
SECOND = 1_000_000
PROJECTIONS: tuple[Projection, ...] = (Catalog(),)


def settings_of(folder: Path, database: str = "") -> AuditSettings:
    """Settings of a store whose keys and checkpoints are in `folder`."""
    return AuditSettings(data=folder, database=database)


def opened(
    folder: Path,
    database: str = "",
    *,
    clock: Clock = system_clock,
    projections: Sequence[Projection] = PROJECTIONS,
    **how: Any,
) -> Store:
    """A store, migrated by whoever opens it."""
    how = {"may_migrate": True, **how}
    settings = settings_of(folder, database)
    return open_store(settings, projections, clock=clock, random=os.urandom, **how)


def checked(
    settings: AuditSettings, *, deep: bool = True, earlier: Sequence[Path] = ()
) -> tuple[int, str]:
    """What fsck returns, and the last line that it reports."""
    lines: list[str] = []
    found = fsck.run(
        settings, deep=deep, earlier=earlier, report=lines.append, projections=PROJECTIONS
    )
    return found, lines[-1]


def prediction(number: int, *, integration: str = "web", **fields: Any) -> Event:
    """A prediction about one of seven persons."""
    body = {
        "id": f"p-{number}",
        "time": rfc3339(START + number * SECOND),
        "model": {"name": "credit", "version": str(1 + number % 2)},
        "inputs": {"income": number, "city": "marker-of-an-input"},
        "output": "marker-of-an-output",
        "subject": {"scheme": "customer", "id": f"marker-of-a-person-{number % 7}"},
        "references": {"loan": f"marker-of-a-reference-{number}"},
        "latency_ms": {"total": 1 + number % 40},
        **fields,
    }
    return event_of("PredictionLogged", integration, body)


def anonymous(number: int) -> Event:
    """A prediction about nobody."""
    body = {
        "id": f"a-{number}",
        "time": rfc3339(START + number * SECOND),
        "model": {"name": "weather", "version": "1"},
        "inputs": {"x": number},
        "output": 1,
    }
    return event_of("PredictionLogged", "station", body)


def outcome(number: int, of: str) -> Event:
    """The truth about a prediction of integration `web`."""
    body = {
        "id": f"o-{number}",
        "time": rfc3339(START + number * SECOND),
        "prediction": {"id": of},
        "outcome": "marker-of-an-outcome",
    }
    return event_of("OutcomeObserved", "web", body)


def system(type: str, id: str, **fields: Any) -> Event:
    """An event of the system's own."""
    return event_of(type, SYSTEM, {"id": id, "time": rfc3339(START), **fields})


def varied(count: int) -> list[Event]:
    """At least `count` events of every sort that the kernel treats differently."""
    release = {
        "id": "release",
        "time": rfc3339(START),
        "model": {"name": "credit", "version": "1", "lineage": {"training_run": "run-1"}},
    }
    return [
        outcome(0, of="p-1"),  # before its prediction
        *map(prediction, range(count // 2)),
        *map(anonymous, range(count - count // 2)),
        outcome(1, of="p-2"),
        event_of("VersionReleased", "web", release),
        system("TokenIssued", "t", hash="ab" * 32, actor="marker-of-an-actor", roles=["ops"]),
        system("AccessRecorded", "look", actor="marker-of-an-actor", action="open", indexes=[3]),
    ]
