"""Quarantine: what was refused, sealed, until it is replayed or removed.

Decides what is kept of a refusal, how much of one integration, and who sees which. Hides how it is
stored: one work item of kind "quarantine" (a parcel) for all items of one request that were refused
for the same reason, so that a thousand items with one mistake cost one commit. Ids begin with the
time, so lists are oldest first, and end with a digest of the integration, so that its share can be
measured. When the share is full nothing is given up for what is new: what is new is not kept, and
its sender is told. What leaves unaccepted is decided in `disposal`.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from hashlib import blake2b
from threading import Lock
from typing import NamedTuple, Protocol

import msgspec

from audit.errors import NotFound
from audit.events import rfc3339
from collector.adapters.wire import Half, Message
from collector.delivery import Delivery
from collector.errors import Full, NeverFits
from collector.limits import Limits

KIND = "quarantine"
ID_PATTERN = "^[0-9a-f]{24}$"
_LAG_US = 1_000_000
"""How long a measured share is believed, what this process adds to it included."""
DAY_US = 86_400_000_000
_PAGE = 16
"""Bodies read at a time for a list: they may be large."""
_SCANNED = 1024
"""Bodies read for one page of a list at most, when most belong to other integrations."""
_REMEMBERED = 4096
"""Refusals remembered so that a sender who repeats one does not fill the store."""


class Kept(msgspec.Struct, frozen=True):
    """Deliveries of one request that were refused for one reason; `received_us` since the epoch.

    What an integration's adapter could not read is kept as the whole message, of which `items`
    parts are meant; what never found its other half is kept as that half.
    """

    integration: str
    received_us: int
    reason: str
    field: str
    remedy: str
    deliveries: tuple[Delivery, ...] = ()
    message: Message | None = None
    halves: tuple[Half, ...] = ()
    items: int = 0


_decode_kept = msgspec.msgpack.Decoder(Kept).decode


class Summary(msgspec.Struct, frozen=True):
    """What a list tells of it: nothing of the content. `bytes` of all `items` together."""

    id: str
    integration: str
    received: str
    reason: str
    field: str
    remedy: str
    items: int
    bytes: int


class Item(Protocol):
    """What the work table gives back."""

    @property
    def key(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class KeepsWork(Protocol):
    """The part of the work table that quarantine needs."""

    def put(self, kind: str, key: str, body: bytes, due_us: int = 0) -> bool: ...
    def get(self, kind: str, key: str) -> Item | None: ...
    def list(self, kind: str, after: str = "", limit: int = 200) -> Sequence[Item]: ...
    def done(self, kind: str, key: str) -> None: ...
    def usage(self, kind: str, suffix: str) -> tuple[int, int]: ...


class _Share(NamedTuple):
    """What one integration has in quarantine, as it was measured at `read_us`."""

    parcels: int
    bytes: int
    read_us: int


class Quarantine:
    """Keeps, lists and gives back refused deliveries; safe to share between threads.

    The share of an integration in `limits` may be exceeded by what several threads or processes
    keep at the same moment.
    """

    def __init__(
        self, work: KeepsWork, clock: Callable[[], int], limits: Limits | None = None
    ) -> None:
        self._work = work
        self._clock = clock
        self._limits = limits or Limits()
        self._recent: OrderedDict[bytes, str] = OrderedDict()
        self._shares: dict[str, _Share] = {}
        self._lock = Lock()

    def keep(self, reason: str, field: str, remedy: str, deliveries: Sequence[Delivery]) -> str:
        """Seal deliveries that were refused for one reason, durably; returns their id.

        Raises `Full` where the share of the integration has no room for them, `NeverFits` where
        it could not have it however little else is kept. What was refused before, and is still
        kept, is not stored a second time.
        """
        kept = Kept(deliveries[0].integration, 0, reason, field, remedy, tuple(deliveries))
        return self.keep_parcel(kept, msgspec.msgpack.encode(kept.deliveries))

    def keep_parcel(self, kept: Kept, same: bytes) -> str:
        """Seal what was refused, durably, as received now; returns its id.

        `same` tells what was refused apart from others: what came again is not stored again.
        """
        digest = _digest(kept.integration, same)
        with self._lock:
            known = self._recent.get(digest)
        if known is not None and self._work.get(KIND, known) is not None:
            return known
        now = self._clock()
        kept = msgspec.structs.replace(kept, received_us=now)
        body = msgspec.msgpack.encode(kept)
        suffix = _suffix(kept.integration)
        if len(body) > self._limits.quarantine_bytes or not self._limits.quarantine_parcels:
            raise NeverFits
        if not self._has_room(suffix, len(body), now):
            raise Full
        at, due = now, expiry_us(kept, self._limits)
        while not self._work.put(KIND, _key(at, suffix), body, due_us=due):
            at += 1  # another process took this microsecond
        with self._lock:
            share = self._shares[suffix]
            self._shares[suffix] = _Share(share.parcels + 1, share.bytes + len(body), share.read_us)
            self._recent[digest] = _key(at, suffix)
            while len(self._recent) > _REMEMBERED:
                self._recent.popitem(last=False)
        return _key(at, suffix)

    def _has_room(self, suffix: str, more: int, now_us: int) -> bool:
        share = self._shares.get(suffix)
        if share is None or not share.read_us <= now_us < share.read_us + _LAG_US:
            share = _Share(*self._work.usage(KIND, suffix), now_us)
            with self._lock:
                self._shares[suffix] = share
        return (
            share.parcels < self._limits.quarantine_parcels
            and share.bytes + more <= self._limits.quarantine_bytes
        )

    def get(self, id: str, integration: str | None = None) -> Kept:
        """What is kept under an id; `NotFound` when nothing is, or another's than `integration`."""
        item = self._work.get(KIND, id)
        kept = None if item is None else kept_of(item.body)
        if kept is None or integration not in {None, kept.integration}:
            raise NotFound("nothing is kept in quarantine under this id")
        return kept

    def list(
        self, integration: str | None = None, after: str = "", limit: int = 200
    ) -> tuple[list[Summary], str | None]:
        """Up to `limit` summaries past `after`, and where to go on (None at the end).

        Only those of `integration`, unless it is None; a page may then hold fewer and still
        not be the last.
        """
        found: list[Summary] = []
        for _ in range(_SCANNED // _PAGE):
            page = self._work.list(KIND, after, _PAGE)
            for item in page:
                after = item.key
                kept = kept_of(item.body)
                if integration in {None, kept.integration}:
                    found.append(summary_of(item.key, kept))
                    if len(found) == limit:
                        return found, after
            if len(page) < _PAGE:
                return found, None
        return found, after

    def remove(self, id: str) -> None:
        """Give up what is kept under an id: it was accepted, or is wanted no more."""
        self._work.done(KIND, id)


def expiry_us(kept: Kept, limits: Limits) -> int:
    """When it is given up."""
    return kept.received_us + limits.quarantine_days * DAY_US


def _key(at_us: int, suffix: str) -> str:
    return f"{at_us:016x}{suffix}"


def _suffix(integration: str) -> str:
    return blake2b(integration.encode(), digest_size=4).hexdigest()


def summary_of(id: str, kept: Kept) -> Summary:
    """What is told of it."""
    messages = () if kept.message is None else (kept.message,)
    return Summary(
        id=id,
        integration=kept.integration,
        received=rfc3339(kept.received_us),
        reason=kept.reason,
        field=kept.field,
        remedy=kept.remedy,
        items=len(kept.deliveries) or len(kept.halves) or kept.items,
        bytes=sum(len(each.body) for each in (*kept.deliveries, *kept.halves, *messages)),
    )


def kept_of(body: bytes) -> Kept:
    """What a work item holds."""
    return _decode_kept(body)


def _digest(integration: str, same: bytes) -> bytes:
    """Tells refusals apart; never leaves the memory of this process."""
    return blake2b(integration.encode() + b"\n" + same, digest_size=16).digest()
