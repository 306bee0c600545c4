"""Single events of one turn of the event loop, handed to the ledger as one submission.

Decides nothing about events. Hides the crossing between the loop and the ledger's thread: one
future and one wake-up for all requests that arrived together, where one each would cost more
than logging the event does.
"""

import asyncio
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Protocol

from audit.errors import AuditError
from audit.events import Event
from audit.group import Appended

Waiter = asyncio.Future[Appended]


class Submits(Protocol):
    """The part of the ledger that takes events."""

    def submit(self, events: Sequence[Event]) -> Future[list[Appended]]: ...


class Turn:
    """Belongs to one event loop."""

    def __init__(self, ledger: Submits) -> None:
        self._ledger = ledger
        self._events: list[Event] = []
        self._waiters: list[Waiter] = []

    def append(self, event: Event) -> Waiter:
        """The answer for one event; raises what the ledger raises, when awaited."""
        loop = asyncio.get_running_loop()
        waiter: Waiter = loop.create_future()
        if not self._events:
            loop.call_soon(self._hand_over, loop)
        self._events.append(event)
        self._waiters.append(waiter)
        return waiter

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        events, waiters = self._events, self._waiters
        self._events, self._waiters = [], []
        self._submit(loop, events, waiters)

    def _submit(
        self, loop: asyncio.AbstractEventLoop, events: list[Event], waiters: list[Waiter]
    ) -> None:
        def done(answers: Future[list[Appended]]) -> None:
            loop.call_soon_threadsafe(self._settle, loop, events, waiters, answers)

        try:
            self._ledger.submit(events).add_done_callback(done)
        except AuditError as error:
            _fail(waiters, error)

    def _settle(
        self,
        loop: asyncio.AbstractEventLoop,
        events: list[Event],
        waiters: list[Waiter],
        answers: Future[list[Appended]],
    ) -> None:
        error = answers.exception()
        if error is None:
            for waiter, appended in zip(waiters, answers.result(), strict=True):
                if not waiter.done():  # its request may be gone
                    waiter.set_result(appended)
        elif len(events) > 1 and not isinstance(error, AuditError):
            # Not a refusal: whatever one event did must not fail its neighbours.
            for event, waiter in zip(events, waiters, strict=True):
                self._submit(loop, [event], [waiter])
        else:
            _fail(waiters, error)


def _fail(waiters: list[Waiter], error: BaseException) -> None:
    for waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error)
