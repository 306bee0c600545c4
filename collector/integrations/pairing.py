"""Requests and responses that come in two messages become one event, once.

Decides when two halves are a pair, how long one waits, and what becomes of one whose other never
came. Hides where they wait: work items, sealed, under a keyed hash of integration and key, so that
nothing about a prediction can be read or guessed from the table.

    half    PLACE.SIDE.INTEGRATION          waiting; due when its wait is over; the last is a digest
    paired  PLACE                           what was logged of it: joined, request or response

A half is durable before its sender hears of it. What is logged is made of the stored halves alone,
so whoever is killed in between leaves what another makes again, with the same ids. Each half has a
fate of its own: what one integration has no room for is no matter of another. How many may wait is
decided in `crowd`; a half whose other waits always finds room. A place that was
logged is remembered as long as a half would have waited: redeliveries find it and do nothing.
"""

import hmac
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Lock
from typing import Final, NamedTuple, Protocol

import msgspec

from audit.clock import Clock
from audit.errors import Busy, Rejected
from audit.events import Event
from audit.group import Appended
from audit.rootkey import Random
from audit.work import New
from collector import answers
from collector.adapters.wire import Adapted, Adapter, Half
from collector.errors import CollectorError, Full, Invalid, TooVaried
from collector.integrations.crowd import Crowd, Crowded, suffix
from collector.integrations.declaration import Declared
from collector.integrations.joining import (
    JOINED,
    REQUEST,
    RESPONSE,
    Ready,
    joined,
    refused_whole,
)
from collector.integrations.unpaired import HALF, Unpaired
from collector.limits import Limits
from collector.quarantine import Kept, Quarantine

PAIRED, SECRET = "paired", "pairing-key"
LEASE_SECONDS: Final = 60
PAGE: Final = 200


class Item(Protocol):
    """What the work table gives back."""

    @property
    def key(self) -> str: ...
    @property
    def body(self) -> bytes: ...


class KeepsWork(Protocol):
    """The part of the work table that pairing needs."""

    def put(self, kind: str, key: str, body: bytes, due_us: int = 0) -> bool: ...
    def get(self, kind: str, key: str) -> Item | None: ...
    def found(self, wanted: Sequence[tuple[str, str]]) -> Sequence[Item | None]: ...
    def later(self, kind: str, key: str, due_us: int) -> None: ...
    def lease(self, kind: str, holder: str, seconds: float, limit: int) -> Sequence[Item]: ...
    def usage(self, kind: str, suffix: str) -> tuple[int, int]: ...
    def change(
        self, put: Sequence[New] = (), remove: Sequence[tuple[str, str]] = ()
    ) -> Sequence[bool]: ...


class Appends(Protocol):
    """The part of the ledger that pairing needs."""

    def append(self, events: Sequence[Event]) -> Sequence[Appended]: ...


class Offer(NamedTuple):
    """A half that came, and whose it is."""

    half: Half
    declared: Declared
    adapter: Adapter


class Waiting(msgspec.Struct, frozen=True):
    """A half as it waits."""

    integration: str
    half: Half


Fate = str | Busy
"""What became of a half, or why it must be offered again."""
_decode_waiting = msgspec.msgpack.Decoder(Waiting).decode


