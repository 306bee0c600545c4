"""The ledger: takes events from any thread and answers when they are durable and signed.

Decides group commit without a timer: while one transaction commits, arrivals gather; the next one
takes them all (up to a bound). Decides back-pressure: beyond a bound, `submit` refuses at once.
Hides the writer thread, the transaction and the signature.
"""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import NamedTuple

from audit.append import Appended, Appender
from audit.errors import AuditError, Busy, RolledBack
from audit.events import Event
from audit.signing import CheckpointSigner

Answers = Future[list[Appended]]
MOST_WAITING = 16_384
"""Events that may wait; beyond it callers are told to come back."""
MOST_TOGETHER = 2_048
"""Events in one transaction: bounds the wait of whoever comes next."""


class _Submission(NamedTuple):
    events: Sequence[Event]
    answers: Answers


class Ledger:
    """One append-only log, written by one thread of this process at a time."""

    def __init__(
        self,
        appender: Appender,
        signer: CheckpointSigner,
        committed: Callable[[], tuple[int, bytes]],
        *,
        most_waiting: int = MOST_WAITING,
        most_together: int = MOST_TOGETHER,
    ) -> None:
        """`committed` returns size and root of the stored tree."""
        self._appender = appender
        self._signer = signer
        self._committed = committed
        self._most_waiting = most_waiting
        self._most_together = most_together
        self._arrivals: deque[_Submission] = deque()
        self._waiting = 0
        self._wake = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="ledger", daemon=True)
        self._thread.start()

    @property
    def origin(self) -> str:
        """The log's name."""
        return self._signer.verifier.name

    @property
    def vkey(self) -> str:
        """The verifier key of the log's checkpoints."""
        return self._signer.vkey

    @property
    def waiting(self) -> int:
        """Events that are submitted and not yet answered."""
        return self._waiting

    def submit(self, events: Sequence[Event]) -> Answers:
        """Hand in events; the future gives one `Appended` each, once they are signed for.

        Raises `Busy` where too many wait already. The future raises `Busy` where the database
        is away and `Tampered` where it contradicts what was signed: then nothing was appended.
        """
        answers: Answers = Future()
        if not events:
            answers.set_result([])
            return answers
        with self._wake:
            if self._closed:
                raise Busy("the ledger is closing")
            if self._waiting and self._waiting + len(events) > self._most_waiting:
                raise Busy("the ledger has more waiting than it can take now")
            self._waiting += len(events)
            self._arrivals.append(_Submission(events, answers))
            self._wake.notify()
        return answers

    def append(self, events: Sequence[Event]) -> list[Appended]:
        """Submit events and wait for the answers."""
        return self.submit(events).result()

    def checkpoint(self) -> bytes:
        """Return a signed checkpoint that covers all that is committed.

        Raises `Tampered` where the database holds less than was signed before.
        """
        signed = self._signed_size()
        size, root = self._committed()
        if size < signed:
            raise RolledBack(size, signed)
        return self._signer.sign(size, root)

    def close(self) -> None:
        """Commit what waits, then stop."""
        with self._wake:
            self._closed = True
            self._wake.notify()
        self._thread.join()
        self._signer.close()

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)
            with self._wake:
                self._waiting -= sum(len(submission.events) for submission in group)

    def _next_group(self) -> list[_Submission]:
        """Wait for arrivals and take them; nothing means closed."""
        with self._wake:
            while not self._arrivals and not self._closed:
                self._wake.wait()
            group: list[_Submission] = []
            count = 0
            while self._arrivals:
                count += len(self._arrivals[0].events)
                if group and count > self._most_together:
                    break
                group.append(self._arrivals.popleft())
            return group

    def _commit(self, group: list[_Submission]) -> None:
        events = [event for submission in group for event in submission.events]
        try:
            grown = self._appender.append(events, self._signed_size())
            self._signer.sign(grown.size, grown.root)
        except AuditError as error:
            for submission in group:
                submission.answers.set_exception(error)
        except Exception as error:  # noqa: BLE001 - whatever one submission did to us must not fail the others
            if len(group) == 1:
                group[0].answers.set_exception(error)
            else:
                for submission in group:
                    self._commit([submission])
        else:
            start = 0
            for submission in group:
                end = start + len(submission.events)
                submission.answers.set_result(grown.answers[start:end])
                start = end

    def _signed_size(self) -> int:
        last = self._signer.last
        return 0 if last is None else last.size
