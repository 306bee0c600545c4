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


def test_a_document_is_bound_to_its_kind_and_key(store: Store) -> None:
    from sqlalchemy import text

    from audit.errors import Tampered

    with store.database.writing() as connection:
        connection.execute(text("UPDATE document SET key = 'moved' WHERE key = 'a'"))
    with pytest.raises(Tampered):
        store.documents.get("hold", "moved")
