"""Bodies of many rows: JSON lines, an array, or one object, whatever the header says.

Decides how rows are told apart, and that one that cannot be read never sinks the others. Log
shippers post a file's lines under any content type, so the bytes decide.
"""

from collections.abc import Callable

import msgspec

from audit.events import Event
from collector.adapters.bodies import MOST_BYTES
from collector.adapters.wire import Adapted, Half, Message, Refused
from collector.decode import Format, split
from collector.errors import CollectorError, TooLarge
from collector.limits import Limits

_LIMITS = Limits.model_construct()
_bom = b"\xef\xbb\xbf"
_syntax = msgspec.json.Decoder(msgspec.Raw).decode


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
    events: list[Event] = []
    refused: list[Refused] = []
    halves: list[Half] = []
    for raw in rows_of(message.unpacked):
        try:
            found = row(raw)
        except CollectorError as error:
            refused.append(Refused(raw, error))
            continue
        events += found.events
        refused += found.refused
        halves += found.halves
    return Adapted(events=events, refused=refused, halves=halves)


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
