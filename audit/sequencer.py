"""The sequencer: the ledger in this process, for events from any of its threads.

Decides group commit without a timer: while one transaction commits, arrivals gather; the next one
takes them all (up to a bound) and is prepared meanwhile. Decides back-pressure: beyond a bound,
`submit` refuses at once. Hides two threads, the transaction and the signature. Whatever goes wrong
with a group that was prepared ahead, it is prepared and committed again under the lock, alone.
An error that nobody foresaw in one of the threads ends the ledger: whoever waits is told so,
nothing more is taken, and who holds the ledger learns that a new process has to take its place.
"""

import logging
import threading
import traceback
from collections import deque
from collections.abc import Callable, Sequence
from typing import NamedTuple

from audit.append import Appender
from audit.database import Database
from audit.errors import AuditError, Broken, Busy
from audit.events import Event
from audit.group import Prepared, Tip
from audit.ledger import MOST_WAITING, Answers, Ledger
from audit.prepare import Preparer
from audit.signing import Checkpoints

MOST_TOGETHER = 1_024
"""Events in one transaction: bounds the wait of whoever comes next."""

WORTH_PREPARING = 256
"""Events that are prepared while others commit; a transaction of few costs as much as of many."""


class _Submission(NamedTuple):
    events: Sequence[Event]
    answers: Answers


class _Ahead(NamedTuple):
    """A group that is prepared and waits for the transaction before it."""

    group: list[_Submission]
    prepared: Prepared


