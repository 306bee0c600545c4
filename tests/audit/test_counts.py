"""Counts between two times, from rollups and, at the ends, from the entries."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.arrivals import Arrivals
from audit.store import Store
from tests.audit.stores import SECOND, START, anonymous, opened, outcome, prediction

LENGTH = 300
"""Seconds that the events are spread over."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """Predictions of two integrations and outcomes, one a second, logged in any order."""
    server = None if request.param == "sqlite" else request.getfixturevalue("postgres_server")
    url = "" if server is None else server.create()
    found = opened(tmp_path_factory.mktemp("store"), url)
    events = [prediction(at, integration="web" if at % 3 else "batch") for at in range(LENGTH)]
    events += [outcome(at, of=f"p-{at}") for at in range(0, LENGTH, 5)]
    Random(1).shuffle(events)
    found.ledger.append(events)
    yield found
    found.close()
    if server is not None:
        server.drop(url)


@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.integers(-70 * SECOND, (LENGTH + 70) * SECOND), st.integers(1, 400 * SECOND))
def test_every_event_of_the_range_is_counted_once_and_no_other(
    store: Store, after: int, length: int
) -> None:
    inside = [at for at in range(LENGTH) if after <= at * SECOND < after + length]
    expected = Counter({"PredictionLogged": sum(at % 3 > 0 for at in inside)})
    expected["OutcomeObserved"] = sum(at % 5 == 0 for at in inside)
    found = store.counts.exactly("web", START + after, START + after + length)
    assert found == {type: count for type, count in expected.items() if count}


@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 400), st.integers(1, 400))
def test_arrivals_are_counted_by_entry_and_a_sample_is_even(
    store: Store, first: int, length: int
) -> None:
    size = store.reader.size()
    end = min(size, first + length)
    leaves = [store.reader.leaf(index) for index in range(first, end)]
    arrivals = Arrivals(store.database)
    counted = {(each.integration, each.type): each for each in arrivals.counted(first, end)}
    kinds = Counter((each.integration, each.type) for each in leaves)
    assert {kind: each.entries for kind, each in counted.items()} == kinds
    for kind, each in counted.items():
        own = [leaf for leaf in leaves if (leaf.integration, leaf.type) == kind]
        assert each.latest_us == max(leaf.event_us for leaf in own)
        assert each.last == max(leaf.index for leaf in own)
    sample = arrivals.sampled(first, end, 10)
    assert len(sample) <= 10
    assert [each.event_us for each in sample] == [
        leaf.event_us for leaf in leaves[:: max(1, -(-len(leaves) // 10))]
    ]


def test_an_integration_that_logged_nothing_has_no_counts(store: Store) -> None:
    assert store.counts.exactly("nobody", START, START + LENGTH * SECOND) == {}


def test_the_first_sender_of_a_model_is_the_first_on_the_ledger_and_stays_it(
    tmp_path: Path, database: str
) -> None:
    found = opened(tmp_path, database)
    found.ledger.append([prediction(9, integration="web")])
    found.ledger.append([prediction(1, integration="evil")])  # happened before, came later
    older = {"model": {"name": "credit", "version": "0"}}
    found.ledger.append([prediction(2, integration="evil", **older), anonymous(1)])
    assert found.counts.first_senders() == {"credit": "web", "weather": "station"}
    found.close()
