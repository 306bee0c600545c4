"""A declaration file becomes an IntegrationDeclared event, when it says something new.

Decides that an integration is changed by what is declared and not by how it is written, and that
only what is applied here opens a way in. The event holds references to secrets, never secrets.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from audit.catalog import INTEGRATION
from audit.catalog import Declared as Document
from audit.clock import Clock
from audit.declared import canonical, said
from audit.events import SYSTEM, Event, event_of, rfc3339
from audit.group import Appended
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapter
from collector.integrations.reading import parse
from collector.integrations.verifiers import VERIFIERS

_decode_document = msgspec.json.Decoder(Document).decode


class Appends(Protocol):
    """The part of the ledger that a declaration needs."""

    def append(self, events: Sequence[Event]) -> Sequence[Appended]: ...


class Documented(Protocol):
    """The part of the documents that a declaration needs."""

    def get(self, kind: str, key: str) -> bytes | None: ...


class Change(msgspec.Struct, frozen=True):
    """What applying a file did: `index` is the event that put the revision in force."""

    integration: str
    revision: str
    index: int
    changed: bool


def apply_text(
    ledger: Appends,
    documents: Documented,
    text: str,
    author: str,
    *,
    clock: Clock,
    adapters: Mapping[str, Adapter] = ADAPTERS,
) -> Change:
    """Apply the declaration in `text`; raises `BadDeclaration` naming place and remedy."""
    declared = parse(text, adapters, VERIFIERS)
    revision = hashlib.sha256(canonical(declared)).hexdigest()
    stored = documents.get(INTEGRATION, declared.name)
    before = None if stored is None else _decode_document(stored)
    if before is not None and before.revision == revision:
        return Change(declared.name, revision, before.index, changed=False)
    body = {
        # A revision may come back after another one: the id names what it follows.
        "id": f"{declared.name}/{revision[:32]}/{-1 if before is None else before.index}",
        "time": rfc3339(clock()),
        "name": declared.name,
        "revision": revision,
        "declaration": said(declared),
        "actor": author,
    }
    if declared.owner:
        body["owner"] = declared.owner
    if declared.region:
        body["region"] = declared.region
    if declared.cadence_seconds:
        body["cadence"] = f"{declared.cadence_seconds}s"
    [appended] = ledger.append([event_of("IntegrationDeclared", SYSTEM, body)])
    return Change(declared.name, revision, appended.index, changed=not appended.duplicate)
