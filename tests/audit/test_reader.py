"""Reading back: pages without gaps or repeats, terms that are rechecked, proofs that verify."""

import shutil
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from sqlalchemy import text

from audit import checkpoint, merkle, note, tlogproof
from audit.errors import NotFound, PayloadGone, Rejected, RolledBack, Tampered
from audit.reader import Leaf
from audit.search import Query
from audit.store import Store
from tests.audit.guards import without_guards
from tests.audit.stores import (
    SECOND,
    START,
    anonymous,
    opened,
    outcome,
    prediction,
    system,
)

EVER = (0, 2**62)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    """60 predictions about 7 persons, 30 about nobody, 10 outcomes."""
    server = None
    url = ""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.create()
    store = opened(tmp_path_factory.mktemp("store"), url)
    store.ledger.append([prediction(number) for number in range(60)])
    store.ledger.append([anonymous(number) for number in range(30)])
    store.ledger.append([outcome(number, of=f"p-{number}") for number in range(10)])
    yield store
    store.close()
    if server is not None:
        server.drop(url)


def _all(store: Store, limit: int = 7, **filters: object) -> list[Leaf]:
    found: list[Leaf] = []
    cursor = None
    while True:
        page = store.reader.search(Query(*EVER, cursor=cursor, limit=limit, **filters))  # type: ignore[arg-type]  # filters by name
        found += page.leaves
        cursor = page.next
        if cursor is None:
            return found


def test_pages_hold_every_entry_once_newest_first(store: Store) -> None:
    found = _all(store)
    assert sorted(leaf.index for leaf in found) == list(range(store.reader.size()))
    places = [(leaf.event_us, leaf.index) for leaf in found]
    assert all(later > earlier for later, earlier in pairwise(places))


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({"integration": "web"}, 70),
        ({"model": "credit"}, 60),
        ({"model": "credit", "version": "2"}, 30),
        ({"type": "OutcomeObserved"}, 10),
        ({"type": "PredictionLogged", "integration": "station"}, 30),
        ({"status": "error"}, 0),
        ({"subject": ("customer", "marker-of-a-person-3"), "type": "PredictionLogged"}, 9),
        ({"subject": ("customer", "marker-of-a-person-3")}, 10),  # with the outcome of p-3
        ({"subject": ("customer", "nobody")}, 0),
        ({"subject": ("account", "marker-of-a-person-3")}, 0),
        ({"reference": ("loan", "marker-of-a-reference-5")}, 1),
        ({"reference": ("account", "marker-of-a-reference-5")}, 0),
        ({"subject": ("customer", "marker-of-a-person-5"), "model": "weather"}, 0),
    ],
)
def test_filters_find_what_they_name(store: Store, filters: dict[str, object], count: int) -> None:
    assert len(_all(store, limit=3, **filters)) == count


def test_a_range_includes_its_start_and_not_its_end(store: Store) -> None:
    query = Query(START + 5 * SECOND, START + 8 * SECOND, model="credit")
    assert [leaf.event_us for leaf in store.reader.search(query).leaves] == [
        START + second * SECOND for second in (7, 6, 5)
    ]


@pytest.mark.parametrize("cursor", ["", "x", "MSw=", "MTIzNDU2", "LDE="])
def test_a_cursor_of_ones_own_making_is_refused(store: Store, cursor: str) -> None:
    with pytest.raises(Rejected):
        store.reader.search(Query(*EVER, cursor=cursor))


def test_pages_do_not_shift_while_the_ledger_grows(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(number) for number in range(10)])
    first = store.reader.search(Query(*EVER, model="credit", limit=4))
    store.ledger.append([prediction(number) for number in range(10, 20)])
    rest = store.reader.search(Query(*EVER, model="credit", limit=50, cursor=first.next))
    assert [leaf.index for leaf in (*first.leaves, *rest.leaves)] == list(range(10, 0, -1))
    store.close()