class Sequencer(Ledger):
    """One append-only log, written by one transaction of this process at a time."""

    def __init__(
        self,
        database: Database,
        preparer: Preparer,
        appender: Appender,
        checkpoints: Checkpoints,
        *,
        most_waiting: int = MOST_WAITING,
        most_together: int = MOST_TOGETHER,
    ) -> None:
        self._database = database
        self._preparer = preparer
        self._appender = appender
        super().__init__(checkpoints)
        self._most_waiting = most_waiting
        self._most_together = most_together
        self._changed = threading.Condition()
        self._arrivals: deque[_Submission] = deque()
        self._ahead: deque[_Ahead] = deque()
        self._unanswered: dict[Answers, int] = {}
        self._waiting = 0
        self._closed = False
        self._failure: str | None = None
        self._dependants: list[Callable[[], object]] = []
        self._prepared_all = False
        self._tip: Tip | None = None
        self._threads = [
            threading.Thread(target=self._run, args=(work,), name=f"ledger-{name}", daemon=True)
            for name, work in (("prepare", self._prepare_all), ("commit", self._commit_all))
        ]
        for thread in self._threads:
            thread.start()

    @property
    def waiting(self) -> int:
        """Events that are submitted and not yet answered."""
        return self._waiting

    def submit(self, events: Sequence[Event]) -> Answers:
        """Hand in events; the future gives one `Appended` each, once they are signed for.

        Raises `Busy` where too many wait already. The future raises `Busy` where the database
        is away and `Tampered` where it contradicts what was signed: then nothing was appended.
        """
        answers = Answers()
        answers.set_running_or_notify_cancel()  # a client that hangs up must not stop the writer
        if not events:
            answers.set_result([])
            return answers
        with self._changed:
            self.require_working()
            if self._closed:
                raise Busy("the ledger is closing")
            if self._waiting and self._waiting + len(events) > self._most_waiting:
                raise Busy("the ledger has more waiting than it can take now")
            self._waiting += len(events)
            self._unanswered[answers] = len(events)
            self._arrivals.append(_Submission(events, answers))
            self._changed.notify_all()
        return answers

    def require_working(self) -> None:
        if self._failure is not None:
            raise Broken(self._failure)

    def when_broken(self, call: Callable[[], object]) -> None:
        with self._changed:
            self._dependants.append(call)
            if self._failure is None:
                return
        call()

    def close(self) -> None:
        """Commit what waits, then stop."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _run(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as error:  # noqa: BLE001 - whoever waits would wait for ever
            self._break(error)

    def _break(self, error: BaseException) -> None:
        """Fail whatever waits and take no more: the thread that met `error` is gone."""
        frames = traceback.extract_tb(error.__traceback__)
        where = " < ".join(f"{each.filename}:{each.lineno}" for each in reversed(frames[-8:]))
        name = type(error).__name__  # its text may quote an event
        logging.getLogger("modelwitness").critical("the ledger stopped: %s at %s", name, where)
        failure = f"the ledger stopped at an error that nobody foresaw ({name})"
        with self._changed:
            first = self._failure is None
            self._failure = self._failure or failure
            waiting, self._unanswered = list(self._unanswered), {}
            self._waiting = 0
            self._arrivals.clear()
            self._ahead.clear()
            self._changed.notify_all()
        for answers in waiting:
            answers.set_exception(Broken(failure))
        if first:
            for call in self._dependants:
                call()

    def _prepare_all(self) -> None:
        while group := self._next_group():
            with self._changed:
                tip, ahead = self._tip, list(self._ahead)
            if tip is None:
                self._append_alone(group)
                continue
            try:
                with self._database.reading() as connection:
                    prepared = self._preparer.prepare(
                        connection,
                        tip,
                        _events(group),
                        [each.prepared for each in ahead],
                    )
            except Exception:  # noqa: BLE001 - done again alone, where every error is answered
                self._await_commits()
                self._append_alone(group)
                continue
            with self._changed:
                many = self._backlog() >= WORTH_PREPARING
            if ahead or many:
                self._hand_over(_Ahead(group, prepared))
            else:
                self._commit_here(_Ahead(group, prepared))
        with self._changed:
            self._prepared_all = True
            self._changed.notify_all()

    def _next_group(self) -> list[_Submission]:
        """Wait for arrivals and take them; nothing means closed."""
        with self._changed:
            while not self._worth_starting() and self._failure is None:
                self._changed.wait()
            group: list[_Submission] = []
            count = 0
            while self._arrivals:
                count += len(self._arrivals[0].events)
                if group and count > self._most_together:
                    break
                group.append(self._arrivals.popleft())
            return group

    def _worth_starting(self) -> bool:
        """Whether to take what arrived: few events gather while a group before them commits."""
        if not self._arrivals:
            return self._closed and not self._ahead
        return not self._ahead or (len(self._ahead) == 1 and self._backlog() >= WORTH_PREPARING)

    def _backlog(self) -> int:
        return sum(len(submission.events) for submission in self._arrivals)

    def _commit_here(self, only: _Ahead) -> None:
        """Commit without the other thread, whose waking costs more than a small group."""
        try:
            self._appender.commit(only.prepared, self._checkpoints.last)
            self._checkpoints.sign(only.prepared.tip.edge.size, only.prepared.tip.root)
        except Exception:  # noqa: BLE001 - done again alone, where every error is answered
            self._append_alone(only.group)
        else:
            self._tip = only.prepared.tip
            self._answer(only.group, only.prepared)

    def _hand_over(self, ahead: _Ahead) -> None:
        with self._changed:
            if self._tip is ahead.prepared.base:
                self._tip = ahead.prepared.tip
                self._ahead.append(ahead)
                self._changed.notify_all()
                return
        # A group before this one failed after this was prepared: it stands on nothing.
        self._append_alone(ahead.group)

    def _await_commits(self) -> None:
        with self._changed:
            while self._ahead and self._failure is None:
                self._changed.wait()

    def _commit_all(self) -> None:
        while True:
            with self._changed:
                while not self._ahead:
                    if self._prepared_all or self._failure is not None:
                        return
                    self._changed.wait()
                first = self._ahead[0]
            try:
                self._appender.commit(first.prepared, self._checkpoints.last)
                self._checkpoints.sign(first.prepared.tip.edge.size, first.prepared.tip.root)
            except Exception:  # noqa: BLE001 - done again alone, where every error is answered
                self._start_over()
            else:
                self._answer(first.group, first.prepared)
                with self._changed:
                    if self._failure is not None:
                        return  # the other thread's error took away what was ahead
                    self._ahead.popleft()
                    self._changed.notify_all()

    def _start_over(self) -> None:
        """Give every group that was prepared ahead back to be done alone, in order."""
        with self._changed:
            for each in reversed(self._ahead):
                self._arrivals.extendleft(reversed(each.group))
            self._ahead.clear()
            self._tip = None
            self._changed.notify_all()

    def _append_alone(self, group: list[_Submission]) -> None:
        """Prepare and commit under the lock; nothing is ahead of this group."""
        try:
            prepared = self._appender.append(self._preparer, _events(group), self._checkpoints.last)
            self._checkpoints.sign(prepared.tip.edge.size, prepared.tip.root)
        except AuditError as error:
            self._tip = None
            self._fail(group, error)
        except Exception as error:  # noqa: BLE001 - one submission's fault must not fail others
            self._tip = None
            if len(group) == 1:
                self._fail(group, error)
            else:
                for submission in group:
                    self._append_alone([submission])
        else:
            self._tip = prepared.tip
            self._answer(group, prepared)

    def _answer(self, group: list[_Submission], prepared: Prepared) -> None:
        expected = self._settle(group)
        start = 0
        for submission in group:
            end = start + len(submission.events)
            if submission.answers in expected:
                submission.answers.set_result(prepared.answers[start:end])
            start = end

    def _fail(self, group: list[_Submission], error: Exception) -> None:
        for answers in self._settle(group):
            answers.set_exception(error)

    def _settle(self, group: list[_Submission]) -> set[Answers]:
        """Return which of these answers are still owed, and owe them no longer."""
        owed = set()
        with self._changed:
            for submission in group:
                count = self._unanswered.pop(submission.answers, None)
                if count is not None:
                    self._waiting -= count
                    owed.add(submission.answers)
        return owed


def _events(group: list[_Submission]) -> list[Event]:
    return [event for submission in group for event in submission.events]
