"""How whoever calls is refused: strangers all alike, known senders in the words of their adapter.

Decides what a stranger hears: one answer, made of the request alone, after one and the same least
time, counted once; so nothing in it tells whether a name is declared, nor with what. Decides which
headers a refusal carries besides (`Retry-After`, `Accept-Encoding`).

    stranger    401, plain text; 503 to a request that says it is Amazon SNS's, for SNS takes a
                4xx for delivered and drops the message
    known       the status of the refusal, or that after which this sender comes again
"""

import asyncio
import logging
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from audit.errors import AuditError, Busy
from audit.roles import Forbidden
from collector.adapters.wire import Adapter, Message, Reply, refusing
from collector.errors import CollectorError, Malformed, Unproved
from collector.metrics import Metrics

LEAST_SECONDS: Final = 0.03
"""No stranger is answered sooner: longer than it takes to check any credential that is at hand."""
BUSY: Final = "Busy, try again"
_SNS: Final = b"x-amz-sns-message-type"


class Refusals:
    """Refuses and counts. Belongs to one event loop; `count` tells of one stranger, and blocks."""

    def __init__(self, count: Callable[[], None], metrics: Metrics) -> None:
        self._count = count
        self._metrics = metrics

    async def stranger(self, reply: Reply, began: float) -> Reply:
        """Return `reply`, counted, `LEAST_SECONDS` after `began` (of `time.perf_counter`)."""
        # Nothing is given away: a ledger that cannot take the count changes no answer.
        with suppress(AuditError):
            await asyncio.to_thread(self._count)
        self._metrics.refused(reply.status)
        await asyncio.sleep(began + LEAST_SECONDS - time.perf_counter())
        return reply

    def undecided(self, message: Message, error: Busy) -> Reply:
        """Return the answer, counted, to one of whom it could not be decided who it is."""
        self._metrics.refused(503)
        return _with(refusing(message, 503, BUSY), "retry-after", str(error.retry_after))

    def known(
        self, message: Message, adapter: Adapter, error: Busy | CollectorError | Forbidden
    ) -> Reply:
        """Return the refusal of a known sender, counted."""
        reply = refusal(message, adapter, error)
        self._metrics.refused(reply.status)
        return reply


def unproved(message: Message) -> Reply:
    """Return what every stranger hears, whatever name it called."""
    is_sns = any(name == _SNS for name, _ in message.headers)
    return refusing(message, 503 if is_sns else 401, Unproved.title)


def refusal(
    message: Message,
    adapter: Adapter,
    error: Busy | CollectorError | Forbidden,
    status: int | None = None,
) -> Reply:
    """Return a refusal in the words of an adapter; `status` in place of the error's own."""
    if isinstance(error, Busy):
        reply = adapter.failing(message, status or adapter.unavailable, BUSY)
        return _with(reply, "retry-after", str(error.retry_after))
    if isinstance(error, Forbidden):
        return adapter.failing(message, status or 403, "The token may not log events")
    title = f"{error.title}: {error}. {error.remedy}".rstrip(". ")
    reply = adapter.failing(message, status or error.status, title)
    for name, value in error.headers.items():
        reply = _with(reply, name.lower(), value)
    return reply


def failed(adapter: Adapter, error: Exception) -> Malformed:
    """Log where an adapter failed, nothing of what it read; returns the refusal of that."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    where = " < ".join(f"{each.filename}:{each.lineno}" for each in reversed(frames))
    logging.getLogger("modelwitness").error(
        "adapter %s: %s at %s", adapter.name, type(error).__name__, where
    )
    return Malformed(
        "the adapter failed on this message", remedy="Report it with the name of the adapter."
    )


def _with(reply: Reply, name: str, value: str) -> Reply:
    return reply._replace(headers=(*reply.headers, (name, value)))
