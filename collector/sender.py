"""The sender: a thread that brings what a spool holds to the collector.

Decides when to send again: after a network error or 5xx with growing waits, after 429 and 503 when
`Retry-After` says so, after 401 and 403 slowly, since a person must act. A batch that is too large
is halved; what the collector refuses by name is set aside with its reason and everything else goes
on. An event that was sent twice is one event there: its id says so.
"""

import contextlib
import email.utils
import gzip
import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence

import httpx
import msgspec

from collector.spool import Spool, SpoolError, Waiting

COUNTS = "/v1/counts"
MOST_ITEMS = 500
MOST_BYTES = 2 * 1024 * 1024
FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
_LEASE_SECONDS = 30.0
_FULL = 100
"""Events that are worth sending at once; fewer wait `_GATHER` seconds for company."""
_GATHER = 0.2
_PERSON = 30.0
_LONGEST_ANSWER = 4 * 1024 * 1024

_log = logging.getLogger("modelwitness.client")


class _Rejected(msgspec.Struct):
    position: int
    problem: "_Problem"


class _Problem(msgspec.Struct):
    detail: str = ""
    title: str = ""


class _Batch(msgspec.Struct):
    accepted: int
    duplicates: int
    rejected: list[_Rejected]


_decode_batch = msgspec.json.Decoder(_Batch).decode


