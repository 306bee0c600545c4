"""Files in force: declared by `modelwitness apply`, watched by `modelwitness consume --declared`.

Decides that a declaration of a later version that this one cannot read is told and left out, so
that the others are watched.
"""

import os
from collections.abc import Mapping

import msgspec

from audit.clock import Clock, system_clock
from audit.references import PATTERN
from audit.revision import Change
from audit.store import Store
from collector import sources
from collector.files.declaration import Files, parse
from collector.files.place import Place, place_of
from collector.integrations.secrets import Secrets
from collector.sources import Documented

KIND = "files"
_decode_files = msgspec.json.Decoder(Files).decode


def apply_text(store: Store, text: str, author: str, *, clock: Clock) -> Change:
    """Put the files in `text` in force; raises `BadDeclaration`."""
    files = parse(text)
    return sources.put(store.ledger, store.documents, KIND, files.name, files, author, clock=clock)


def in_force(documents: Documented) -> tuple[list[Files], list[str]]:
    """Return the files in force that are not paused, and the names of those not understood."""
    found, strange = sources.understood(documents, KIND, _decode_files)
    return [each for each in found if not each.paused], strange


def opened(files: Files, environment: Mapping[str, str] = os.environ) -> Place:
    """The place of a declaration, its secrets read now; raises `Busy` where they are not there."""
    secrets = Secrets(environment, system_clock)
    options = {
        key: secrets.all_of([value])[0].decode()
        if isinstance(value, str) and PATTERN.fullmatch(value)
        else value
        for key, value in files.options.items()
    }
    return place_of(files.location, options)
