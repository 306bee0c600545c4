"""What a sender's request is to an adapter, and what an adapter makes of it.

Decides the shape of every adapter: a pure function from a `Message` and the declaration of its
integration to `Adapted`. It stores nothing, asks nobody and knows no clock but the message's own
times; so a message that was kept in quarantine is read again later with the same result. How the
sender wants to be answered stands here too, because senders act on it: a 4xx is a retry to one
and a loss to another.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from audit.events import Event
from collector.errors import CollectorError, Malformed
from collector.integrations.declaration import Declared

FILE = "FILE"
"""The method of a message that holds rows of a file; no sender can call by it."""
PLACE = b"modelwitness-place"
"""The header of such a message that tells, as JSON, what `Adapter.row` needs besides the row."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """One request, or one message of a stream, as it came.

    `url` is the address that the sender called, rebuilt from the declaration and never from
    `Host`; `headers` keep repetitions and order, names in lower case; `body` is as it was sent
    and `unpacked` without its content encoding, within limits.
    """

    method: str = "POST"
    url: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    body: bytes = b""
    unpacked: bytes = b""
    received_us: int = 0

    def header(self, name: str) -> str | None:
        """Return the one value of a header; raises `Malformed` where it stands there twice."""
        found = [value for key, value in self.headers if key == name.encode("latin-1")]
        if len(found) > 1:
            raise Malformed(f"the header {name} was sent twice", field=name, remedy="Send it once.")
        return found[0].decode("latin-1") if found else None


class Refused(NamedTuple):
    """A part of a message that is no event: its bytes go to quarantine with the reason."""

    raw: bytes
    error: CollectorError


class Half(msgspec.Struct, frozen=True, kw_only=True):
    """One side of a prediction whose request and response come in two messages.

    `key` is what both sides share, unique per integration; `side` is "request" or "response".
    `body` is what `Adapter.join` needs of it, JSON, sealed while it waits.
    """

    key: str
    side: str
    body: bytes


class Reply(NamedTuple):
    """The answer that this sender understands."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


OK = Reply(200)


@dataclass(frozen=True, slots=True)
class Adapted:
    """What a message holds; `reply` is sent once all of it is durable."""

    events: list[Event] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    halves: list[Half] = field(default_factory=list)
    reply: Reply = OK
    unrelated: int = 0
    """Items that were read and are none of the integration's business, such as a change of a field
    that it does not watch: counted, not kept. All of them, always, is a declaration to look at."""
    fetch: str = ""
    """An https URL to GET before the reply (SNS confirmation); checked like all that we call."""


Read = Callable[[Message, Declared], Adapted]
Row = Callable[[bytes, Declared, Mapping[str, str], int], Adapted]
Join = Callable[[Half, Half | None, Declared], Adapted]


def refusing(_message: Message, status: int, title: str) -> Reply:
    """The reply of a sender with no wishes: the status, and the reason as plain text."""
    return Reply(status, title.encode(), (("content-type", "text/plain; charset=utf-8"),))


def whole(message: Message) -> Message:
    """A message that may be kept as it came."""
    return message


@dataclass(frozen=True, slots=True)
class Adapter:
    """One wire format.

    `read` raises `CollectorError` where the body as a whole cannot be read: then the message is
    kept in quarantine whole and the sender gets `unreadable`, the status after which it neither
    repeats the same bytes for ever nor drops what follows. `failing` words every other refusal
    (401, 403, 413, 429, 503 …) for this sender; `unavailable` is the status that makes it come
    again. `join` makes events of a request and its response (one for each instance that the call
    held; the first half is the request where both are there), or of either half alone when
    `wait_seconds` are over. It refuses a row by itself, and raises `CollectorError` as `read` does.
    `options` are the keys that a declaration may set, with a sentence each.
    """

    name: str
    read: Read
    unreadable: int = 400
    unavailable: int = 503
    failing: Callable[[Message, int, str], Reply] = refusing
    join: Join | None = None
    wait_seconds: int = 600
    bare: Callable[[Message], Message] = whole
    """The message as it may be kept in quarantine: a sender whose body carries a credential of its
    own, as Salesforce's does, loses it here. Never raises; what is left can be read again."""
    options: Mapping[str, str] = field(default_factory=dict)
    row: Row | None = None
    """Reads one row of a file, with what its path tells and when it was received (µs)."""
    of_path: Callable[[str], dict[str, str]] | None = None
    schema_path: Callable[[str], str] | None = None
    """The path of the file that says what the columns of one mean, "" for none. Its last line
    comes to `row` as `schema` of the place."""
    verifiers: frozenset[str] = frozenset()
    """Names in `collector.integrations.verifiers` that this sender can be declared with, besides
    those that any sender can: bearer, header, basic, path, jwt, none behind mutual TLS."""
