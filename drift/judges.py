"""The processes that judge: long-lived, apart from whoever reads and appends.

Decides that judgements run in spawned worker processes, because Evidently costs seconds and
hundreds of megabytes once and a scheduler has threads, which a fork must not copy. A worker gets
arrays and a policy, never keys or connections, and ends with its parent however that ends.
Hides a pool that broke: its judgement fails, the next one gets a new pool.
"""

import multiprocessing
import os
import signal
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import Any, Protocol

from drift.columns import Columns
from drift.errors import NotJudged
from drift.policy import Policy
from drift.windows import Window

History = Mapping[str, Sequence[Mapping[str, Any]]]


class Judge(Protocol):
    """Judges one window: one DriftMeasured body for each segment.

    `history` are the earlier bodies of each segment, oldest first. Raises `NotJudged`.
    """

    def __call__(
        self,
        policy: Policy,
        window: Window,
        reference: Columns,
        current: Columns,
        version: str,
        history: History,
    ) -> list[dict[str, Any]]: ...


class Judges:
    """A `Judge` over a pool of `workers` processes; `close` ends them."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._lock = threading.Lock()
        self._pool: ProcessPoolExecutor | None = None

    def __call__(
        self,
        policy: Policy,
        window: Window,
        reference: Columns,
        current: Columns,
        version: str,
        history: History,
    ) -> list[dict[str, Any]]:
        try:
            judged: Future[list[dict[str, Any]]] = self._running().submit(
                _judge, policy, window, reference, current, version, history
            )
            return judged.result()
        except BrokenProcessPool as error:
            self.close()
            raise NotJudged("the process that judged ended before it had an answer") from error

    def warm(self) -> None:
        """Begin to load what judging needs, so that the first window does not wait for it."""
        self._running().submit(_load)

    def close(self) -> None:
        """End the processes; a judgement under way is finished first."""
        with self._lock:
            pool, self._pool = self._pool, None
        if pool is not None:
            pool.shutdown(cancel_futures=True)

    def _running(self) -> ProcessPoolExecutor:
        with self._lock:
            if self._pool is None:
                self._pool = ProcessPoolExecutor(
                    self._workers,
                    mp_context=multiprocessing.get_context("spawn"),
                    initializer=_begin,
                )
            return self._pool


def _judge(
    policy: Policy,
    window: Window,
    reference: Columns,
    current: Columns,
    version: str,
    history: History,
) -> list[dict[str, Any]]:
    from drift.judge import judge_segments  # leads to Evidently, in the worker only

    return judge_segments(policy, window, reference, current, version=version, history=history)


def _load() -> None:
    import drift.evidence  # noqa: F401  (for what it loads)


def _begin() -> None:
    """Leave Ctrl-C to the parent, and end when the parent is gone, killed or not."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent.sentinel,), daemon=True).start()


def _follow(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)
