"""Rows of a file → events, by the adapter of their integration or as our own fields.

Decides that each row is read by itself, that one which cannot be read is refused by itself, and
that an adapter which fails on a row has refused it. Pure, but that such is logged.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from audit.errors import Rejected
from audit.events import Event
from collector import adapt
from collector.adapters.rows import one_row
from collector.adapters.wire import Adapted, Adapter, Half, Message
from collector.delivery import NATIVE
from collector.errors import CollectorError, Malformed, TooLarge
from collector.files.rows import LONGEST_ROW, TOO_LONG
from collector.integrations.declaration import Declared
from collector.integrations.refusals import failed


class Rows(NamedTuple):
    """What is in rows: `owners` are the rows that the events come from, `refused` why one is none.

    Rows are told by their place in `raw`.
    """

    raw: Sequence[bytes]
    events: list[Event]
    owners: list[int]
    halves: list[Half]
    refused: dict[int, CollectorError]
    unrelated: int

    def adapted(self) -> Adapted:
        """Events and halves, without what was refused."""
        return Adapted(events=self.events, halves=self.halves, unrelated=self.unrelated)


def native(address: str) -> Adapter:
    """The adapter of rows that are our own events already."""
    type = NATIVE[address]

    def row(
        raw: bytes, declared: Declared, _place: Mapping[str, str], _received_us: int
    ) -> Adapted:
        return Adapted(events=[adapt.native(type, declared.name, raw)])

    def read(message: Message, declared: Declared) -> Adapted:
        return row(message.unpacked, declared, {}, message.received_us)

    return Adapter(name=address, read=read, row=row)


def read_rows(
    about: Message,
    raw: Sequence[bytes],
    declared: Declared,
    adapter: Adapter,
    place: Mapping[str, str],
) -> Rows:
    """What an adapter makes of rows of a file at `place`.

    Rows that are equal are told apart by `twin` of the place: "2" is the second of a batch.
    """
    events: list[Event] = []
    owners: list[int] = []
    halves: list[Half] = []
    refused: dict[int, CollectorError] = {}
    unrelated = 0
    seen: dict[bytes, int] = {}
    for at, row in enumerate(raw):
        if row == TOO_LONG:
            refused[at] = TooLarge(
                f"the row is longer than {LONGEST_ROW} bytes", remedy="Write less into one row."
            )
            continue
        twin = seen[row] = seen.get(row, 0) + 1
        try:
            found = one_row(
                adapter, about, row, declared, place if twin == 1 else {**place, "twin": str(twin)}
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's
            refused[at] = _refusal(error, adapter)
            continue
        events += found.events
        owners += [at] * len(found.events)
        halves += found.halves
        unrelated += found.unrelated
        if found.refused:
            refused[at] = found.refused[0].error
    return Rows(raw, events, owners, halves, refused, unrelated)


def _refusal(error: Exception, adapter: Adapter) -> CollectorError:
    if isinstance(error, CollectorError):
        return error
    if isinstance(error, Rejected):
        return Malformed(str(error), field=error.field, remedy=error.remedy)
    return failed(adapter, error)
