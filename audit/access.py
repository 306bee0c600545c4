"""Who looked: every read of sealed or per-entry content is in the ledger before it is answered.

Decides what an access is recorded as and how "who looked at this entry" is answered: from the
entries that accesses named, and from the windows that covered it. Hides the documents that
`audit.catalog` keeps for that. No log, no read: when the append fails, its error goes to the
caller, who then has nothing to return.

The body of AccessRecorded: {id, time, actor, roles, integration?, action, indexes? | filter?,
references {actor}, count?}. It never holds a searched-for personal id: callers mask it.
"""

import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from audit.catalog import LOOKED, WINDOW, Look, block_prefix, window_looks
from audit.clock import Clock
from audit.documents import Documents
from audit.events import SYSTEM, event_of, micros, rfc3339
from audit.roles import Principal
from audit.rootkey import Random
from audit.tokens import Appends

MINUTE_US = 60_000_000
_MOST = 1000
_decode_look = msgspec.json.Decoder(Look).decode
"""Looks told about one entry, newest first; the ledger holds all of them."""


class Seen(Protocol):
    """What decides whether a window covered an entry: some clear fields of its leaf."""

    @property
    def index(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def integration(self) -> str: ...
    @property
    def model(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def event_us(self) -> int: ...


class Access:
    """Records reads, and tells who read an entry. Safe to share between threads."""

    def __init__(
        self,
        ledger: Appends,
        documents: Documents,
        *,
        clock: Clock,
        random: Random,
    ) -> None:
        self._ledger = ledger
        self._documents = documents
        self._clock = clock
        self._random = random
        self._lock = threading.Lock()
        self._waiting: dict[str, int] = {}
        self._told_us: dict[str, int] = {}
        self._strangers = 0

    @property
    def refusals(self) -> int:
        """Requests without a valid token that this process has refused since it started."""
        return self._strangers

    def record(
        self,
        principal: Principal,
        action: str,
        *,
        indexes: Sequence[int] | None = None,
        filter: Mapping[str, Any] | None = None,
    ) -> None:
        """Append AccessRecorded and return once it is durable; call before data leaves.

        Give the `indexes` returned (an empty list is an answer without entries), or for a window
        its `filter`: type, model, version, integration (each optional), from and to in RFC 3339.
        A filter beside indexes is kept as the question that was asked.
        """
        body: dict[str, Any] = {"action": action}
        if indexes is not None:
            body["indexes"] = list(indexes)
        if filter:
            body["filter"] = dict(filter)
        self._append(principal, body)

    def denied(self, principal: Principal, action: str) -> None:
        """Record that a known principal was refused: at most once a minute for each action."""
        self._counted(principal, f"denied {action}")

    def refused(self) -> None:
        """Count a stranger (no valid token); append at most one event a minute with the count."""
        with self._lock:
            self._strangers += 1
        self._counted(Principal("stranger", ()), "refused")

    def looked(self, leaf: Seen) -> list[Look]:
        """Who looked at this entry, newest first, at most a thousand: by name or by window.

        The newest look is the one whose answer this is part of, when it was recorded first.
        """
        found = self._named(leaf.index)
        for model in {leaf.model, "*"}:
            found += self._covering(leaf, model)
        return sorted(found, key=lambda look: look.index, reverse=True)[:_MOST]

    def _named(self, index: int) -> list[Look]:
        rows = self._documents.each(LOOKED, block_prefix(index), descending=True)
        looks = (_decode_look(body) for _, body in rows)
        return [look for look in looks if index in look.indexes]

    def _covering(self, leaf: Seen, model: str) -> list[Look]:
        rows = self._documents.each(WINDOW, f"{model} ")
        looks = (look for _, body in rows for look in window_looks(body))
        return [look for look in looks if covers(look.filter, leaf)]

    def _counted(self, principal: Principal, action: str) -> None:
        key = f"{principal.actor} {action}"
        now = self._clock()
        with self._lock:
            self._waiting[key] = self._waiting.get(key, 0) + 1
            told = self._told_us.get(key)
            if told is not None and told <= now < told + MINUTE_US:
                return
            count = self._waiting.pop(key)
            self._forget_old(now)
            self._told_us[key] = now
        self._append(principal, {"action": action, "count": count})

    def _forget_old(self, now: int) -> None:
        """Keep the table of limits as small as the last minute's callers."""
        if len(self._told_us) >= 1024:
            for key in [k for k, told in self._told_us.items() if told + MINUTE_US <= now]:
                del self._told_us[key]

    def _append(self, principal: Principal, body: dict[str, Any]) -> None:
        body |= {
            "id": self._random(16).hex(),
            "time": rfc3339(self._clock()),
            "actor": principal.actor,
            "roles": list(principal.roles),
            "references": {"actor": principal.actor},
        }
        if principal.integration is not None:
            body["integration"] = principal.integration
        self._ledger.append([event_of("AccessRecorded", SYSTEM, body)])


def covers(filter: Mapping[str, Any], leaf: Seen) -> bool:
    """Whether a window's filter takes in the entry: every given field equal, the time in range."""
    for field in ("type", "integration", "model", "version"):
        wanted = filter.get(field)
        if wanted is not None and wanted != getattr(leaf, field):
            return False
    start, end = filter.get("from"), filter.get("to")
    if start is not None and leaf.event_us < micros(start):
        return False
    return end is None or leaf.event_us < micros(end)
