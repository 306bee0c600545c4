"""Rows of a file → events, by the adapter of their integration or as our own fields.

Decides that a row which cannot be read is refused by itself, whatever the adapter does with a body
of many. Pure.
"""

from collections.abc import Mapping

import msgspec

from audit.errors import Rejected
from collector import adapt
from collector.adapters.rows import each_row
from collector.adapters.wire import Adapted, Adapter, Message, Refused
from collector.delivery import NATIVE
from collector.errors import CollectorError, Malformed
from collector.integrations.declaration import Declared


def native(address: str) -> Adapter:
    """The adapter of rows that are our own events already."""
    type = NATIVE[address]

    def read(message: Message, declared: Declared) -> Adapted:
        return each_row(
            message, lambda raw: Adapted(events=[adapt.native(type, declared.name, raw)])
        )

    return Adapter(name=address, read=read)


def read_rows(
    about: Message,
    rows: list[bytes],
    declared: Declared,
    adapter: Adapter,
    place: Mapping[str, str],
) -> Adapted:
    """What an adapter makes of rows of a file at `place`; refuses each by itself."""
    if adapter.row is None:
        try:
            return adapter.read(msgspec.structs.replace(about, unpacked=b"\n".join(rows)), declared)
        except Rejected as error:
            if len(rows) > 1:
                return _joined([read_rows(about, [row], declared, adapter, place) for row in rows])
            return Adapted(refused=[_refused(rows[0], error)])
    found = []
    for row in rows:
        try:
            found.append(adapter.row(row, declared, place, about.received_us))
        except Rejected as error:
            found.append(Adapted(refused=[_refused(row, error)]))
    return _joined(found)


def _refused(raw: bytes, error: Rejected) -> Refused:
    if isinstance(error, CollectorError):
        return Refused(raw, error)
    return Refused(raw, Malformed(str(error), field=error.field, remedy=error.remedy))


def _joined(parts: list[Adapted]) -> Adapted:
    return Adapted(
        events=[event for each in parts for event in each.events],
        refused=[refused for each in parts for refused in each.refused],
        halves=[half for each in parts for half in each.halves],
        unrelated=sum(each.unrelated for each in parts),
    )
