"""Streams in force: declared by `modelwitness apply`, read by `modelwitness consume --declared`.

Decides that formats are checked when a file is applied, and that a declaration of a later version
that this one cannot read is told and left out, so that the others are consumed.
"""

import msgspec

from audit.clock import Clock
from audit.revision import Change
from audit.store import Store
from collector import sources
from collector.adapters.registry import ADAPTERS
from collector.sources import Documented
from collector.streams.declaration import FORMATS, Stream, parse

KIND = "stream"
_decode_stream = msgspec.json.Decoder(Stream).decode


def parsed(text: str) -> Stream:
    """Return the stream that a file declares; raises `BadDeclaration`."""
    return parse(text, [*FORMATS, *ADAPTERS])


def apply_text(store: Store, text: str, author: str, *, clock: Clock) -> Change:
    """Put the stream in `text` in force; raises `BadDeclaration`."""
    stream = parsed(text)
    return sources.put(
        store.ledger, store.documents, KIND, stream.name, stream, author, clock=clock
    )


def in_force(documents: Documented) -> tuple[list[Stream], list[str]]:
    """Return the streams in force that are not paused, and the names of those not understood."""
    found, strange = sources.understood(documents, KIND, _decode_stream)
    return [each for each in found if not each.paused], strange
