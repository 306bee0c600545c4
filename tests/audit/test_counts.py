"""Counts between two times, from rollups and, at the ends, from the entries."""

from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from audit.store import Store
from tests.audit.stores import SECOND, START, opened, outcome, prediction

LENGTH = 300
"""Seconds that the events are spread over."""


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """Predictions of two integrations and outcomes, one a second, logged in any order."""
    found = opened(tmp_path_factory.mktemp("store"))
    events = [prediction(at, integration="web" if at % 3 else "batch") for at in range(LENGTH)]
    events += [outcome(at, of=f"p-{at}") for at in range(0, LENGTH, 5)]
    Random(1).shuffle(events)
    found.ledger.append(events)
    yield found
    found.close()


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(-70 * SECOND, (LENGTH + 70) * SECOND), st.integers(1, 400 * SECOND))
def test_every_event_of_the_range_is_counted_once_and_no_other(
    store: Store, after: int, length: int
) -> None:
    inside = [at for at in range(LENGTH) if after <= at * SECOND < after + length]
    expected = Counter({"PredictionLogged": sum(at % 3 > 0 for at in inside)})
    expected["OutcomeObserved"] = sum(at % 5 == 0 for at in inside)
    found = store.counts.exactly("web", START + after, START + after + length)
    assert found == {type: count for type, count in expected.items() if count}


def test_an_integration_that_logged_nothing_has_no_counts(store: Store) -> None:
    assert store.counts.exactly("nobody", START, START + LENGTH * SECOND) == {}
