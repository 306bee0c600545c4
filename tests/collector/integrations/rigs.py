"""A pairing that a test can kill at any step, and the halves that it is offered."""

import itertools
import json
import os
from typing import Any

from audit.clock import system_clock
from collector.adapters.wire import Half
from collector.integrations.declaration import Declared
from collector.integrations.pairing import Fate, Offer, Pairing
from collector.limits import Limits
from collector.quarantine import Quarantine
from tests.collector.conftest import House
from tests.collector.integrations.senders import (
    ADAPTERS,
    TOLD,
    WAIT_SECONDS,
    half,
)

CRM = Declared(name="crm", adapter="told")
WAIT_US = WAIT_SECONDS * 1_000_000


class Crash(Exception):
    """The process was killed: nothing after this moment happened."""


class Hours:
    """The machine's time and what a test adds to it."""

    def __init__(self) -> None:
        self.added_us = 0

    def __call__(self) -> int:
        return system_clock() + self.added_us


class Mortal:
    """A part that may be killed before or after the n-th call that changes something."""

    CHANGES = frozenset({"change", "append", "put", "done", "later"})

    def __init__(self, part: Any, calls: "itertools.count[int]", dies_at: int | None) -> None:
        self._part = part
        self._calls = calls
        self._dies_at = dies_at

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._part, name)
        if name not in self.CHANGES:
            return found

        def mortal(*args: Any, **named: Any) -> Any:
            self._step()
            answer = found(*args, **named)
            self._step()
            return answer

        return mortal

    def _step(self) -> None:
        if next(self._calls) == self._dies_at:
            raise Crash


class Rig:
    """Pairing over a real store, whose time can pass and whose process can be killed."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.hours = Hours()
        house.store.work._clock = self.hours  # the store's own time, so that leases end with it

    def pairing(self, dies_at: int | None = None, **limits: Any) -> Pairing:
        calls = itertools.count()
        work: Any = Mortal(self.house.store.work, calls, dies_at)
        ledger: Any = Mortal(self.house.store.ledger, calls, dies_at)
        bounds = Limits(**limits)
        quarantine = Quarantine(work, self.hours, bounds)
        return Pairing(ledger, work, quarantine, self.hours, os.urandom, bounds)

    def offer(self, *halves: Half, dies_at: int | None = None) -> list[Fate]:
        return self.pairing(dies_at).settle([Offer(each, CRM, TOLD) for each in halves])

    def expire(self, later_us: int = 2 * WAIT_US, dies_at: int | None = None) -> None:
        self.hours.added_us += later_us
        self.pairing(dies_at).expire({"crm": CRM}.get, ADAPTERS, "sweeper")

    def predictions(self) -> list[dict[str, Any]]:
        return self.house.bodies("PredictionLogged")

    def left(self, *kinds: str) -> int:
        return sum(len(self.house.store.work.list(kind)) for kind in kinds)


def made(key: str, side: str, value: Any = None) -> Half:
    told = half(key, side, value)
    return Half(key=key, side=side, body=json.dumps(told).encode())
