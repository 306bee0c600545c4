"""Integrations in processes of the command line: what they take from the store, and the sweep.

Decides how often halves whose wait is over are looked for, and that one process at a time does it.
"""

import os
import threading
from contextlib import suppress
from typing import Final

from prometheus_client import CollectorRegistry

from audit.clock import system_clock
from audit.errors import AuditError
from audit.options import Parts
from audit.outgoing import Outgoing
from collector.integrations.wiring import Around, Wired, wired
from collector.limits import Limits
from collector.metrics import Metrics

_EVERY_SECONDS: Final = 1.0
_LEASE_SECONDS: Final = 10.0


def around_of(parts: Parts) -> Around:
    """Return what integrations need of this process."""
    store = parts.store
    outgoing = Outgoing.of(store.settings.outgoing_allowed)
    return Around(
        store.documents,
        outgoing,
        os.environ,
        store.random,
        reader=store.reader,
        counts=store.counts,
    )


def ways_in(parts: Parts, limits: Limits | None = None) -> Wired:
    """Return the ways in of a process that serves no requests; its limits, unless given, are read
    here and stand in the result."""
    metrics = Metrics(CollectorRegistry(), lambda: 0)  # no door, no strangers
    store = parts.store
    limits = limits or Limits()
    return wired(store.ledger, store.work, system_clock, limits, metrics, around_of(parts))


def expire_halves(parts: Parts, limits: Limits, stop: threading.Event) -> None:
    """Log predictions whose other half did not come, every second until `stop` is set."""
    ways = ways_in(parts, limits)
    who = parts.store.random(8).hex()
    while not stop.is_set():
        with suppress(AuditError):  # the database is away: the next round may find it
            while parts.store.work.claim("pairing", who, _LEASE_SECONDS):
                if not ways.expire(who) or stop.is_set():
                    break
        stop.wait(_EVERY_SECONDS)
