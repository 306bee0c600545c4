"""What a broker is to this room, and how FastStream is kept out of the way.

Decides the contract of the four sources: whoever delivers acknowledges after `deliver` returned
and never before, and holds no further message back meanwhile. FastStream gives connections,
subscriptions and consumer loops; its parsing is replaced, since a header that is not UTF-8 would
raise there, before anyone could keep the message, and a later commit would pass over it.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from faststream.message import StreamMessage

from collector.streams.carried import Carried
from collector.streams.declaration import Stream

GRACE_SECONDS = 30.0
"""For which the end of a source waits for the batch that is being logged."""

Deliver = Callable[[Sequence[Carried]], Awaitable[None]]


class Away(Exception):
    """The broker cannot be reached, or does not have what the declaration names."""


class Source(Protocol):
    """One connection to a broker that delivers one stream; used once."""

    async def open(self) -> None:
        """Connect and begin to deliver; raises `Away`."""

    async def close(self) -> None:
        """Finish what is being delivered, acknowledge it, leave."""

    def working(self) -> bool:
        """Whether messages may still come: False asks for a new source."""


class Where(NamedTuple):
    """What a source is made from; `consumer` is this process's own name in the group."""

    stream: Stream
    environment: Mapping[str, str]
    consumer: str
    deliver: Deliver


async def whole(message: Any) -> StreamMessage[Any]:
    """A message as FastStream wants it, with nothing read."""
    return StreamMessage(raw_message=message, body=b"")


async def raw(message: StreamMessage[Any]) -> Any:
    """The broker's own message, which is what handlers here take."""
    return message.raw_message
