"""How much of one integration may wait for the ledger at a time.

Decides that a single message always enters, however large, and that one sender's flood fills its
own share of the queue only.
"""

from collector.errors import TooMany
from collector.limits import Limits


class Share:
    """Counts events that wait, by integration. Belongs to one event loop."""

    def __init__(self, limits: Limits) -> None:
        self._most = limits.waiting_events
        self._waiting: dict[str, int] = {}

    def enter(self, integration: str, count: int) -> None:
        """Count events of an integration as waiting; `TooMany` beyond its share of the queue."""
        waiting = self._waiting.get(integration, 0)
        if waiting and waiting + count > self._most:
            raise TooMany(
                "too many events of this integration wait to be logged",
                remedy="Send again after the seconds in Retry-After, and fewer at a time.",
            )
        self._waiting[integration] = waiting + count

    def leave(self, integration: str, count: int) -> None:
        """Count events as logged, or refused."""
        left = self._waiting[integration] - count
        if left:
            self._waiting[integration] = left
        else:
            del self._waiting[integration]
