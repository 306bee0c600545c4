"""What the tests of ingest share: a real store in SQLite behind the real router."""

import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import uvicorn
from hypothesis import settings
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.testing import TestClient
from prometheus_client import CollectorRegistry

from audit.access import Access
from audit.api.protocol import BoundedProtocol
from audit.catalog import Catalog
from audit.clock import Clock, system_clock
from audit.documents import Projection
from audit.outgoing import Outgoing
from audit.problems import handlers
from audit.settings import AuditSettings
from audit.store import Store, open_store
from audit.tokens import Tokens
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapter
from collector.api import router
from collector.integrations.wiring import Around
from collector.limits import Limits

# How long an example takes is the machine's business, and it is shared.
settings.register_profile("collector", deadline=None)
settings.load_profile("collector")


@dataclass
class House:
    """An ingest: its application, its store and its tokens."""

    app: Litestar
    store: Store
    tokens: Tokens
    registry: CollectorRegistry
    closing: list[Callable[[], None]]

    @cached_property
    def client(self) -> TestClient[Litestar]:
        """A client of the application without a socket between."""
        client = TestClient(self.app, raise_server_exceptions=False)
        client.__enter__()
        self.closing.append(lambda: client.__exit__(None, None, None))
        return client

    def token(self, integration: str | None = "web", role: str = "integration") -> dict[str, str]:
        """The headers of a new token."""
        text = self.tokens.issue(integration or role, [role], integration=integration)
        return {"Authorization": f"Bearer {text}"}

    def bodies(self, type: str) -> list[dict[str, Any]]:
        """All bodies of a type that the ledger holds, in its order."""
        import msgspec

        opened = self.store.reader.open(range(self.store.reader.size()))
        return [msgspec.json.decode(each.body) for each in opened if each.leaf.type == type]


Open = Callable[..., House]


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[Open]:
    """A function that opens ingest over an empty store, with these projections and limits.

    `adapters` stand in the place of all that exist, `environment` holds their secrets,
    and `callable` the private addresses that they may have called.
    """
    closing: list[Callable[[], None]] = []

    def open_house(
        *projections: Projection,
        adapters: Mapping[str, Adapter] | None = None,
        environment: Mapping[str, str] = MappingProxyType({}),
        callable: Sequence[str] = (),
        clock: Clock = system_clock,
        **limits: Any,
    ) -> House:
        audit = AuditSettings(data=tmp_path / f"data{len(closing)}")
        store = open_store(audit, [Catalog(), *projections], clock=clock, random=os.urandom)
        closing.append(store.close)
        tokens = Tokens(store.ledger, store.documents, clock=clock, random=os.urandom)
        registry = CollectorRegistry()
        access = Access(store.ledger, store.documents, clock=clock, random=os.urandom)
        around = Around(
            store.documents,
            Outgoing(callable),
            environment,
            os.urandom,
            adapters or ADAPTERS,
            store.reader,
            store.counts,
        )
        ingest = router(
            store.ledger,
            tokens,
            access,
            store.work,
            clock,
            Limits(**limits),
            around,
            registry,
        )
        app = Litestar(
            [ingest],
            exception_handlers=handlers(),
            openapi_config=OpenAPIConfig(
                "ingest", "1", render_plugins=[JsonRenderPlugin(), YamlRenderPlugin()]
            ),
            logging_config=None,
        )
        return House(app, store, tokens, registry, closing)

    yield open_house
    for close in reversed(closing):
        close()


@pytest.fixture
def house(opened: Open) -> House:
    """Ingest with the default limits."""
    return opened()


class Hasty(BoundedProtocol):
    """The protocol that serves, with less patience."""

    body_seconds = 0.3


@contextlib.contextmanager
def listening(app: Litestar, port: int) -> Iterator[str]:
    """The address of an application on a real server and socket."""
    config = uvicorn.Config(app, "127.0.0.1", port, loop="uvloop", http=Hasty, log_level="critical")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    pause = threading.Event()
    while not server.started:
        assert thread.is_alive(), "the server did not start"
        pause.wait(0.01)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(20)


@pytest.fixture
def address(house: House, free_port: Callable[[], int]) -> Iterator[str]:
    """The address of the house's application."""
    with listening(house.app, free_port()) as found:
        yield found


def prediction(id: str = "p-1", **fields: Any) -> dict[str, Any]:
    """A small PredictionLogged."""
    return {
        "id": id,
        "time": "2013-01-01T10:00:00Z",
        "model": {"name": "late-arrival", "version": "1"},
        "inputs": {"dep_delay": 4, "carrier": "UA"},
        "output": "late",
        **fields,
    }
