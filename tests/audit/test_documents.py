"""Documents: a projection's own keyed bodies, written with the events that make them."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from audit.documents import Applied, View
from audit.scratch import Scratch
from audit.store import Store
from tests.audit.stores import opened, prediction, system


class _Ids:
    """Keeps the id of each hold, counts them, and forgets those released."""

    name = "ids"
    types = frozenset({"HoldPlaced", "HoldReleased"})
    kinds = frozenset({"hold", "count"})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        for each in entries:
            if each.event.type == "HoldReleased":
                view.delete("hold", each.event.id)
                continue
            view.put("hold", each.event.id, str(each.index).encode())
            view.put("count", "all", str(int(view.get("count", "all") or b"0") + 1).encode())

    def forget(self, handle: int, view: View) -> None:
        """Nothing."""


IDS = ["a", "b", "b\U0010ffff", "ba", "bé", "c", "Z", "_", "é", "0"]


@pytest.fixture
def store(tmp_path: Path, database: str) -> Iterator[Store]:
    store = opened(tmp_path, database, projections=[_Ids()])
    store.ledger.append([system("HoldPlaced", id) for id in IDS] + [prediction(1)])
    yield store
    store.close()


def test_documents_follow_their_events(store: Store) -> None:
    assert store.documents.get("hold", "a") == b"1"
    assert store.documents.get("count", "all") == b"10"
    store.ledger.append([system("HoldReleased", "a"), system("HoldPlaced", "d")])
    assert store.documents.get("hold", "a") is None
    assert store.documents.get("count", "all") == b"11"
    assert store.documents.get("nothing", "a") is None


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"limit": 3},
        {"descending": True},
        {"prefix": "b"},
        {"prefix": "b", "descending": True, "limit": 2},
        {"after": "b"},
        {"after": "b", "descending": True},
        {"prefix": "b", "after": "b"},
        {"prefix": "nothing"},
    ],
)
def test_lists_are_ordered_the_same_wherever_they_are(
    store: Store, asked: dict[str, object]
) -> None:
    """Both databases and the view in memory that fsck replays into agree, key by key."""
    scratch = Scratch()
    for index, id in enumerate(IDS, 1):
        scratch.put("hold", id, str(index).encode())
    expected = scratch.list("hold", **asked)  # type: ignore[arg-type]  # by name
    assert store.documents.list("hold", **asked) == expected  # type: ignore[arg-type]  # by name
    assert [key for key, _ in expected] == sorted(
        (key for key, _ in expected), reverse=bool(asked.get("descending"))
    )


@pytest.mark.parametrize("descending", [False, True])
def test_each_gives_all_however_many_pages_they_fill(store: Store, descending: bool) -> None:
    ids = [f"many-{number:04d}" for number in range(450)]
    store.ledger.append([system("HoldPlaced", id) for id in ids])
    ordered = ids[::-1] if descending else ids
    rows = store.documents.each("hold", "many-", descending=descending)
    assert [key for key, _ in rows] == ordered
    rest = store.documents.each("hold", "many-", after=ordered[100], descending=descending)
    assert [key for key, _ in rest] == ordered[101:]
    assert list(store.documents.each("hold", "none-")) == []


def test_whoever_stops_early_has_not_read_everything(store: Store) -> None:
    store.ledger.append([system("HoldPlaced", f"many-{number:04d}") for number in range(60)])
    rows = store.documents.each("hold", "many-")
    assert next(rows)[0] == "many-0000"
    # A row of a later page is gone by the time that it would be read.
    store.ledger.append([system("HoldReleased", "many-0059")])
    assert [key for key, _ in rows][-1] == "many-0058"


def test_a_document_is_bound_to_its_kind_and_key(store: Store) -> None:
    from sqlalchemy import text

    from audit.errors import Tampered

    with store.database.writing() as connection:
        connection.execute(text("UPDATE document SET key = 'moved' WHERE key = 'a'"))
    with pytest.raises(Tampered):
        store.documents.get("hold", "moved")
