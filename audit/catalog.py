"""The registry as a projection: versions with their lineage, integrations, tokens, who looked.

Decides which documents these events leave behind and under which keys; `audit.lineage`,
`audit.tokens` and `audit.access` read them. Everything follows from the events alone, so
`rebuild` gives the same documents.

    version      MODEL VERSION SENDER    what each sender released; of each fact, its newest word
    run          DIGEST SENDER           a training run, as all that one sender told of it says
    integration  NAME                    what was declared, newest declaration wins; how it sends
                                         only as the operator applied it
    token        SHA-256 of the token    audit.tokens.Issued
    looked       BLOCK ACCESS            one for each block of entries that an access named
    looked-at    MODEL DIGEST            the newest look of each actor at one window

A space parts the words of a key, since no name can hold one; numbers have 19 digits. A block is
64 consecutive entries: an access that names a page of them leaves a few documents, not hundreds.
Keys are clear: DIGEST is of the run's name, or of action and window and never of who looked, since
names can be guessed.
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
RUN = "run"
_BLOCK = 64
_MOST_DATASETS = 100
"""Inputs of one run that are remembered, and outputs; the events hold all of them."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_decode = msgspec.json.decode
_decode_issued = msgspec.json.Decoder(Issued).decode


class Released(msgspec.Struct, frozen=True, omit_defaults=True):
    """A model version as the releases of one integration tell it; `index` is the newest of them.
    `unverified` is never stored: `audit.releases` decides it for whoever asks."""

    model: str
    version: str
    index: int
    time: str
    integration: str
    lineage: dict[str, Any] = {}
    case: str | None = None
    metrics: dict[str, float] = {}
    unverified: bool = False


_decode_released = msgspec.json.Decoder(Released).decode


class Run(msgspec.Struct, frozen=True, omit_defaults=True):
    """A training run as one integration tells it, in however many events; `index` is the newest.

    Datasets are name and digest, newest digest wins. `started` and `ended` are RFC 3339.
    """

    run: str
    integration: str
    index: int
    job: str | None = None
    state: str | None = None
    started: str | None = None
    ended: str | None = None
    parent_run: str | None = None
    parent_job: str | None = None
    code_commit: str | None = None
    inputs: dict[str, str | None] = {}
    outputs: dict[str, str | None] = {}


_decode_run = msgspec.json.Decoder(Run).decode


class DeclaredDocument(msgspec.Struct, frozen=True, omit_defaults=True):
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


_decode_declared = msgspec.json.Decoder(DeclaredDocument).decode


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
        {
            "VersionReleased",
            "LineageObserved",
            "IntegrationDeclared",
            "TokenIssued",
            "TokenRevoked",
            "AccessRecorded",
        }
    )
    kinds = frozenset({VERSION, RUN, INTEGRATION, TOKEN, LOOKED, WINDOW})

    def apply(self, entries: Sequence[Applied], view: View) -> None:
        """Put the documents that these entries leave behind."""
        for each in entries:
            body = _decode(each.event.body)
            match each.event.type:
                case "VersionReleased":
                    _released(each, body, view)
                case "LineageObserved":
                    _observed(each, body, view)
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


def run_prefix(run: str) -> str:
    """What the keys of a run's documents begin with."""
    return f"{sha256(run.encode()).hexdigest()[:32]} "


def block_prefix(index: int) -> str:
    """What the keys of looks at this entry's block begin with."""
    return f"{_number(index // _BLOCK)} "


def _number(value: int) -> str:
    return f"{value:019d}"  # so that keys sort as numbers do


def _released(each: Applied, body: dict[str, Any], view: View) -> None:
    event = each.event
    key = version_prefix(event.model, event.version) + event.integration
    stored = view.get(VERSION, key)
    before = None if stored is None else _decode_released(stored)
    found = Released(
        model=event.model,
        version=event.version,
        index=each.index,
        time=body["time"],
        integration=event.integration,
        # A registry tells of one version several times, and of its origin only once.
        lineage=(before.lineage if before else {}) | (body["model"].get("lineage") or {}),
        case=body.get("case") or (before.case if before else None),
        metrics=(before.metrics if before else {}) | (body.get("metrics") or {}),
    )
    view.put(VERSION, key, _encode(found))


def _observed(each: Applied, body: dict[str, Any], view: View) -> None:
    run = body.get("run")
    if not run:
        return
    key = run_prefix(run) + each.event.integration
    stored = view.get(RUN, key)
    before = Run(run, each.event.integration, each.index) if stored is None else _decode_run(stored)
    state, time = body.get("state"), body["time"]
    ended = time if state in {"COMPLETE", "FAIL", "ABORT"} else None
    over = before.ended is not None and ended is None  # what comes late does not open a run anew
    found = msgspec.structs.replace(
        before,
        index=each.index,
        job=body.get("job") or before.job,
        state=before.state if over else state or before.state,
        started=time if state == "START" else before.started,
        ended=ended or before.ended,
        parent_run=body.get("parent_run") or before.parent_run,
        parent_job=body.get("parent_job") or before.parent_job,
        code_commit=body.get("code_commit") or before.code_commit,
        inputs=_datasets(before.inputs, body.get("inputs")),
        outputs=_datasets(before.outputs, body.get("outputs")),
    )
    view.put(RUN, key, _encode(found))


def _datasets(
    before: dict[str, str | None], told: list[dict[str, Any]] | None
) -> dict[str, str | None]:
    found = dict(before)
    for each in told or ():
        name = each["name"]
        if name in found or len(found) < _MOST_DATASETS:
            found[name] = each.get("digest") or found.get(name)
    return found


def _declared(each: Applied, body: dict[str, Any], view: View) -> None:
    name = str(body.get("name") or each.event.integration)
    if each.event.integration == SYSTEM:
        declaration, revision = body.get("declaration"), _text(body.get("revision"))
    else:
        stored = view.get(INTEGRATION, name)
        before = None if stored is None else _decode_declared(stored)
        declaration = None if before is None else before.declaration
        revision = None if before is None else before.revision
    found = DeclaredDocument(
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
