"""What a declaration says becomes an event, when it is not in force already.

Decides that a declaration is changed by what it says and not by how it is written: its revision is
the digest of what it says, and the one in force appends nothing. A revision may come back after
another one, so the event's id also names the entry that it follows.
"""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from audit.clock import Clock
from audit.declared import canonical, said
from audit.events import SYSTEM, Event, event_of, rfc3339
from audit.group import Appended


class Change(msgspec.Struct, frozen=True):
    """What applying a file did: `index` is the event that put the revision in force."""

    name: str
    revision: str
    index: int
    changed: bool


class Appends(Protocol):
    """The part of the ledger that a declaration needs."""

    def append(self, events: Sequence[Event]) -> Sequence[Appended]: ...


class InForce(Protocol):
    """The part of a stored declaration that tells whether another one changes anything."""

    @property
    def index(self) -> int: ...
    @property
    def revision(self) -> str | None: ...


def put(
    ledger: Appends,
    type: str,
    key: str,
    declared: msgspec.Struct,
    before: InForce | None,
    body: Mapping[str, Any],
    *,
    clock: Clock,
) -> Change:
    """Append a declaration as event `type` unless `before` says the same.

    `key` names what is declared among all of its type; `body` holds `name`, and whatever else the
    event tells besides id, time, revision and declaration.
    """
    revision = hashlib.sha256(canonical(declared)).hexdigest()
    if before is not None and before.revision == revision:
        return Change(body["name"], revision, before.index, changed=False)
    told = {
        "id": f"{key}/{revision[:32]}/{-1 if before is None else before.index}",
        "time": rfc3339(clock()),
        "revision": revision,
        "declaration": said(declared),
        **body,
    }
    [appended] = ledger.append([event_of(type, SYSTEM, told)])
    return Change(body["name"], revision, appended.index, changed=not appended.duplicate)
