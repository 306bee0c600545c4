"""Bodies of many rows: JSON lines, an array, or one object, whatever the header says.

Decides how rows are told apart, and that one that cannot be read never sinks the others. Log
shippers post a file's lines under any content type, so the bytes decide.
"""

from collections.abc import Callable, Mapping, Sequence

import msgspec

from audit.events import Event
from collector.adapters.bodies import MOST_BYTES
from collector.adapters.wire import PLACE, Adapted, Adapter, Half, Message, Read, Refused
from collector.decode import Format, split
from collector.errors import CollectorError, TooLarge
from collector.integrations.declaration import Declared
from collector.limits import Limits

_LIMITS = Limits.model_construct()
_bom = b"\xef\xbb\xbf"
_syntax = msgspec.json.Decoder(msgspec.Raw).decode
_place = msgspec.json.Decoder(dict[str, str]).decode


def rows_of(body: bytes) -> list[bytes]:
    """The rows of a body, as they came; raises `Malformed` and `TooLarge`."""
    if len(body) > 2 * MOST_BYTES:
        raise TooLarge(
            f"the body is longer than {2 * MOST_BYTES} bytes", remedy="Send fewer rows at once."
        )
    plain = body.removeprefix(_bom).lstrip(b" \t\r\n")
    form = Format.LINES if plain.startswith(b"{") and _is_lines(plain) else Format.JSON
    return split(plain, form, _LIMITS).raw


def each_row(message: Message, row: Callable[[bytes], Adapted]) -> Adapted:
    """What all rows of a message hold; `row` may raise `CollectorError` for its own row."""
    return _each(rows_of(message.unpacked), row)


def _each(rows: Sequence[bytes], row: Callable[[bytes], Adapted]) -> Adapted:
    unrelated = 0
    events: list[Event] = []
    refused: list[Refused] = []
    halves: list[Half] = []
    for raw in rows:
        try:
            found = row(raw)
        except CollectorError as error:
            refused.append(Refused(raw, error))
            continue
        events += found.events
        refused += found.refused
        halves += found.halves
        unrelated += found.unrelated
    return Adapted(events=events, refused=refused, halves=halves, unrelated=unrelated)


def by_row(adapter: Adapter) -> Read:
    """How rows of a file are read that were kept by themselves: as they were out of their file."""

    def read(message: Message, declared: Declared) -> Adapted:
        told = [value for name, value in message.headers if name == PLACE]
        place: dict[str, str] = _place(told[0]) if told else {}
        rows = message.unpacked.split(b"\n")
        return _each(rows, lambda raw: one_row(adapter, message, raw, declared, place))

    return read


def one_row(
    adapter: Adapter, about: Message, raw: bytes, declared: Declared, place: Mapping[str, str]
) -> Adapted:
    """What an adapter makes of one row of the file that `about` tells of; raises as it does."""
    if adapter.row is not None:
        return adapter.row(raw, declared, place, about.received_us)
    return adapter.read(msgspec.structs.replace(about, unpacked=raw), declared)


def _is_lines(body: bytes) -> bool:
    """Whether the first line is an object by itself, so that a pretty-printed one is not cut."""
    first, _, rest = body.partition(b"\n")
    if not rest.strip():
        return False
    try:
        _syntax(first)
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError, RecursionError):
        return False
    return True
