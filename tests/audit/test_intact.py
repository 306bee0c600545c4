"""What was edited in the database is never shown as an entry of the log."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from audit.errors import Tampered
from audit.search import Query
from audit.store import Store
from tests.audit.guards import without_guards
from tests.audit.stores import anonymous, opened, prediction

SIZE = 300
IN_A_TILE, IN_THE_TAIL = 50, 290
EVER = Query(0, 2**62, limit=200)
EDITS = {
    "series": "SELECT id FROM series WHERE model = 'weather'",
    "event_us": "SELECT event_us + 1 FROM entry WHERE idx = :idx",
    "leaf": "SELECT leaf FROM entry WHERE idx = :idx",
}


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def store(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Store]:
    server, url = None, ""
    if request.param == "postgresql":
        server = request.getfixturevalue("postgres_server")
        url = server.create()
    store = opened(tmp_path_factory.mktemp("store"), url)
    store.ledger.append([anonymous(1), *(prediction(number) for number in range(SIZE))])
    yield store
    store.close()
    if server is not None:
        server.drop(url)


def edited(store: Store, column: str, index: int) -> Any:
    """Put another value into the column; return the one before."""
    row = {"idx": index}
    with without_guards(store.settings.url) as connection:
        was = connection.execute(text(f"SELECT {column} FROM entry WHERE idx = :idx"), row).scalar()
        became = connection.execute(text(EDITS[column]), row).scalar()
        if column == "leaf":
            assert isinstance(became, bytes | memoryview)
            became = bytes(became)
            became = became[:20] + bytes([became[20] ^ 1]) + became[21:]
        assert became != was
        connection.execute(
            text(f"UPDATE entry SET {column} = :value WHERE idx = :idx"), {**row, "value": became}
        )
    return was


def restored(store: Store, column: str, index: int, value: Any) -> None:
    with without_guards(store.settings.url) as connection:
        connection.execute(
            text(f"UPDATE entry SET {column} = :value WHERE idx = :idx"),
            {"idx": index, "value": value},
        )


def shown(store: Store) -> int:
    """Search all pages; return how many entries they hold."""
    page, count = store.reader.search(EVER), 0
    while True:
        count += len(page.leaves)
        if page.next is None:
            return count
        page = store.reader.search(Query(0, 2**62, limit=200, cursor=page.next))


@pytest.mark.parametrize("index", [IN_A_TILE, IN_THE_TAIL])
@pytest.mark.parametrize("column", list(EDITS))
@pytest.mark.parametrize("seen_before", [True, False])
def test_an_edited_entry_is_shown_by_nothing(
    store: Store, column: str, index: int, seen_before: bool
) -> None:
    if seen_before:
        assert shown(store) == store.reader.size()
    else:
        again = opened(store.settings.data, store.settings.database)
        store = again
    was = edited(store, column, index)
    try:
        for read in (
            lambda: store.reader.leaf(index),
            lambda: store.reader.prove(index),
            lambda: shown(store),
        ):
            with pytest.raises(Tampered) as told:
                read()
            if seen_before or index == IN_A_TILE:
                assert told.value.index == index
        with pytest.raises(Tampered):
            store.reader.open([index])
    finally:
        restored(store, column, index, was)
        if not seen_before:
            again.close()


def test_what_was_not_edited_is_shown_while_the_log_grows(store: Store) -> None:
    for number in range(1_000, 1_000 + 2 * 256, 64):
        store.ledger.append([prediction(number + each) for each in range(64)])
        assert shown(store) == store.reader.size()
        assert store.reader.leaf(store.reader.size() - 1).model == "credit"


def test_the_row_of_another_entry_is_not_taken_for_this_one(store: Store) -> None:
    columns = ("leaf", "series", "event_us")
    kept = {}
    with without_guards(store.settings.url) as connection:
        for name in columns:
            query = text(f"SELECT {name} FROM entry WHERE idx = :idx")
            kept[name] = connection.execute(query, {"idx": 50}).scalar()
            other = connection.execute(query, {"idx": 57}).scalar()
            update = text(f"UPDATE entry SET {name} = :value WHERE idx = 50")
            connection.execute(update, {"value": other})
    try:
        with pytest.raises(Tampered, match="entry 50"):
            store.reader.leaf(50)
    finally:
        for name in columns:
            restored(store, name, 50, kept[name])
    assert store.reader.leaf(50).index == 50
