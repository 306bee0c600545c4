"""Who looked: by name, by window, and the strangers who were turned away."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from audit.access import covers
from audit.roles import Principal
from tests.audit.reading import Site, open_site, prediction

ANN = Principal("ann", ("audit",))
JUDGE = Principal("scheduler", ("scheduler",))
JANUARY = {"from": "2013-01-01T00:00:00Z", "to": "2013-02-01T00:00:00Z"}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    found = open_site(tmp_path)
    yield found
    found.store.close()


def lookers(site: Site, index: int) -> list[tuple[str, str]]:
    looks = site.access.looked(site.store.reader.leaf(index))
    return [(look.actor, look.action) for look in looks]


def test_an_access_by_index_is_told_of_these_entries_only(site: Site) -> None:
    first = site.log(prediction(0), prediction(1))
    site.access.record(ANN, "view", indexes=[first])
    assert lookers(site, first) == [("ann", "view")]
    assert lookers(site, first + 1) == []


@pytest.mark.parametrize(
    ("filter", "covered"),
    [
        ({**JANUARY, "type": "PredictionLogged", "model": "credit"}, True),
        ({**JANUARY, "model": "credit", "version": "1", "integration": "web"}, True),
        (JANUARY, True),
        ({**JANUARY, "model": "other"}, False),
        ({**JANUARY, "model": "credit", "version": "2"}, False),
        ({**JANUARY, "type": "OutcomeObserved", "model": "credit"}, False),
        ({**JANUARY, "integration": "branch", "model": "credit"}, False),
        ({"from": "2013-01-02T00:00:00Z", "to": "2013-02-01T00:00:00Z"}, False),
        ({"from": "2012-01-01T00:00:00Z", "to": "2013-01-01T00:26:40Z"}, False),
    ],
)
def test_a_window_is_told_of_the_entries_it_covered(
    site: Site, filter: dict[str, Any], covered: bool
) -> None:
    index = site.log(prediction())
    site.access.record(JUDGE, "drift", filter=filter)
    assert covers(filter, site.store.reader.leaf(index)) is covered
    assert lookers(site, index) == ([("scheduler", "drift")] if covered else [])


def test_a_search_without_hits_looked_at_nothing(site: Site) -> None:
    index = site.log(prediction())
    site.access.record(ANN, "search", indexes=[], filter=JANUARY)
    assert lookers(site, index) == []


def test_the_same_window_read_again_is_told_once_with_its_last_time(site: Site) -> None:
    index = site.log(prediction())
    for _ in range(3):
        site.access.record(JUDGE, "drift", filter=JANUARY)
    looks = site.access.looked(site.store.reader.leaf(index))
    assert [look.index for look in looks] == [site.store.reader.size() - 1]


def test_who_looked_is_found_by_the_actors_name(site: Site) -> None:
    from audit.search import Query

    site.access.record(ANN, "view", indexes=[0])
    site.access.record(JUDGE, "drift", filter=JANUARY)
    page = site.store.reader.search(Query(0, 2**62, reference=("actor", "ann")))
    assert [leaf.type for leaf in page.leaves] == ["AccessRecorded"]


def test_the_actor_is_in_no_clear_field(site: Site) -> None:
    index = site.store.reader.size()
    site.access.record(Principal("secret-ann", ("audit",)), "view", indexes=[0])
    assert b"secret-ann" not in site.store.reader.leaf(index).raw


def test_strangers_are_counted_and_told_once_a_minute(site: Site) -> None:
    for _ in range(5):
        site.access.refused()
    assert site.access.refusals == 5
    assert [each["count"] for each in site.accesses()] == [1]
    site.clock.ahead_us += 60_000_000
    site.access.refused()
    assert [each["count"] for each in site.accesses()] == [1, 5]
    assert {each["action"] for each in site.accesses()} == {"refused"}


def test_what_a_known_principal_was_denied_is_told_once_a_minute_each(site: Site) -> None:
    for _ in range(3):
        site.access.denied(ANN, "search_metadata")
        site.access.denied(ANN, "export_bundle")
    told = [(each["actor"], each["action"]) for each in site.accesses()]
    assert told == [("ann", "denied search_metadata"), ("ann", "denied export_bundle")]


def test_looks_are_told_newest_first(site: Site) -> None:
    index = site.log(prediction())
    site.access.record(ANN, "view", indexes=[index])
    site.access.record(JUDGE, "drift", filter=JANUARY)
    site.access.record(ANN, "trace", indexes=[index])
    assert [action for _, action in lookers(site, index)] == ["trace", "drift", "view"]
