"""The ledger in a process of its own, so that a server's HTTP and its sealing each have a core.

Decides what crosses between the two: submissions and answers, by number; errors by kind, without
inner text of what nobody foresaw. Whoever asks sees a `Ledger`. The other process ends when this
one does, having committed what it was given: nothing of that was acknowledged, and a sender who
repeats it gets the first answer.
"""

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Sequence

import msgspec

from audit.channel import Channel
from audit.errors import AuditError, Broken, Busy, Rejected, RolledBack, Tampered
from audit.events import Event
from audit.group import Appended
from audit.ledger import MOST_WAITING, Answers, Ledger
from audit.signing import Checkpoints

_START_SECONDS = 60
_GONE = "the process that holds the ledger has ended"


class Submission(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Events handed in under a number."""

    number: int
    events: list[Event]


class Answer(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What became of a submission: `failure` is empty, or a kind of error with its facts."""

    number: int
    appended: list[Appended]
    failure: str = ""
    text: str = ""
    facts: list[int] = []


class Apart(Ledger):
    """A ledger that another process holds."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        start: Callable[[int], "subprocess.Popen[bytes]"],
        lost: Callable[[], None],
    ) -> None:
        """`start` runs `hold` in a new process over the socket with the given descriptor.

        `lost` is called when that process ends before `close`. Raises `Busy` where it does not
        come up.
        """
        super().__init__(checkpoints)
        self._lost: list[Callable[[], object]] = [lost]
        self._lock = threading.Lock()
        self._pending: dict[int, tuple[Answers, int]] = {}
        self._numbers = 0
        self._waiting = 0
        self._open = True
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = start(theirs.fileno())
        ours.settimeout(_START_SECONDS)
        if ours.recv(1) != b"+":
            ours.close()
            self._process.wait()
            raise Busy("the process that holds the ledger did not start; see its message")
        ours.settimeout(None)
        self._channel: Channel[Submission, Answer] = Channel(ours, Answer)
        self._reader = threading.Thread(target=self._read, name="answers", daemon=True)
        self._reader.start()

    @property
    def waiting(self) -> int:
        return self._waiting

    def submit(self, events: Sequence[Event]) -> Answers:
        answers = Answers()
        answers.set_running_or_notify_cancel()  # nobody can take back what is handed in
        if not events:
            answers.set_result([])
            return answers
        with self._lock:
            if not self._open:
                raise Broken(_GONE)
            if self._waiting and self._waiting + len(events) > MOST_WAITING:
                raise Busy("the ledger has more waiting than it can take now")
            self._waiting += len(events)
            self._numbers += 1
            self._pending[self._numbers] = answers, len(events)
            self._channel.send(Submission(self._numbers, list(events)))
        return answers

    def require_working(self) -> None:
        if not self._open:
            raise Broken(_GONE)

    def when_broken(self, call: Callable[[], object]) -> None:
        self._lost.append(call)

    def close(self) -> None:
        with self._lock:
            self._open = False
        self._channel.finish()
        self._reader.join()
        self._channel.close()
        self._process.wait()

    def _read(self) -> None:
        try:
            for answer in self._channel.received():
                self._settle(answer)
        finally:
            self._end()

    def _settle(self, answer: Answer) -> None:
        with self._lock:
            answers, count = self._pending.pop(answer.number)
            self._waiting -= count
        if answer.failure:
            answers.set_exception(_error(answer))
        else:
            answers.set_result(answer.appended)

    def _end(self) -> None:
        """Fail what waits; tell whoever depends on us, unless they closed us."""
        with self._lock:
            expected, self._open = not self._open, False
            pending, self._pending = list(self._pending.values()), {}
            self._waiting = 0
        for answers, _ in pending:
            answers.set_exception(Broken(_GONE))
        if not expected:
            for call in self._lost:
                call()


def hold(ledger: Ledger, end: socket.socket) -> None:
    """Append what comes over `end` and answer, until the other end is closed.

    Raises `Broken`, after all answers are given, where the ledger stopped before that.
    """

    def hear_no_more() -> None:
        with contextlib.suppress(OSError):  # the other end was quicker
            end.shutdown(socket.SHUT_RD)

    ledger.when_broken(hear_no_more)
    end.sendall(b"+")
    channel: Channel[Answer, Submission] = Channel(end, Submission)

    def answer(number: int, done: Answers) -> None:
        error = done.exception()
        if error is None:
            channel.send(Answer(number, done.result()))
        else:
            channel.send(_failed(number, error))

    for submission in channel.received():
        try:
            answers = ledger.submit(submission.events)
        except AuditError as error:
            channel.send(_failed(submission.number, error))
        else:
            answers.add_done_callback(
                lambda done, number=submission.number: answer(number, done)  # type: ignore[misc]  # bound now
            )
    ledger.close()
    channel.close()
    ledger.require_working()


def _failed(number: int, error: BaseException) -> Answer:
    match error:
        case RolledBack():
            return Answer(number, [], "rolled back", facts=[error.size, error.signed])
        case Tampered():
            facts = [] if error.index is None else [error.index]
            return Answer(number, [], "tampered", error.what, facts)
        case Busy():
            kind = "stopped" if isinstance(error, Broken) else "busy"
            return Answer(number, [], kind, str(error), [error.retry_after])
        case Rejected():
            return Answer(number, [], "rejected", str(error))
        case AuditError():
            return Answer(number, [], "refused", str(error))
        case _:
            return Answer(number, [], "broken", type(error).__name__)


def _error(answer: Answer) -> Exception:
    match answer.failure:
        case "rolled back":
            return RolledBack(*answer.facts)
        case "tampered":
            return Tampered(answer.text, index=answer.facts[0] if answer.facts else None)
        case "stopped" | "busy":
            kind = Broken if answer.failure == "stopped" else Busy
            return kind(answer.text, retry_after=answer.facts[0])
        case "rejected":
            return Rejected(answer.text)
        case "refused":
            return AuditError(answer.text)
        case _:
            return RuntimeError(f"the ledger could not append: {answer.text}")
