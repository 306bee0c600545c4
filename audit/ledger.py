"""The ledger, as everybody but its two implementations sees it.

Decides the promise: an answer comes after the event is durable and a checkpoint that covers it is
signed. `audit.sequencer` keeps it in this process, `audit.apart` in a process of its own.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from audit.events import Event
from audit.group import Appended
from audit.signing import Checkpoints

Answers = Future[list[Appended]]
MOST_WAITING = 16_384
"""Events that may wait; beyond it callers are told to come back."""


class Ledger(ABC):
    """One append-only log; takes events from any thread."""

    def __init__(self, checkpoints: Checkpoints) -> None:
        self._checkpoints = checkpoints

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._checkpoints.verifier.name

    @property
    def vkey(self) -> str:
        """The verifier key of the log's checkpoints."""
        return self._checkpoints.verifier.vkey

    def checkpoint(self) -> bytes:
        """Return a signed checkpoint that covers all that is committed.

        Raises `RolledBack` where the database holds less than was signed before.
        """
        return self._checkpoints.newest()

    @property
    @abstractmethod
    def waiting(self) -> int:
        """Events that are submitted and not yet answered."""

    @abstractmethod
    def submit(self, events: Sequence[Event]) -> Answers:
        """Hand in events; the future gives one `Appended` each, once they are signed for.

        Raises `Busy` where too many wait already. The future raises `Busy` where the database
        is away and `Tampered` where it contradicts what was signed: then nothing was appended.
        Both raise `Broken` where the ledger stopped for good: what was handed in may stand.
        """

    @abstractmethod
    def require_working(self) -> None:
        """Raise `Broken` where this process can append nothing any more."""

    @abstractmethod
    def when_broken(self, call: Callable[[], object]) -> None:
        """Have `call` called, from any thread, as soon as `require_working` begins to raise."""

    def append(self, events: Sequence[Event]) -> list[Appended]:
        """Submit events and wait for the answers."""
        return self.submit(events).result()

    @abstractmethod
    def close(self) -> None:
        """Commit what waits, then stop."""
