"""The client: a program logs its predictions and outcomes, and is never slowed or broken by it.

    client = Client("https://logs.example.com", token="mw_…", spool="var/spool.db")
    client.log_prediction("credit", "3", inputs={"income": 41000}, output="approve", score=0.91)

    @client.predicts("credit", "3")
    def score(income: float, debt: float) -> str: ...

    with client.prediction("credit", "3", inputs=row) as made:
        made.output = model.predict(row)

Decides that no call raises and that none waits for the network: an event is in the spool (a local
file, `collector.spool`) when the call returns, and a thread sends it (`collector.sender`). What
cannot be encoded is replaced by the name of its type; what goes wrong is counted in `state()` and
logged once under `modelwitness.client`. Needs httpx and msgspec only.

Each process counts its events in `sequence` under a `producer` of its own, so that the collector
can tell which ones never came. Once an hour, and when it is closed, it also reports how many it
logged and lost (`collector.tally`); a process that is killed reports only the hours before.
"""

import asyncio
import atexit
import functools
import inspect
import logging
import os
import time
import weakref
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, ParamSpec, Self, TypeVar

import httpx
import msgspec

from collector.sender import COUNTS, Sender
from collector.spool import Spool
from collector.tally import HOUR, Tally

P = ParamSpec("P")
R = TypeVar("R")

_log = logging.getLogger("modelwitness.client")
_TYPES = {"/v1/predictions": "PredictionLogged", "/v1/outcomes": "OutcomeObserved"}


class State(NamedTuple):
    """How logging goes. `dropped`: the spool was full; `broken`: calls that could not be logged."""

    waiting: int
    waiting_bytes: int
    sent: int
    refused: int
    dropped: int
    broken: int
    failing: str | None
    clock_offset_seconds: float | None


class Prediction:
    """A prediction that is being made: set what is known of it before the block ends."""

    def __init__(self, client: "Client", fields: dict[str, Any]) -> None:
        self._client = client
        self._fields = fields
        self.id: str = fields.setdefault("id", _new_id())
        self.output: Any = None
        self.score: float | None = None
        self._began = time.perf_counter()

    def set(self, **fields: Any) -> None:
        """Add other fields of a prediction: confidence, explanation, subject, references …"""
        self._fields.update(fields)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fields = self._fields
        if kind is not None:
            fields["status"], fields["error"] = "error", {"type": kind.__name__}
        if self.score is not None:
            fields["score"] = self.score
        total = (time.perf_counter() - self._began) * 1000
        fields.setdefault("latency_ms", {"total": round(total, 3)})
        self._client.log_prediction(**{"output": self.output, **fields})


