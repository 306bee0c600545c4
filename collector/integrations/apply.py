"""A declaration file becomes an IntegrationDeclared event, when it says something new.

Decides that an integration is changed by what is declared and not by how it is written, and that
only what is applied here opens a way in. The event holds references to secrets, never secrets.
"""

from collections.abc import Mapping
from typing import Any, Protocol

import msgspec

from audit import revision
from audit.catalog import INTEGRATION, DeclaredDocument
from audit.clock import Clock
from audit.revision import Appends, Change
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapter
from collector.integrations.reading import parse
from collector.integrations.verifiers import VERIFIERS

_decode_document = msgspec.json.Decoder(DeclaredDocument).decode


class Documented(Protocol):
    """The part of the documents that a declaration needs."""

    def get(self, kind: str, key: str) -> bytes | None: ...


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
    stored = documents.get(INTEGRATION, declared.name)
    before = None if stored is None else _decode_document(stored)
    body: dict[str, Any] = {"name": declared.name, "actor": author}
    if declared.owner:
        body["owner"] = declared.owner
    if declared.region:
        body["region"] = declared.region
    if declared.cadence_seconds:
        body["cadence"] = f"{declared.cadence_seconds}s"
    return revision.put(
        ledger, "IntegrationDeclared", declared.name, declared, before, body, clock=clock
    )