def test_entries_open_in_the_order_asked_for(store: Store) -> None:
    opened = store.reader.open([5, 1, 5])
    assert [each.leaf.index for each in opened] == [5, 1, 5]
    assert opened[1].body == prediction(0).body


def test_what_is_not_there_is_not_found(store: Store) -> None:
    size = store.reader.size()
    for index in (size, -1):
        with pytest.raises(NotFound):
            store.reader.open([index])
        with pytest.raises(NotFound):
            store.reader.leaf(index)
        with pytest.raises(NotFound):
            store.reader.prove(index)
    assert store.reader.find("web", "PredictionLogged", "p-1000") is None


def test_an_event_is_found_by_its_producers_id(store: Store) -> None:
    index = store.reader.find("web", "PredictionLogged", "p-7")
    assert index is not None
    assert store.reader.open([index])[0].body == prediction(7).body
    assert store.reader.find("batch", "PredictionLogged", "p-7") is None
    assert store.reader.find("web", "OutcomeObserved", "p-7") is None


def test_a_window_streams_by_event_time(store: Store) -> None:
    found = list(
        store.reader.window(
            "PredictionLogged", "credit", "1", START + 10 * SECOND, START + 20 * SECOND
        )
    )
    assert [each.leaf.event_us for each in found] == [
        START + second * SECOND for second in range(10, 20, 2)
    ]


def test_every_proof_verifies(store: Store) -> None:
    key = note.Verifier.parse(store.ledger.vkey)
    for index in (0, 1, 63, 64, store.reader.size() - 1):
        proof = tlogproof.parse(store.reader.prove(index))
        signed = checkpoint.open(proof.checkpoint, key)
        leaf_hash = store.reader.leaf(index).hash
        merkle.verify_inclusion(leaf_hash, index, signed.size, proof.hashes, signed.root)


def test_an_erased_entry_keeps_its_leaf_and_loses_its_body(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([prediction(number) for number in range(4)])
    with without_guards(store.settings.url) as connection:
        connection.execute(text("DELETE FROM payload WHERE idx = 2"))
    store.ledger.append([system("ErasureCompleted", "e", ranges=[[2, 2]])])
    erased = store.reader.open([2])[0]
    assert (erased.body, erased.erased) == (b"", True)
    assert erased.leaf.model == "credit"
    assert not store.reader.open([1])[0].erased
    store.close()


def test_a_payload_that_vanished_without_a_logged_erasure_is_not_called_erased(
    tmp_path: Path,
) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(number) for number in range(4)])
    with without_guards(store.settings.url) as connection:
        connection.execute(text("DELETE FROM payload WHERE idx = 2"))
    with pytest.raises(PayloadGone) as told:
        store.reader.open([2])
    assert told.value.index == 2
    store.close()


def test_sealed_data_of_a_rolled_back_store_is_refused(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(1)])
    with store.database.reading() as connection:
        older = connection.execute(text("SELECT size, root FROM head")).mappings().one()
    store.ledger.append([prediction(2)])
    with without_guards(store.settings.url) as connection:
        connection.execute(text("UPDATE head SET size = :size, root = :root"), dict(older))
    with pytest.raises(RolledBack):
        store.reader.open([1])
    with pytest.raises(RolledBack):
        list(store.reader.window("PredictionLogged", "credit", None, *EVER))
    store.close()
    shutil.rmtree(tmp_path)


def test_a_payload_put_under_another_entry_does_not_open(tmp_path: Path, database: str) -> None:
    store = opened(tmp_path, database)
    store.ledger.append([prediction(1), prediction(8)])  # about one person
    with without_guards(store.settings.url) as connection:
        row = (
            connection.execute(
                text("SELECT sealed, key_version, wrapped FROM payload WHERE idx = 1")
            )
            .mappings()
            .one()
        )
        connection.execute(
            text(
                "UPDATE payload SET sealed = :sealed, key_version = :key_version,"
                " wrapped = :wrapped WHERE idx = 2"
            ),
            dict(row),
        )
    with pytest.raises(Tampered):
        store.reader.open([2])
    store.close()
