"""The registry as a projection: versions with their lineage, integrations, tokens, who looked.

Decides which documents these events leave behind and under which keys; `audit.lineage`,
`audit.tokens` and `audit.access` read them. Everything follows from the events alone, so
`rebuild` gives the same documents.

    version      MODEL VERSION SENDER    what each sender released, its newest release wins
    integration  NAME                    what was declared, newest declaration wins; how it sends
                                         only as the operator applied it
    token        SHA-256 of the token    audit.tokens.Issued
    looked       BLOCK ACCESS            one for each block of entries that an access named
    looked-at    MODEL DIGEST            the newest look of each actor at one window

A space parts the words of a key, since no name can hold one; numbers have 19 digits. A block is
64 consecutive entries: an access that names a page of them leaves a few documents, not hundreds.
Keys are clear: DIGEST is of action and window and never of who looked, since names can be guessed.
"""

from collections.abc import Sequence
from hashlib import sha256
from typing import Any

import msgspec

from audit.documents import Applied, View
from audit.events import SYSTEM, micros
from audit.tokens import KIND as TOKEN
from audit.tokens import Issued

VERSION, INTEGRATION, LOOKED, WINDOW = "version", "integration", "looked", "looked-at"
_BLOCK = 64

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.decode
_decode_issued = msgspec.json.Decoder(Issued).decode


class Released(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model version as the newest VersionReleased of one integration tells it; `index` is that
    entry. `unverified` is never stored: `audit.releases` decides it for whoever asks."""

    model: str
    version: str
    index: int
    time: str
    integration: str
    lineage: dict[str, Any] = {}
    case: str | None = None
    metrics: dict[str, float] = {}
    unverified: bool = False


class Declared(msgspec.Struct, frozen=True, omit_defaults=True):
    """An integration as its newest IntegrationDeclared tells it.

    `declaration` is how it sends and proves who it is, as the operator last applied it, and
    `revision` its digest: an integration may tell of itself, but not open a door for itself.
    """

    name: str
    index: int
    time: str
    owner: str | None = None
    cadence: str | None = None
    region: str | None = None
    declaration: dict[str, Any] | None = None
    revision: str | None = None


_decode_declared = msgspec.json.Decoder(Declared).decode


class Look(msgspec.Struct, frozen=True, omit_defaults=True):
    """One access, as far as one block of entries or one kind of window is concerned."""

    index: int
    time: str
    actor: str
    action: str
    filter: dict[str, Any] = {}
    indexes: tuple[int, ...] = ()


_decode_looks = msgspec.json.Decoder(list[Look]).decode


class Catalog:
    """Projection of the registry; see `audit.documents.Projection`."""

    name = "catalog"
    types = frozenset(
        {"VersionReleased", "IntegrationDeclared", "TokenIssued", "TokenRevoked", "AccessRecorded"}
    )
    kinds = frozenset({VERSION, INTEGRATION, TOKEN, LOOKED, WINDOW})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        """Put the documents that these entries leave behind."""
        for each in entries:
            body = _decode(each.event.body)
            match each.event.type:
                case "VersionReleased":
                    _released(each, body, view)
                case "IntegrationDeclared":
                    _declared(each, body, view)
                case "TokenIssued":
                    _issued(each, body, view)
                case "TokenRevoked":
                    _revoked(each, body, view)
                case "AccessRecorded":
                    _accessed(each, body, view)

    def forget(self, handle: int, view: View) -> None:
        """Nothing here is about a subject."""


def version_prefix(model: str, version: str) -> str:
    """What the keys of a version's documents begin with."""
    return f"{model} {version} "


def block_prefix(index: int) -> str:
    """What the keys of looks at this entry's block begin with."""
    return f"{_number(index // _BLOCK)} "


def _number(value: int) -> str:
    return f"{value:019d}"  # so that keys sort as numbers do


def _released(each: Applied, body: dict[str, Any], view: View) -> None:
    event = each.event
    found = Released(
        model=event.model,
        version=event.version,
        index=each.index,
        time=body["time"],
        integration=event.integration,
        lineage=body["model"].get("lineage") or {},
        case=body.get("case"),
        metrics=body.get("metrics") or {},
    )
    key = version_prefix(event.model, event.version) + event.integration
    view.put(VERSION, key, _encode(found))


def _declared(each: Applied, body: dict[str, Any], view: View) -> None:
    name = str(body.get("name") or each.event.integration)
    if each.event.integration == SYSTEM:
        declaration, revision = body.get("declaration"), _text(body.get("revision"))
    else:
        stored = view.get(INTEGRATION, name)
        before = None if stored is None else _decode_declared(stored)
        declaration = None if before is None else before.declaration
        revision = None if before is None else before.revision
    found = Declared(
        name=name,
        index=each.index,
        time=body["time"],
        owner=_text(body.get("owner")),
        cadence=_text(body.get("cadence")),
        region=_text(body.get("region")),
        declaration=declaration if isinstance(declaration, dict) else None,
        revision=revision,
    )
    view.put(INTEGRATION, name, _encode(found))


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _issued(each: Applied, body: dict[str, Any], view: View) -> None:
    found = Issued(
        hash=body["hash"],
        actor=body["actor"],
        roles=tuple(body["roles"]),
        issued_us=each.event.event_us,
        integration=body.get("integration"),
        expires_us=micros(body["expires"]) if "expires" in body else None,
    )
    view.put(TOKEN, found.hash, _encode(found))


def _revoked(each: Applied, body: dict[str, Any], view: View) -> None:
    known = view.get(TOKEN, body["token"])
    if known is not None:
        issued = _decode_issued(known)
        revoked = msgspec.structs.replace(issued, revoked_us=each.event.event_us)
        view.put(TOKEN, issued.hash, _encode(revoked))


def _accessed(each: Applied, body: dict[str, Any], view: View) -> None:
    look = Look(each.index, body["time"], body["actor"], body["action"], body.get("filter") or {})
    if "indexes" in body:
        blocks: dict[str, list[int]] = {}
        for index in sorted(set(body["indexes"])):
            blocks.setdefault(block_prefix(index), []).append(index)
        for prefix, indexes in blocks.items():
            one = msgspec.structs.replace(look, filter={}, indexes=tuple(indexes))
            view.put(LOOKED, prefix + _number(each.index), _encode(one))
    elif look.filter:
        # The same window is read again and again: an actor's newest access stands for all of them.
        told = _encode([look.action, look.filter])
        key = f"{look.filter.get('model') or '*'} {sha256(told).hexdigest()[:32]}"
        before = window_looks(view.get(WINDOW, key))
        others = [other for other in before if other.actor != look.actor]
        view.put(WINDOW, key, _encode([*others, look]))


def window_looks(body: bytes | None) -> list[Look]:
    """Return the looks that a looked-at document holds, none where there is no document."""
    return [] if body is None else _decode_looks(body)
