"""Halves that are to be logged, and what their adapter makes of them.

Decides that a refusal of the whole, a bug of an adapter and a join that makes nothing all leave
the halves as a refused part: they are kept, and hold up no other.
"""

from typing import NamedTuple

from audit.errors import Rejected
from collector.adapters.wire import Adapted, Adapter, Half, Refused
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared
from collector.integrations.refusals import failed

REQUEST, RESPONSE, JOINED = "request", "response", "joined"


class Ready(NamedTuple):
    """What can be logged: both halves, or one alone."""

    place: str
    first: Half
    second: Half | None
    declared: Declared
    adapter: Adapter

    @property
    def state(self) -> str:
        """What is remembered of a place when this is logged."""
        return self.first.side if self.second is None else JOINED


def joined(ready: Ready) -> Adapted:
    """What an adapter makes of halves; a refusal as a whole is a refused part of it."""
    if ready.adapter.join is None:
        raise TypeError("an adapter with halves joins them")
    try:
        found = ready.adapter.join(ready.first, ready.second, ready.declared)
    except CollectorError as error:
        return Adapted(refused=refused_whole(ready, error))
    except Rejected as error:
        told = Invalid(str(error), field=error.field, remedy=error.remedy)
        return Adapted(refused=refused_whole(ready, told))
    except Exception as error:  # noqa: BLE001  (a bug: the halves are kept, and hold up no other)
        return Adapted(refused=refused_whole(ready, failed(ready.adapter, error)))
    if not found.events and not found.refused:
        return Adapted(refused=refused_whole(ready, lonely()))
    return found


def refused_whole(ready: Ready, error: CollectorError) -> list[Refused]:
    """Return the first half as the one refused part."""
    return [Refused(ready.first.body, error)]


def lonely() -> Invalid:
    """Return the refusal of a half alone that says nothing by itself."""
    return Invalid(
        "its other half did not come", remedy="Find out why the sender logs only one side."
    )
