"""Search finds the same entries however it looks for them, in a bounded number of statements."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, event
from sqlalchemy.pool import ConnectionPoolEntry

from audit.events import Event, event_of, rfc3339
from audit.search import Bounds, Query
from audit.store import Store
from tests.audit.reading import RANGE, open_site
from tests.audit.stores import START, opened, prediction

MERGED, WALKED, NEAREST, BOTH = Bounds(10_000, 0), Bounds(0, 10_000), Bounds(0, 0), Bounds(3, 20)
EVER = (0, 2**60)
MODELS = 20_000


def scattered(number: int) -> Event:
    """Events of many series, whose times lie close and are often the same."""
    body = {
        "id": f"p-{number}",
        "time": rfc3339(START + number * number * 7919 % 97),
        "model": {"name": f"m-{number * number % 23}", "version": str(number % 3)},
        "inputs": {},
        "output": 1,
        "status": ("ok", "error")[number % 5 == 0],
        "subject": {"scheme": "customer", "id": str(number % 9)},
        "references": {"loan": str(number % 5)},
        **({"error": "none"} if number % 5 == 0 else {}),
    }
    return event_of("PredictionLogged", ("web", "batch")[number % 7 == 0], body)


def pages(store: Store, asked: dict[str, Any], bounds: Bounds, limit: int) -> list[list[int]]:
    found, cursor = [], None
    while True:
        page = store.reader.search(Query(**asked, limit=limit, cursor=cursor), bounds)
        found.append([each.index for each in page.leaves])
        cursor = page.next
        if cursor is None:
            return found


ASKED = st.fixed_dictionaries(
    {
        "start_us": st.sampled_from([0, START + 10, START + 50]),
        "end_us": st.sampled_from([2**60, START + 60, START + 97]),
    },
    optional={
        "integration": st.sampled_from(["web", "batch", "nobody"]),
        "model": st.sampled_from(["m-1", "m-2", "m-8"]),
        "version": st.sampled_from(["0", "1"]),
        "type": st.sampled_from(["PredictionLogged", "OutcomeObserved"]),
        "status": st.sampled_from(["ok", "error"]),
        "subject": st.sampled_from([("customer", "1"), ("customer", "x")]),
    },
)


def test_every_way_to_look_finds_the_same_pages(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([scattered(number) for number in range(150)])
    leaves = [each.leaf for each in store.reader.open(range(store.reader.size()))]

    @settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
    @given(ASKED, st.sampled_from([9, 40, 200]))
    def alike(asked: dict[str, Any], limit: int) -> None:
        merged = pages(store, asked, MERGED, limit)
        for bounds in (WALKED, NEAREST, BOTH):
            assert pages(store, asked, bounds, limit) == merged
        indexes = [index for page in merged for index in page]
        wanted = sorted(
            (leaf for leaf in leaves if _matches(leaf, asked)),
            key=lambda leaf: (leaf.event_us, leaf.index),
            reverse=True,
        )
        if "subject" not in asked:
            assert indexes == [leaf.index for leaf in wanted]

    alike()
    store.close()


def _matches(leaf: Any, asked: dict[str, Any]) -> bool:
    names = ("integration", "model", "version", "type", "status")
    return asked["start_us"] <= leaf.event_us < asked["end_us"] and all(
        asked.get(name, getattr(leaf, name)) == getattr(leaf, name) for name in names
    )


@contextmanager
def statements(engine: Engine) -> Iterator[list[str]]:
    """The statements that SQLite runs meanwhile, SQLAlchemy's and the driver's own."""
    told: list[str] = []

    def trace(connection: Any, _record: ConnectionPoolEntry, _proxy: Any) -> None:
        connection.set_trace_callback(told.append)

    event.listen(engine, "checkout", trace)
    try:
        yield told
    finally:
        event.remove(engine, "checkout", trace)


def of_a_model_each(count: int) -> Iterator[Sequence[Event]]:
    for start in range(0, count, 1_000):
        yield [
            prediction(number, model={"name": f"m-{number}", "version": "1"})
            for number in range(start, start + 1_000)
        ]


@pytest.mark.slow
def test_twenty_thousand_models_cost_a_page_few_statements(tmp_path: Path) -> None:
    site = open_site(tmp_path)
    for events in of_a_model_each(MODELS):
        site.ledger.append(events)
    site.ledger.append([scattered(number) for number in range(3)])
    asked: dict[str, Callable[[], Any]] = {
        "all": lambda: site.search(limit=200),
        "all of a type": lambda: site.search(type="PredictionLogged", limit=200),
        "few of many": lambda: site.search(integration="batch", limit=200),
        "of many integrations' none": lambda: site.search(status="fallback", limit=200),
        "overview": lambda: site.get("/v1/overview", **RANGE),
        "models": lambda: site.get("/v1/models"),
        "integrations": lambda: site.get("/v1/integrations"),
    }
    with site.client:
        for name, ask in asked.items():
            ask()  # the first of a person's questions also looks the token up
            with statements(site.store.database.engine) as told:
                answer = ask()
            assert answer.status_code == 200, (name, answer.text)
            assert len(told) < 300, (name, len(told))
    site.store.close()
