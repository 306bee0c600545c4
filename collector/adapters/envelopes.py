"""What clouds deliver is an envelope around somebody else's bytes: another adapter reads those.

Decides how the parts of an envelope are handed on: each as a message of its own, whose headers are
what the envelope tells of it, to the adapter that option `inner` names (`native` by default). A
part that cannot be read is refused by itself; its neighbours are not. Options of the inner adapter
are written beside those of the envelope.
"""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from collector.adapters.wire import Adapted, Adapter, Half, Message, Refused, Reply, refusing
from collector.errors import CollectorError, Invalid, Malformed
from collector.integrations.declaration import Declared

INNER, NATIVE = "inner", "native"
OPTIONS = {INNER: "Adapter that reads what the envelope carries; default native."}
_LONGEST = 4_096
_MOST_HEADERS = 128


class Part(NamedTuple):
    """One thing in an envelope, and what the envelope tells of it."""

    body: bytes
    headers: Mapping[str, str] = {}


class Opened(NamedTuple):
    """An envelope's parts in their order, and the answer once they are durable."""

    parts: list[Part | Refused]
    reply: Reply
    fetch: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
    """A cloud's way to deliver; fields as those of `Adapter`. `open` raises `CollectorError`."""

    name: str
    open: Callable[[Message, Declared], Opened]
    unreadable: int
    unavailable: int = 503
    failing: Callable[[Message, int, str], Reply] = refusing
    options: Mapping[str, str] = field(default_factory=dict)
    verifiers: frozenset[str] = frozenset()


def around(envelope: Envelope, adapters: Mapping[str, Adapter]) -> Adapter:
    """Return the adapter of an envelope, in which any of `adapters` may read the parts."""

    def inner_of(declared: Declared) -> Adapter:
        found = adapters.get(declared.options.get(INNER, NATIVE))
        if found is None:
            raise Invalid(
                "the declaration names no adapter for what the envelope carries",
                field=f"options.{INNER}",
                remedy="Name one that exists.",
            )
        return found

    def read(message: Message, declared: Declared) -> Adapted:
        opened = envelope.open(message, declared)
        inner = inner_of(declared)
        whole = Adapted(reply=opened.reply, fetch=opened.fetch)
        for part in opened.parts:
            if isinstance(part, Refused):
                whole.refused.append(part)
                continue
            try:
                found = inner.read(_message(part, message), declared)
            except CollectorError as error:
                whole.refused.append(Refused(part.body, error))
                continue
            whole.events.extend(found.events)
            whole.refused.extend(found.refused)
            whole.halves.extend(found.halves)
        return whole

    def join(first: Half, second: Half | None, declared: Declared) -> Adapted:
        joining = inner_of(declared).join
        if joining is None:
            raise Invalid("what the envelope carries is read by an adapter that joins nothing")
        return joining(first, second, declared)

    return Adapter(
        envelope.name,
        read,
        unreadable=envelope.unreadable,
        unavailable=envelope.unavailable,
        failing=envelope.failing,
        join=join,
        wait_seconds=max((each.wait_seconds for each in adapters.values()), default=600),
        options={**envelope.options, **OPTIONS},
        verifiers=envelope.verifiers,
    )


def unpacked_base64(text: str, what: str) -> bytes | Refused:
    """The bytes of a base64 text, or the refusal of it."""
    try:
        return b64decode(text, validate=True)
    except ValueError:
        error = Malformed(f"{what} is not base64", remedy="Send the cloud's own encoding.")
        return Refused(text.encode("utf-8", "replace"), error)


def _message(part: Part, outer: Message) -> Message:
    headers = [
        (name.lower().encode("latin-1"), value.encode("utf-8"))
        for name, value in list(part.headers.items())[:_MOST_HEADERS]
        if name.isascii() and name.isprintable() and len(value) <= _LONGEST
    ]
    return msgspec.structs.replace(
        outer, headers=tuple(headers), body=part.body, unpacked=part.body
    )
