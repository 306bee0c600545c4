"""How many predictions were logged of one half alone, by integration and side.

Decides that the count is kept with the halves, changed in the commit that ends their wait, so that
it is the same in every process and after any crash.
"""

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import msgspec

from audit.work import New

UNPAIRED = "unpaired"
_PAGE = 200


class Item(Protocol):
    """What the work table gives back."""

    @property
    def key(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class KeepsWork(Protocol):
    """The part of the work table that holds the counts."""

    def get(self, kind: str, key: str) -> Item | None: ...


class ListsWork(Protocol):
    """The part of the work table that shows the counts."""

    def list(self, kind: str, after: str = "", limit: int = 200) -> Sequence[Item]: ...


class Alone(msgspec.Struct, frozen=True):
    """Requests without a response, and responses without a request, since the store was made."""

    requests: int = 0
    responses: int = 0


_decode_alone = msgspec.msgpack.Decoder(Alone).decode


class Unpaired:
    """Counts halves that stayed alone; for one sweep at a time."""

    def __init__(self, work: KeepsWork) -> None:
        self._work = work

    def counted(self, alone: Sequence[tuple[str, str]], remove: list[tuple[str, str]]) -> list[New]:
        """Return the items that count these (integration, side); old ones are put on `remove`."""
        found: list[New] = []
        for name in sorted({integration for integration, _ in alone}):
            added = Counter(side for integration, side in alone if integration == name)
            stored = self._work.get(UNPAIRED, name)
            before = Alone() if stored is None else _decode_alone(stored.body)
            total = Alone(before.requests + added["request"], before.responses + added["response"])
            remove.append((UNPAIRED, name))
            found.append(New(UNPAIRED, name, msgspec.msgpack.encode(total)))
        return found


def unpaired(work: ListsWork) -> dict[str, Alone]:
    """Return the counts by integration, of those that have any."""
    found: dict[str, Alone] = {}
    after = ""
    while page := work.list(UNPAIRED, after, _PAGE):
        found.update((each.key, _decode_alone(each.body)) for each in page)
        after = page[-1].key
    return found
