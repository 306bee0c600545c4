"""A store and a folder that is watched, for tests that look at both."""

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from audit.catalog import Catalog
from audit.clock import system_clock
from audit.outgoing import Outgoing
from audit.settings import AuditSettings
from audit.store import Store, open_store
from collector.files.counts import FileCounts
from collector.files.declaration import Files, parse
from collector.files.place import place_of
from collector.files.watching import Watcher
from collector.integrations.apply import apply_text
from collector.integrations.wiring import Around, Wired, wired
from collector.limits import Limits
from collector.metrics import Metrics
from collector.quarantine import Kept


class Place:
    """A store and a folder that is watched."""

    def __init__(self, folder: Path) -> None:
        settings = AuditSettings(data=folder / "data")
        self.store: Store = open_store(settings, [Catalog()], clock=system_clock, random=os.urandom)
        self.folder = folder / "files"
        self.folder.mkdir()
        self.told: list[str] = []
        self.limits = Limits()

    def watcher(
        self, holder: str = "test", now: Callable[[], int] = system_clock, **keys: Any
    ) -> "Looking":
        lines = {"name": "drop", "integration": "pricing", "rows": "predictions", **keys}
        text = "\n".join(
            ["kind: files", f"location: {self.folder}"]
            + [f"{key}: {json.dumps(value)}" for key, value in lines.items()]
        )
        return Looking(self, parse(text), holder, now)

    def ways(self) -> Wired:
        metrics = Metrics(CollectorRegistry(), lambda: 0)
        around = Around(self.store.documents, Outgoing(), {}, os.urandom)
        return wired(self.store.ledger, self.store.work, system_clock, self.limits, metrics, around)

    def declare(self, adapter: str, **keys: Any) -> None:
        lines = {
            "kind": "integration",
            "name": "pricing",
            "owner": "o",
            "adapter": adapter,
            **keys,
        }
        text = "\n".join(f"{key}: {json.dumps(value)}" for key, value in lines.items())
        apply_text(self.store.ledger, self.store.documents, text, "ann", clock=system_clock)

    @staticmethod
    def later(seconds: int) -> Callable[[], int]:
        """A clock that runs ahead."""
        return lambda: system_clock() + seconds * 1_000_000

    def ids(self) -> list[str]:
        opened = self.store.reader.open(range(self.store.reader.size()))
        return [
            json.loads(each.body)["id"] for each in opened if each.leaf.type == "PredictionLogged"
        ]

    def models(self) -> set[tuple[str, str]]:
        opened = self.store.reader.open(range(self.store.reader.size()))
        found = (each.leaf for each in opened if each.leaf.type == "PredictionLogged")
        return {(each.model, each.version) for each in found}

    def kept(self) -> list[Kept]:
        quarantine = self.ways().quarantine
        return [quarantine.get(each.id) for each in quarantine.list()[0]]

    def quarantined(self) -> list[bytes]:
        return [each.body for each in self.store.work.list("quarantine")]


class Looking:
    """A watcher of a place, and what it counted; each look is of a process by itself."""

    def __init__(self, place: Place, files: Files, holder: str, now: Callable[[], int]) -> None:
        self.counts = FileCounts(files.name)
        self._place = place
        self._files = files
        self._holder = holder
        self._now = now

    def look(self, times: int = 1) -> bool:
        async def looks() -> bool:
            place = self._place
            watcher = Watcher(
                self._files,
                lambda files: place_of(files.location, files.options),
                place.ways(),
                place.store.work,
                self._holder,
                self._now,
                asyncio.Event(),
                self.counts,
                place.told.append,
            )
            return all([await watcher.look() for _ in range(times)])

        return asyncio.run(looks())