class Client:
    """Logs for one integration. Use one per process; threads, asyncio and forks may share it."""

    def __init__(
        self,
        url: str,
        token: str,
        spool: str | os.PathLike[str],
        *,
        most_bytes: int = 256 * 1024 * 1024,
        power_safe: bool = False,
        flush_seconds: float = 2.0,
        timeout_seconds: float = 10.0,
    ) -> None:
        """`flush_seconds` is how long the end of the program may wait for what is not sent yet.

        Raises `OSError` or `sqlite3.Error` where the spool cannot be opened: a program is told of
        that when it starts. Nothing after this raises.
        """
        headers = {"authorization": f"Bearer {token}"}
        self._spool = Spool(Path(spool), most_bytes, power_safe=power_safe)
        self._flush_seconds = flush_seconds
        self._broken = 0
        self._closed = False
        self._reported_hour = 0.0
        self._encode = msgspec.json.Encoder(enc_hook=_plain).encode
        self._count_anew()
        self._sender = Sender(
            self._spool,
            lambda: httpx.Client(base_url=url, headers=headers, timeout=timeout_seconds),
            functools.partial(_beat, weakref.ref(self)),
        )
        atexit.register(_close, weakref.ref(self))

    def log_prediction(
        self,
        model: str,
        version: str,
        inputs: Mapping[str, Any],
        output: Any = None,
        *,
        id: str | None = None,
        time: datetime | str | None = None,
        **fields: Any,
    ) -> str:
        """Log a prediction and return its id.

        `fields` are others of the prediction record: score, confidence, status, error,
        explanation, decision, subject, references, latency_ms, context.
        """
        known = id or _new_id()
        self._put(
            "/v1/predictions",
            {
                "id": known,
                "time": time or datetime.now(UTC),
                "model": {"name": model, "version": version},
                "inputs": inputs,
                "output": output,
                **fields,
            },
        )
        return known

    def log_outcome(
        self,
        prediction: str,
        outcome: Any,
        *,
        id: str | None = None,
        time: datetime | str | None = None,
        **fields: Any,
    ) -> str:
        """Log what turned out to be true of the prediction with this id; returns an id too."""
        known = id or _new_id()
        self._put(
            "/v1/outcomes",
            {
                "id": known,
                "time": time or datetime.now(UTC),
                "prediction": {"id": prediction},
                "outcome": outcome,
                **fields,
            },
        )
        return known

    def prediction(
        self, model: str, version: str, inputs: Mapping[str, Any], **fields: Any
    ) -> Prediction:
        """Return a context that logs a prediction with its latency, or its error, when it ends."""
        return Prediction(self, {"model": model, "version": version, "inputs": inputs, **fields})

    def predicts(
        self, model: str, version: str, **fields: Any
    ) -> Callable[[Callable[P, R]], Callable[P, R]]:
        """Return a decorator: arguments are the inputs, what a call returns is the output."""

        def decorate(function: Callable[P, R]) -> Callable[P, R]:
            bind = inspect.signature(function).bind

            def begun(*args: P.args, **kwargs: P.kwargs) -> Prediction:
                try:
                    inputs = dict(bind(*args, **kwargs).arguments)
                except TypeError:
                    inputs = {}  # the call itself says what is wrong with its arguments
                inputs.pop("self", None)
                return self.prediction(model, version, inputs, **fields)

            if asyncio.iscoroutinefunction(function):

                @functools.wraps(function)
                async def awaited(*args: P.args, **kwargs: P.kwargs) -> Any:
                    with begun(*args, **kwargs) as made:
                        made.output = await function(*args, **kwargs)
                    return made.output

                return awaited  # type: ignore[return-value]  # R is then a coroutine's type

            @functools.wraps(function)
            def called(*args: P.args, **kwargs: P.kwargs) -> R:
                with begun(*args, **kwargs) as made:
                    result = made.output = function(*args, **kwargs)
                return result

            return called

        return decorate

    def flush(self, seconds: float | None = None) -> bool:
        """Wait until everything is sent, for so long at most; True when that is so."""
        return self._sender.flush(self._flush_seconds if seconds is None else seconds)

    def state(self) -> State:
        """Return how logging goes."""
        spool, sender = self._spool, self._sender
        return State(
            spool.waiting,
            spool.bytes,
            sender.sent,
            sender.refused,
            spool.dropped,
            self._broken,
            sender.failing,
            sender.clock_offset_seconds,
        )

    def report_when_due(self) -> None:
        """Report the hours that are over, when a new one has begun."""
        if time.time() // HOUR != self._reported_hour:
            self._reported_hour = time.time() // HOUR
            self._report(everything=False)

    def close(self) -> None:
        """Send what can be sent in time, then stop; the rest stays in the spool for next time."""
        if self._closed or self._pid != os.getpid():  # the parent of a fork closes what is its
            return
        self._closed = True
        self._report(everything=True)
        self.flush()
        self._sender.stop()
        self._spool.close()

    def _put(self, path: str, event: dict[str, Any]) -> None:
        number = 0
        try:
            if self._pid != os.getpid():
                self._after_fork()
            number = next(self._numbers)
            event["producer"], event["sequence"] = self._producer, number
            kept = self._spool.put(path, self._encode(event))
            self._tally.add(_TYPES[path], event["time"], number, kept=kept)
            self._sender.wake()
        except Exception as error:  # noqa: BLE001 - a program that is logged must go on
            if not self._broken:
                _log.warning("an event could not be logged: %s", type(error).__name__)
            self._broken += 1
            self._tally.add(_TYPES[path], event["time"], number, kept=False)

    def _report(self, *, everything: bool) -> None:
        try:
            for body in self._tally.reports(datetime.now(UTC), everything=everything):
                self._spool.put(COUNTS, self._encode(body), always=True)
        except Exception as error:  # noqa: BLE001 - a program that is logged must go on
            _log.warning("what was logged could not be reported: %s", type(error).__name__)

    def _count_anew(self) -> None:
        self._pid = os.getpid()
        self._producer = _new_id()[:16]
        self._numbers = count(1)
        self._tally = Tally(self._producer)
        self._reported_hour = time.time() // HOUR

    def _after_fork(self) -> None:
        self._count_anew()
        self._spool.after_fork()
        self._sender.start()


def _beat(client: "weakref.ref[Client]") -> None:
    """Runs on the sender's thread, which must not keep a client that nobody has any more."""
    if (known := client()) is not None:
        known.report_when_due()


def _close(client: "weakref.ref[Client]") -> None:
    if (known := client()) is not None:
        known.close()


def _new_id() -> str:
    return os.urandom(16).hex()


def _plain(value: Any) -> Any:
    """What msgspec does not know: arrays and scalars of numeric libraries, else the type's name."""
    for name in ("tolist", "item", "to_dict"):
        convert = getattr(value, name, None)
        if callable(convert):
            return convert()
    return f"<{type(value).__name__}>"
