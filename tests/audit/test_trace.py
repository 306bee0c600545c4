"""The verdict on an entry follows from what the reader raises, not from how it words it."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from audit import trace
from audit.errors import PayloadGone, Tampered
from audit.reader import Leaf, Opened, Reader
from tests.audit.stores import opened, prediction


class Reworded(PayloadGone):
    """A payload that is gone, in other words."""

    def __init__(self, index: int) -> None:
        Tampered.__init__(self, "nothing is where something was", index=index)


class Refusing:
    """A reader that opens nothing."""

    def __init__(self, reader: Reader, error: Tampered) -> None:
        self._reader = reader
        self._error = error

    def leaf(self, index: int) -> Leaf:
        return self._reader.leaf(index)

    def open(self, indexes: Sequence[int]) -> list[Opened]:
        raise self._error

    def prove(self, index: int) -> bytes:
        return self._reader.prove(index)


@pytest.mark.parametrize(
    ("error", "retention"),
    [
        (PayloadGone(1), "failed"),
        (Reworded(1), "failed"),
        (Tampered("it says that no erasure covers it", index=1), "unchecked"),
    ],
)
def test_a_payload_is_called_gone_by_its_kind_of_error(
    tmp_path: Path, error: Tampered, retention: str
) -> None:
    store = opened(tmp_path)
    store.ledger.append([prediction(1)])
    reader = Refusing(store.reader, error)
    found = trace.examine(reader, 1, store.ledger.vkey, now_us=0, verifier="tests")
    assert (found.verdict.hash.state, found.verdict.retention.state) == ("failed", retention)
    assert error.what in found.verdict.hash.detail
    store.close()