def _fates(answer: bytes, sent: int) -> list[_Rejected] | None:
    """What was rejected of so many events, None where the answer is not about them all."""
    try:
        found = _decode_batch(answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
    if found.accepted + found.duplicates + len(found.rejected) != sent:
        return None
    return found.rejected if all(0 <= each.position < sent for each in found.rejected) else None


def _line(text: str) -> str:
    """A text of somebody else's, as it may stand in a log."""
    return "".join(each if each.isprintable() else " " for each in text[:300])


class Sender:
    """Sends until it is stopped. One thread; started again in a forked process."""

    def __init__(
        self, spool: Spool, http: Callable[[], httpx.Client], beat: Callable[[], None]
    ) -> None:
        """`http` makes a client with address, credential and time-outs; `beat` is called often."""
        self._spool = spool
        self._make = http
        self._beat = beat
        self.failing: str | None = None
        self.clock_offset_seconds: float | None = None
        self.sent = 0
        self.refused = 0
        self.start()

    def start(self) -> None:
        """Start the thread."""
        self._holder = f"{os.getpid()}-{random.getrandbits(48):x}"
        self._most = MOST_ITEMS
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._idle = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="modelwitness-sender", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Say that there is something to send."""
        if not self._wake.is_set() and self._spool.waiting >= _FULL:
            self._wake.set()

    def flush(self, seconds: float) -> bool:
        """Wait until nothing waits, for so long at most; True when that is so."""
        deadline = time.monotonic() + seconds
        self._wake.set()
        with self._idle:
            while self._spool.waiting and (left := deadline - time.monotonic()) > 0:
                self._idle.wait(min(left, 0.05))
                self._wake.set()
        return self._spool.waiting == 0

    def stop(self) -> None:
        """End the thread; what is on its way is finished, the rest stays in the spool."""
        self._stop.set()
        self._wake.set()
        self._thread.join(timeout=15)

    def _run(self) -> None:
        wait = FIRST_WAIT
        backlog = False
        with self._make() as http:
            while not self._stop.is_set():
                if not backlog:
                    self._wake.wait(_GATHER)
                self._wake.clear()
                backlog = False
                try:
                    self._beat()
                    pause = self._once(http)
                except SpoolError as error:
                    self._fail(f"the spool cannot be read: {type(error).__name__}")
                    pause = -1.0
                except Exception as error:  # noqa: BLE001 - a program that is logged must go on
                    self._fail(f"sending failed: {type(error).__name__}")
                    pause = -1.0
                if pause == 0:
                    wait = FIRST_WAIT
                    backlog = self._spool.waiting > 0
                    continue
                if pause < 0:
                    pause = wait * (0.5 + random.random())  # noqa: S311 - spreads load, no secret
                    wait = min(wait * 2, LONGEST_WAIT)
                self._stop.wait(pause)
        with contextlib.suppress(SpoolError):  # it ends by itself
            self._spool.release(self._holder)

    def _once(self, http: httpx.Client) -> float:
        """Send one batch; returns seconds to wait, 0 for none, -1 for longer than before."""
        if not self._spool.waiting:
            self._spool.recount()
        if not self._spool.waiting:
            return 0
        if not self._spool.lease(self._holder, _LEASE_SECONDS):
            self._spool.recount()
            return 1
        batch = self._spool.first(self._most, MOST_BYTES)
        if not batch:  # another process sent it, or the file cannot be written now
            self._spool.recount()
            return 1 if self._spool.waiting else 0
        try:
            answer = self._post(http, batch)
        except httpx.HTTPError as error:
            self._fail(f"the collector cannot be reached: {type(error).__name__}")
            return -1
        return self._settle(answer, batch)

    def _post(self, http: httpx.Client, batch: Sequence[Waiting]) -> httpx.Response:
        before = time.time()
        answer = self._asked(
            http.build_request(
                "POST",
                batch[0].path,
                content=gzip.compress(b"\n".join(each.body for each in batch), 1),
                headers={
                    "content-type": "application/x-ndjson",
                    "content-encoding": "gzip",
                    "accept-encoding": "identity",
                    "modelwitness-sent": f"{before:.6f}",
                },
            ),
            http,
        )
        told = email.utils.parsedate_tz(answer.headers.get("date", ""))
        if told is not None:
            # The header has whole seconds: half of one is the best guess of the rest.
            middle = (before + time.time()) / 2
            self.clock_offset_seconds = email.utils.mktime_tz(told) + 0.5 - middle
        return answer

    def _asked(self, request: httpx.Request, http: httpx.Client) -> httpx.Response:
        """The answer, of which no more is read than the collector says: it may be anybody's."""
        answer = http.send(request, stream=True)
        try:
            found = bytearray()
            for chunk in answer.iter_raw():
                found += chunk
                if len(found) > _LONGEST_ANSWER:
                    raise httpx.DecodingError("the answer is too long", request=request)
        finally:
            answer.close()
        # What is packed although nobody asked for it is left packed, and is then no answer of ours.
        bare = [(k, v) for k, v in answer.headers.multi_items() if k != "content-encoding"]
        return httpx.Response(answer.status_code, headers=bare, content=bytes(found))

    def _settle(self, answer: httpx.Response, batch: Sequence[Waiting]) -> float:
        status = answer.status_code
        if status == 200:
            fates = _fates(answer.content, len(batch))
            if fates is None:
                self._fail("what answers is no collector")
                return -1
            self._most = min(self._most * 2, MOST_ITEMS)
            self._took(batch, fates)
            return 0
        if status in {408, 413, 400, 415, 422} and len(batch) > 1:
            self._most = max(1, len(batch) // 2)  # so that what is wrong is found alone
            return 0.01
        if status in {400, 413, 415, 422}:
            self._took(batch, [_Rejected(0, _Problem(title=f"status {status}"))])
            return 0
        self._fail(f"the collector answers {status}")
        if status in {401, 403, 404}:
            return _PERSON
        after = answer.headers.get("retry-after", "")
        return min(float(after), LONGEST_WAIT) if after.isdigit() else -1

    def _took(self, batch: Sequence[Waiting], rejected: Sequence[_Rejected]) -> None:
        refused = [
            (batch[each.position], _line(each.problem.detail or each.problem.title))
            for each in rejected
        ]
        self._spool.done(batch, refused)
        if refused:
            _log.warning(
                "the collector refused %d of %d events; the first because: %s",
                len(refused),
                len(batch),
                refused[0][1],
            )
        self.sent += len(batch) - len(refused)
        self.refused += len(refused)
        if self.failing is not None:
            _log.warning("the collector takes events again")
            self.failing = None
        self._spool.tidy()
        with self._idle:
            self._idle.notify_all()

    def _fail(self, what: str) -> None:
        if self.failing != what:
            _log.warning("%s; %d events wait in the spool", what, self._spool.waiting)
        self.failing = what
