"""What `consume` reads, as the operator applied it: streams and files, by kind and name.

Decides that a source is changed by what is declared and not by how it is written, and that the
ledger tells who changed it and when. The event holds references to secrets, never secrets. The
newest declaration of a name is in force; `paused` in it is how one is taken out.

    source      KIND NAME      the newest SourceDeclared of that name
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec

from audit.clock import Clock
from audit.declared import canonical, said
from audit.documents import Applied, View
from audit.events import SYSTEM, Event, event_of, rfc3339
from audit.group import Appended

SOURCE = "source"
T = TypeVar("T")


class Declared(msgspec.Struct, frozen=True):
    """A source as its newest SourceDeclared tells it; `index` is that entry."""

    kind: str
    name: str
    index: int
    revision: str
    declaration: dict[str, Any]


_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.Decoder(Declared).decode
_decode_body = msgspec.json.Decoder(dict[str, Any]).decode


class Change(msgspec.Struct, frozen=True):
    """What applying a file did: `index` is the event that put the revision in force."""

    name: str
    revision: str
    index: int
    changed: bool


class Appends(Protocol):
    """The part of the ledger that a declaration needs."""

    def append(self, events: Sequence[Event]) -> Sequence[Appended]: ...


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
            found = Declared(
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
    revision = hashlib.sha256(canonical(declared)).hexdigest()
    stored = documents.get(SOURCE, _key(kind, name))
    before = None if stored is None else _decode(stored)
    if before is not None and before.revision == revision:
        return Change(name, revision, before.index, changed=False)
    body = {
        # A revision may come back after another one: the id names what it follows.
        "id": f"{kind}/{name}/{revision[:32]}/{-1 if before is None else before.index}",
        "time": rfc3339(clock()),
        "kind": kind,
        "name": name,
        "revision": revision,
        "declaration": said(declared),
        "actor": author,
    }
    [appended] = ledger.append([event_of("SourceDeclared", SYSTEM, body)])
    return Change(name, revision, appended.index, changed=not appended.duplicate)


def in_force(documents: Documented, kind: str) -> list[Declared]:
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
