"""The parts behind every way in, wired once: for the server, for consumers and for commands.

Decides nothing. `Around` is what the composition root has to bring, `wired` makes the rest of it.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from audit.clock import Clock
from audit.ledger import Ledger
from audit.outgoing import Outgoing
from audit.rootkey import Random
from audit.work import Work
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapter
from collector.checks.noted import Notes
from collector.ingest import Ingest
from collector.integrations.fetched import calling
from collector.integrations.inferred import Finds, Inferred
from collector.integrations.intake import Intake
from collector.integrations.pairing import Pairing
from collector.integrations.registered import Documented, Registered
from collector.integrations.replay import Replay
from collector.limits import Limits
from collector.metrics import Metrics
from collector.quarantine import Quarantine
from collector.share import Share
from collector.variety import Counted, Varied, Variety


class Around(NamedTuple):
    """What integrations need besides a ledger.

    `documents` tell which are declared, `outgoing` which addresses may be called, and
    `environment` holds the secrets that declarations refer to. `reader` finds the predictions that
    changes of business records mean; `counts` tell which series there are, without them an
    integration may begin any number.
    """

    documents: Documented
    outgoing: Outgoing
    environment: Mapping[str, str]
    random: Random
    adapters: Mapping[str, Adapter] = ADAPTERS
    reader: Finds | None = None
    counts: Counted | None = None


class Wired(NamedTuple):
    """The ways in of one process. Belongs to one event loop; `pairing` and `registered` do not."""

    quarantine: Quarantine
    ingest: Ingest
    varied: Varied
    intake: Intake
    pairing: Pairing
    registered: Registered
    replay: Replay
    adapters: Mapping[str, Adapter]
    limits: Limits

    def expire(self, who: str) -> int:
        """End the wait of halves that are due; returns how many were looked at. It blocks."""
        return self.pairing.expire(self.registered.get, self.adapters, who)


def wired(
    ledger: Ledger, work: Work, clock: Clock, limits: Limits, metrics: Metrics, around: Around
) -> Wired:
    """Make the ways in."""
    metrics.notes = Notes(work, clock, around.random(8).hex())
    quarantine = Quarantine(work, clock, limits)
    share = Share(limits)
    variety = Variety(around.counts, limits)
    varied = Varied(ledger, variety)
    ingest = Ingest(ledger, quarantine, limits, metrics, share, variety)
    pairing = Pairing(varied, work, quarantine, clock, around.random, limits)
    registered = Registered(around.documents, clock)
    fetch: Callable[[str], None] = calling(around.outgoing)
    inferred = None if around.reader is None else Inferred(around.reader)
    intake = Intake(varied, quarantine, pairing, fetch, limits, metrics, share, inferred)
    replay = Replay(ingest, intake, pairing, registered, around.adapters)
    return Wired(
        quarantine, ingest, varied, intake, pairing, registered, replay, around.adapters, limits
    )
