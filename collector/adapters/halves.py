"""A call whose request and response come in two messages.

Decides what of each message waits for the other, and what both together are. Hides how a half is
written while it waits. Which call a message belongs to, and what its ids are, each sender's
adapter says by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from collector.adapters.bodies import require_bounded, value_of
from collector.adapters.calls import UNANSWERED, Call, adapted
from collector.adapters.instances import Part, part_of
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Half
from collector.errors import Malformed
from collector.integrations.declaration import Declared


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """A request or a response as it waits: its attributes, its body, and when it came."""

    attributes: dict[str, str]
    body: bytes = b""
    media: str = ""
    us: int | None = None
    time_text: str = ""
    received_us: int = 0

    @property
    def moment(self) -> Moment | None:
        """The sender's own time of it."""
        return None if self.us is None else Moment(self.us, self.time_text)

    def part(self) -> Part:
        """The instances in its body; raises `TooLarge`."""
        return part_of(value_of(self.body, self.media))


@dataclass(frozen=True, slots=True)
class Both:
    """The two sides of a call, of which one may not have come."""

    request: Side | None
    response: Side | None

    @property
    def first(self) -> Side:
        """The request, or the response where there is no request."""
        side = self.request or self.response
        if side is None:
            raise ValueError("a call has at least one side")
        return side

    @property
    def latency_ms(self) -> float | None:
        """Time between both, where the sender told both."""
        one, two = self.request, self.response
        if one is None or two is None or one.us is None or two.us is None:
            return None
        return (two.us - one.us) / 1000

    def attribute(self, name: str) -> str:
        """An attribute of the call, of whichever side has it."""
        sides = (each for each in (self.request, self.response) if each is not None)
        return next((found for each in sides if (found := each.attributes.get(name))), "")


_encode = msgspec.json.encode
_side = msgspec.json.Decoder(Side).decode


def half(key: str, side: str, waiting: Side) -> Half:
    """The half of a message; raises `TooLarge` for a body that could not be read later."""
    require_bounded(waiting.body)
    return Half(key=key, side=side, body=_encode(waiting))


def both(one: Half, other: Half | None) -> Both:
    """The sides of a call, whichever came first; raises `Malformed` for what is no half."""
    try:
        sides = {each.side: _side(each.body) for each in (one, other) if each is not None}
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        raise Malformed(
            "a half of a call is not readable", remedy="Send both halves again."
        ) from None
    if not sides.keys() & {"request", "response"}:
        raise Malformed("a half is of neither side", remedy="Send both halves again.")
    return Both(sides.get("request"), sides.get("response"))


def joined(
    one: Half,
    other: Half | None,
    declared: Declared,
    call_of: Callable[[Both, Declared], Mapping[str, Any]],
) -> Adapted:
    """The predictions of a call; `call_of` tells what `Call` shall hold besides both bodies."""
    pair = both(one, other)
    told: dict[str, Any] = {
        "moment": pair.first.moment,
        "received_us": pair.first.received_us,
        "request": None if pair.request is None else pair.request.part(),
        "response": None if pair.response is None else pair.response.part(),
        "latency_ms": pair.latency_ms,
        **call_of(pair, declared),
    }
    if pair.response is None and "status" not in told:
        told.update(status="error", error=dict(UNANSWERED))
    raw = _encode({each.side: msgspec.Raw(each.body) for each in (one, other) if each is not None})
    return adapted(Call(**told), declared, raw)