class Pairing:
    """Joins halves. Blocks; safe for use by several threads and processes."""

    def __init__(
        self,
        ledger: Appends,
        work: KeepsWork,
        quarantine: Quarantine,
        clock: Clock,
        random: Random,
        limits: Limits,
    ) -> None:
        self._ledger = ledger
        self._work = work
        self._quarantine = quarantine
        self._clock = clock
        self._random = random
        self._unpaired = Unpaired(work)
        self._crowd = Crowd(work, clock, limits)
        self._secret = b""
        self._lock = Lock()

    def settle(self, offers: Sequence[Offer]) -> list[Fate]:
        """Keep halves, and log those that make a pair; durable when it returns.

        Returns for each: waiting, accepted, duplicate, conflict, late (what was logged of its place
        had to do without it: it is in quarantine) or rejected (it is in quarantine too); or a
        `Busy` that is its own, after which it can be offered again: its integration's quarantine
        has no room, or too many of its halves wait. Raises `Busy`, after which all of them can be.
        """
        places = [self._place(each.declared.name, each.half.key) for each in offers]
        marked = self._work.found([(PAIRED, place) for place in places])
        fates: list[Fate] = [
            "" if mark is None else _after(mark, offer.half)
            for mark, offer in zip(marked, offers, strict=True)
        ]
        self._turn_away(offers, places, fates)
        fresh = [at for at, fate in enumerate(fates) if not fate]
        if fresh:
            added = self._work.change(put=[self._waiting(places[at], offers[at]) for at in fresh])
            for at, is_new in zip(fresh, added, strict=True):
                if is_new:
                    self._crowd.changed(offers[at].declared.name, 1, len(offers[at].half.body))
            self._meet(offers, places, fates, fresh)
        for at, offer in enumerate(offers):
            if fates[at] == "late":
                try:
                    self._keep(offer.declared.name, _late(), [offer.half])
                except Full as error:
                    fates[at] = error
        return fates

    def expire(
        self, declared: Callable[[str], Declared | None], adapters: Mapping[str, Adapter], who: str
    ) -> int:
        """Log halves whose wait is over without their other; returns how many were looked at.

        A half whose declaration or adapter is gone waits on.
        """
        old = self._work.lease(PAIRED, who, LEASE_SECONDS, 5 * PAGE)
        if old:
            self._work.change(remove=[(PAIRED, each.key) for each in old])
        items = self._work.lease(HALF, who, LEASE_SECONDS, PAGE)
        for item in items:
            # One by one: what one cannot do now, its quarantine being full, holds up no other.
            with suppress(Busy):
                self._end(item, declared, adapters)
        return len(items)

    def _end(
        self,
        item: Item,
        declared: Callable[[str], Declared | None],
        adapters: Mapping[str, Adapter],
    ) -> None:
        """Log one half whose wait is over."""
        waiting = _decode_waiting(item.body)
        of = declared(waiting.integration)
        adapter = None if of is None else adapters.get(of.adapter)
        if of is None or adapter is None or adapter.join is None:
            self._work.later(HALF, item.key, self._clock() + LEASE_SECONDS * 1_000_000)
            return
        found = self._expired(item.key, Offer(waiting.half, of, adapter))
        if found is not None:
            for fate in self._log([found]).values():
                if isinstance(fate, Busy):
                    raise fate

    def _turn_away(self, offers: Sequence[Offer], places: Sequence[str], fates: list[Fate]) -> None:
        """Set the fate of halves for which there is no room, unless they end another's wait."""
        more: Counter[str] = Counter()
        size: Counter[str] = Counter()
        crowded: list[int] = []
        for at, offer in enumerate(offers):
            name = offer.declared.name
            if fates[at]:
                continue
            more[name] += 1
            size[name] += len(offer.half.body)
            if not self._crowd.has_room(name, more[name], size[name]):
                crowded.append(at)
        if not crowded:
            return
        brought = {(place, each.half.side) for place, each in zip(places, offers, strict=True)}
        found = self._work.found(
            [each for at in crowded for each in _both(places[at], offers[at].declared.name)]
        )
        for position, at in enumerate(crowded):
            waits = any(found[2 * position : 2 * position + 2])
            if not waits and (places[at], _other(offers[at].half.side)) not in brought:
                fates[at] = Crowded()

    def _meet(
        self, offers: Sequence[Offer], places: list[str], fates: list[Fate], fresh: list[int]
    ) -> None:
        """Look, after halves were stored, for what came meanwhile; sets their fates."""
        sought = [
            each
            for at in fresh
            for each in (*_both(places[at], offers[at].declared.name), (PAIRED, places[at]))
        ]
        found = self._work.found(sought)
        ready: dict[str, Ready] = {}
        done: list[tuple[str, str]] = []
        for position, at in enumerate(fresh):
            request, response, mark = found[3 * position : 3 * position + 3]
            offer = offers[at]
            if mark is not None:
                fates[at] = _after(mark, offer.half)
                done.append((HALF, _key(places[at], offer.half.side, offer.declared.name)))
            elif request is not None and response is not None:
                halves = _decode_waiting(request.body).half, _decode_waiting(response.body).half
                ready[places[at]] = Ready(places[at], *halves, offer.declared, offer.adapter)
            else:
                fates[at] = "waiting"
        if done:
            self._work.change(remove=done)
        logged = self._log(list(ready.values()))
        for at in fresh:
            fates[at] = fates[at] or logged[places[at]]

    def _expired(self, key: str, offer: Offer) -> Ready | None:
        """What is to be logged of a half whose wait is over; None where nothing is."""
        place, half = key.partition(".")[0], offer.half
        wanted = (HALF, _key(place, _other(half.side), offer.declared.name))
        other, mark = self._work.found([wanted, (PAIRED, place)])
        if mark is not None and mark.body.decode() != half.side:
            # Logged without it, by somebody who saw it come too late to remove it.
            if _after(mark, half) == "late":
                self._keep(offer.declared.name, _late(), [half])
            self._work.change(remove=[(HALF, key)])
            return None
        if other is None and mark is None:
            # From here on a half that comes is late; one that came before this moment is not.
            self._work.change(put=[self._mark(place, half.side, offer.adapter)])
            [other] = self._work.found([wanted])
        if other is None:
            return Ready(place, half, None, offer.declared, offer.adapter)
        pair = {half.side: half, _other(half.side): _decode_waiting(other.body).half}
        return Ready(place, pair[REQUEST], pair[RESPONSE], offer.declared, offer.adapter)

    def _log(self, ready: Sequence[Ready]) -> dict[str, Fate]:
        """Log what is ready and remember it; returns the fate of each place.

        What was refused and found no room in quarantine waits on, to be logged again.
        """
        if not ready:
            return {}
        made = {each.place: joined(each) for each in ready}
        events = [event for each in ready for event in made[each.place].events]
        try:
            appended = iter(self._ledger.append(events) if events else ())
        except Rejected as error:
            if len(ready) == 1:
                told = error if isinstance(error, TooVaried) else _unappended()
                made[ready[0].place] = Adapted(refused=refused_whole(ready[0], told))
                appended = iter(())
            else:
                # Whatever one event did must not hold its neighbours up.
                return {key: fate for each in ready for key, fate in self._log([each]).items()}
        fates: dict[str, Fate] = {}
        put: list[New] = []
        remove: list[tuple[str, str]] = []
        for each in ready:
            found = made[each.place]
            logged = [next(appended) for _ in found.events]
            errors = [refused.error for refused in found.refused]
            errors += [answers.conflict() for one in logged if one.conflict]
            if errors:
                halves = [half for half in (each.first, each.second) if half is not None]
                try:
                    self._keep(each.declared.name, errors[0], halves)
                except Full as error:
                    fates[each.place] = error
                    continue
            fates[each.place] = _fate(logged, errors)
            remove += [*_both(each.place, each.declared.name), (PAIRED, each.place)]
            if found.events:
                put.append(self._mark(each.place, each.state, each.adapter))
        put += self._unpaired.counted(
            [
                (each.declared.name, each.first.side)
                for each in ready
                if each.second is None and isinstance(fates[each.place], str)
            ],
            remove,
        )
        self._work.change(put=put, remove=remove)
        for each in ready:
            if isinstance(fates[each.place], str):
                for half in filter(None, (each.first, each.second)):
                    self._crowd.changed(each.declared.name, -1, -len(half.body))
        return fates

    def _keep(self, integration: str, error: CollectorError, halves: Sequence[Half]) -> None:
        kept = Kept(integration, 0, str(error), error.field, error.remedy, halves=tuple(halves))
        self._quarantine.keep_parcel(kept, msgspec.msgpack.encode(kept.halves))

    def _waiting(self, place: str, offer: Offer) -> New:
        body = msgspec.msgpack.encode(Waiting(offer.declared.name, offer.half))
        due = self._clock() + offer.adapter.wait_seconds * 1_000_000
        return New(HALF, _key(place, offer.half.side, offer.declared.name), body, due)

    def _mark(self, place: str, state: str, adapter: Adapter) -> New:
        due = self._clock() + max(adapter.wait_seconds, LEASE_SECONDS) * 1_000_000
        return New(PAIRED, place, state.encode(), due)

    def _place(self, integration: str, key: str) -> str:
        """The name under which halves of one prediction wait; tells nothing without the secret."""
        text = f"{integration}\n{key}".encode("utf-8", "surrogatepass")
        return hmac.digest(self._pairing_key(), text, "sha256").hex()

    def _pairing_key(self) -> bytes:
        with self._lock:
            if not self._secret:
                self._work.put(SECRET, SECRET, self._random(32))
                stored = self._work.get(SECRET, SECRET)
                if stored is None:
                    raise LookupError("a work item that was just put is gone")
                self._secret = stored.body
            return self._secret


def _fate(logged: Sequence[Appended], errors: Sequence[CollectorError]) -> str:
    if any(each.conflict for each in logged):
        return "conflict"
    if errors:
        return "rejected"
    return "duplicate" if logged and all(each.duplicate for each in logged) else "accepted"


def _after(mark: Item, half: Half) -> str:
    """The fate of a half whose place was logged before it came."""
    return "duplicate" if mark.body.decode() in {JOINED, half.side} else "late"


def _both(place: str, integration: str) -> tuple[tuple[str, str], tuple[str, str]]:
    return (HALF, _key(place, REQUEST, integration)), (HALF, _key(place, RESPONSE, integration))


def _key(place: str, side: str, integration: str) -> str:
    return f"{place}.{side}{suffix(integration)}"


def _other(side: str) -> str:
    return RESPONSE if side == REQUEST else REQUEST


def _late() -> Invalid:
    return Invalid(
        "it came after its other half was logged without it",
        remedy="Raise the wait of the integration, or find out what delays the sender.",
    )


def _unappended() -> Invalid:
    return Invalid("the ledger could not take its event", remedy="Report it; it is kept here.")
