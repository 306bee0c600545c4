"""What tests of the read side share: a real store with its API, a clock to turn, and events."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from litestar import Litestar
from litestar.testing import TestClient

from audit.access import Access
from audit.api import router
from audit.catalog import Catalog
from audit.clock import system_clock
from audit.events import event_of, rfc3339
from audit.governed import Governed
from audit.ledger import Ledger
from audit.problems import handlers
from audit.settings import AuditSettings
from audit.store import Store, open_store
from audit.tokens import Tokens

START = 1_357_000_000_000_000  # 2013-01-01T00:26:40Z
MINUTE = 60_000_000
RANGE = {"from": "2013-01-01T00:00:00Z", "to": "2014-01-01T00:00:00Z"}


@dataclass(slots=True)
class Turned:
    """The machine's clock, moved on by as much as a test says."""

    ahead_us: int = 0

    def __call__(self) -> int:
        return system_clock() + self.ahead_us


@dataclass(slots=True)
class Site:
    """A store and its read API, as a process composes them."""

    store: Store
    clock: Turned
    tokens: Tokens
    access: Access
    client: TestClient[Litestar]
    _known: dict[str, str] = field(default_factory=dict)

    @property
    def ledger(self) -> Ledger:
        return self.store.ledger

    @property
    def governed(self) -> Governed:
        return Governed(self.store.documents)

    def token(self, *roles: str, integration: str | None = None) -> str:
        key = " ".join((*roles, integration or ""))
        if key not in self._known:
            actor = f"{roles[0]}-person"
            self._known[key] = self.tokens.issue(actor, roles, integration=integration)
        return self._known[key]

    def get(self, path: str, *roles: str, **query: Any) -> httpx.Response:
        return self.client.get(path, params=query, headers=self.bearer(*roles))

    def post(self, path: str, body: Any, *roles: str) -> httpx.Response:
        return self.client.post(path, json=body, headers=self.bearer(*roles))

    def search(self, *roles: str, **body: Any) -> httpx.Response:
        return self.post("/v1/search", {**RANGE, **body}, *(roles or ("audit",)))

    def bearer(self, *roles: str, integration: str | None = None) -> dict[str, str]:
        token = self.token(*(roles or ("audit",)), integration=integration)
        return {"Authorization": f"Bearer {token}"}

    def log(self, *bodies: dict[str, Any], type: str = "PredictionLogged", by: str = "web") -> int:
        """Append events; returns the index of the first."""
        return self.ledger.append([event_of(type, by, body) for body in bodies])[0].index

    def accesses(self) -> list[dict[str, Any]]:
        """The bodies of all AccessRecorded events, oldest first."""
        import msgspec

        from audit.search import Query

        page = self.store.reader.search(Query(0, 2**62, type="AccessRecorded", limit=200))
        opened = self.store.reader.open(sorted(leaf.index for leaf in page.leaves))
        return [msgspec.json.decode(each.body) for each in opened]


def open_site(folder: Path, projections: Sequence[Any] = (), database: str = "") -> Site:
    """A site over the store in `folder`, which is made if it is not there."""
    clock = Turned()
    store = open_store(
        AuditSettings.of(folder, database),
        [Catalog(), *projections],
        clock=clock,
        random=os.urandom,
        may_migrate=True,
    )
    return site_of(store, clock, store.ledger)


def site_of(store: Store, clock: Turned, ledger: Any) -> Site:
    """A site that records accesses through this ledger."""
    tokens = Tokens(store.ledger, store.documents, clock=clock, random=os.urandom)
    access = Access(ledger, store.documents, clock=clock, random=os.urandom)
    app = Litestar(
        [router(store, tokens, access, clock)],
        exception_handlers=handlers(),
        logging_config=None,
    )
    return Site(store, clock, tokens, access, TestClient(app))


def prediction(number: int = 0, **fields: Any) -> dict[str, Any]:
    """A prediction with everything in it that must never leak."""
    return {
        "id": f"p-{number}",
        "time": rfc3339(START + number * MINUTE),
        "model": {"name": "credit", "version": "1"},
        "inputs": {"income": 41_234, "city": "Secretville"},
        "output": "secret-decline",
        "score": 0.77,
        "decision": {"effect": "declined", "automation": "full", "note": "secret-note"},
        "explanation": {"method": "shap", "reason_codes": ["secret-R01"]},
        "subject": {"scheme": "customer", "id": "secret-ann"},
        "references": {"loan": "secret-loan-9"},
        "latency_ms": {"total": 10 + number},
        "context": {"region": "eu", "segment": {"branch": "secret-branch"}},
        **fields,
    }


def entries_of(bundle: bytes) -> list[bytes]:
    """The entries of a bundle as tlog-tiles has them: each after its length in two bytes."""
    entries = []
    while bundle:
        length = int.from_bytes(bundle[:2])
        entries.append(bundle[2 : 2 + length])
        bundle = bundle[2 + length :]
    return entries
