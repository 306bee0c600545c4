"""What `consume` reads, as the operator applied it: streams and files, by kind and name.

Decides that a source is changed by what is declared and not by how it is written, and that the
ledger tells who changed it and when. The event holds references to secrets, never secrets. The
newest declaration of a name is in force; `paused` in it is how one is taken out.

    source      KIND NAME      the newest SourceDeclared of that name
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from audit import revision
from audit.clock import Clock
from audit.documents import Applied, View
from audit.events import SYSTEM
from audit.revision import Appends, Change

SOURCE = "source"
T = TypeVar("T")


class SourceDocument(msgspec.Struct, frozen=True):
    """A source as its newest SourceDeclared tells it; `index` is that entry."""

    kind: str
    name: str
    index: int
    revision: str
    declaration: dict[str, Any]


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(SourceDocument).decode
_decode_body = msgspec.json.Decoder(dict[str, Any]).decode


class Documented(Protocol):
    """The part of the documents that is read."""

    def get(self, kind: str, key: str) -> bytes | None: ...
    def each(self, kind: str) -> Iterable[tuple[str, bytes]]: ...


class Sources:
    """Projection of what is declared; see `audit.documents.Projection`."""

    name = "sources"
    types = frozenset({"SourceDeclared"})
    kinds = frozenset({SOURCE})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        """Put the documents that these entries leave behind."""
        for each in entries:
            if each.event.integration != SYSTEM:
                continue
            body = _decode_body(each.event.body)
            found = SourceDocument(
                body["kind"], body["name"], each.index, body["revision"], body["declaration"]
            )
            view.put(SOURCE, _key(found.kind, found.name), _encode(found))

    def forget(self, handle: int, view: View) -> None:
        """Nothing here is about a subject."""


def put(
    ledger: Appends,
    documents: Documented,
    kind: str,
    name: str,
    declared: msgspec.Struct,
    author: str,
    *,
    clock: Clock,
) -> Change:
    """Put a declaration in force; one that says the same appends nothing."""
    key = _key(kind, name)
    stored = documents.get(SOURCE, key)
    before = None if stored is None else _decode(stored)
    body = {"kind": kind, "name": name, "actor": author}
    return revision.put(
        ledger, "SourceDeclared", f"{kind}/{name}", declared, before, body, clock=clock
    )


def in_force(documents: Documented, kind: str) -> list[SourceDocument]:
    """Return the newest declaration of every source of a kind, by name."""
    found = [_decode(body) for _, body in documents.each(SOURCE)]
    return sorted((each for each in found if each.kind == kind), key=lambda each: each.name)


def understood(
    documents: Documented, kind: str, decode: Callable[[bytes], T]
) -> tuple[list[T], list[str]]:
    """Return the sources of a kind in force, and the names of those that `decode` refuses."""
    found: list[T] = []
    strange: list[str] = []
    for each in in_force(documents, kind):
        try:
            found.append(decode(msgspec.json.encode(each.declaration)))
        except msgspec.ValidationError:
            strange.append(each.name)
    return found, strange


def _key(kind: str, name: str) -> str:
    return f"{kind} {name}"
