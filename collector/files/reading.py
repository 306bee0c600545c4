"""Rows of a file → events, by the adapter of their integration or as our own fields.

Decides that a row which cannot be read is refused by itself, whatever the adapter does with a body
of many, and that an adapter which fails on a row has refused it. Pure, but that such is logged.
"""

from collections.abc import Mapping
from dataclasses import replace

import msgspec

from audit.errors import Rejected
from collector import adapt
from collector.adapters.rows import each_row
from collector.adapters.wire import Adapted, Adapter, Message, Refused
from collector.delivery import NATIVE
from collector.errors import CollectorError, Malformed
from collector.integrations.declaration import Declared
from collector.integrations.intake import failed


def native(address: str) -> Adapter:
    """The adapter of rows that are our own events already."""
    type = NATIVE[address]

    def read(message: Message, declared: Declared) -> Adapted:
        return each_row(message, lambda raw: row(raw, declared, {}, message.received_us))

    def row(
        raw: bytes, declared: Declared, _place: Mapping[str, str], _received_us: int
    ) -> Adapted:
        return Adapted(events=[adapt.native(type, declared.name, raw)])

    return Adapter(name=address, read=read, row=row)


def read_rows(
    about: Message,
    rows: list[bytes],
    declared: Declared,
    adapter: Adapter,
    place: Mapping[str, str],
) -> Adapted:
    """What an adapter makes of rows of a file at `place`; refuses each by itself."""
    if adapter.row is None:
        return _read_together(about, rows, declared, adapter)
    found = Adapted()
    unrelated = 0
    for raw in rows:
        try:
            part = adapter.row(raw, declared, place, about.received_us)
        except Exception as error:  # noqa: BLE001 - whatever it is, it is this row's
            found.refused.append(_refused(raw, error, adapter))
            continue
        found.events.extend(part.events)
        found.refused.extend(part.refused)
        found.halves.extend(part.halves)
        unrelated += part.unrelated
    return replace(found, unrelated=unrelated)


def _read_together(
    about: Message, rows: list[bytes], declared: Declared, adapter: Adapter
) -> Adapted:
    """Rows as one body, since some adapters need those before; by halves where it is refused."""
    try:
        whole = msgspec.structs.replace(about, unpacked=b"\n".join(rows))
        return adapter.read(whole, declared)
    except Exception as error:  # noqa: BLE001 - as above
        if len(rows) == 1:
            return Adapted(refused=[_refused(rows[0], error, adapter)])
    half = len(rows) // 2
    parts = [_read_together(about, each, declared, adapter) for each in (rows[:half], rows[half:])]
    return Adapted(
        events=[event for each in parts for event in each.events],
        refused=[refused for each in parts for refused in each.refused],
        halves=[half for each in parts for half in each.halves],
        unrelated=sum(each.unrelated for each in parts),
    )


def _refused(raw: bytes, error: Exception, adapter: Adapter) -> Refused:
    """The refusal of a row; a fault of the adapter is told as one of the row."""
    if isinstance(error, CollectorError):
        return Refused(raw, error)
    if isinstance(error, Rejected):
        return Refused(raw, Malformed(str(error), field=error.field, remedy=error.remedy))
    return Refused(raw, failed(adapter, error))
