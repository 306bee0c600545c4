"""What leaves quarantine without having been accepted, and what the ledger tells of it.

Decides that nothing leaves unseen: a person gives a parcel up with a reason, and what nobody took
care of is given up when its time is over. Both are on the ledger before it is removed, with counts
and never with content.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Protocol

from msgspec.structs import replace

from audit.errors import Rejected
from audit.events import SYSTEM, Event, event_of, rfc3339
from audit.ledger import Ledger
from audit.work import WorkItem
from collector.limits import Limits
from collector.quarantine import KIND, Kept, Quarantine, Summary, expiry_us, kept_of, summary_of

_LEASE_SECONDS = 60.0
_AT_A_TIME = 64


class LeasesWork(Protocol):
    """The part of the work table that expiry needs."""

    def lease(self, kind: str, holder: str, seconds: float, limit: int) -> Sequence[WorkItem]: ...
    def later(self, kind: str, key: str, due_us: int) -> None: ...
    def done(self, kind: str, key: str) -> None: ...


def discard(
    quarantine: Quarantine,
    ledger: Ledger,
    id: str,
    *,
    actor: str,
    reason: str,
    clock: Callable[[], int],
) -> Summary:
    """Give up what is kept under an id, once that is on the ledger; tells what it was.

    Raises `NotFound` where nothing is kept so, `Rejected` where no reason is given.
    """
    if not reason.strip():
        raise Rejected("a discard gives a reason", field="/reason", remedy="Say why.")
    told = summary_of(id, quarantine.get(id))
    body = {
        "id": id,
        "time": rfc3339(clock()),
        "quarantine": id,
        "integration": told.integration,
        "received": told.received,
        "items": told.items,
        "bytes": told.bytes,
        "actor": actor,
        "reason": reason,
        "references": {"actor": actor},
    }
    ledger.append([_once(event_of("QuarantineDiscarded", SYSTEM, body))])
    quarantine.remove(id)
    return told


def expire(
    work: LeasesWork, ledger: Ledger, limits: Limits, *, holder: str, clock: Callable[[], int]
) -> int:
    """Give up everything whose time is over, counts first on the ledger; returns how many parcels.

    Several processes may do so at once: each takes what no other has.
    """
    given_up = 0
    while due := work.lease(KIND, holder, _LEASE_SECONDS, _AT_A_TIME):
        over: dict[str, Kept] = {}
        for item in due:
            kept = kept_of(item.body)
            if expiry_us(kept, limits) <= clock():
                over[item.key] = kept
            else:  # the limit was raised meanwhile
                work.later(KIND, item.key, expiry_us(kept, limits))
        if over:
            ledger.append([_once(_expired(over, limits, clock()))])
        for key in over:
            work.done(KIND, key)
        given_up += len(over)
    return given_up


def _expired(over: dict[str, Kept], limits: Limits, now_us: int) -> Event:
    parcels: Counter[str] = Counter()
    items: Counter[str] = Counter()
    for id, kept in over.items():
        parcels[kept.integration] += 1
        items[kept.integration] += summary_of(id, kept).items
    body = {
        "id": sha256("\n".join(sorted(over)).encode()).hexdigest(),
        "time": rfc3339(now_us),
        "days": limits.quarantine_days,
        "integrations": {
            name: {"parcels": parcels[name], "items": items[name]} for name in sorted(parcels)
        },
    }
    return event_of("QuarantineExpired", SYSTEM, body)


def _once(event: Event) -> Event:
    """The same parcels given up twice, because a process ended in between, are one event."""
    return replace(event, content=event.id.encode())
