"""What the tests of model servers share: messages out of samples, and calls of two messages."""

from collections.abc import Mapping
from typing import Any

import msgspec

from audit.events import Event
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapted, Half, Message
from collector.errors import CollectorError
from collector.integrations.declaration import Declared
from tests.collector.adapters.business import sample

ARRIVED_US = 1_700_000_000_000_000


def serving(adapter: str, **options: str) -> Declared:
    """The declaration of a model server."""
    return Declared(name="serving", adapter=adapter, model="iris", version="7", options=options)


def message(
    body: bytes | str | Any, headers: Mapping[str, str] | None = None, received_us: int = ARRIVED_US
) -> Message:
    """A message of a body, which may be given as the value of its JSON."""
    if isinstance(body, str):
        body = body.encode()
    if not isinstance(body, bytes):
        body = msgspec.json.encode(body)
    pairs = tuple((k.lower().encode(), v.encode()) for k, v in (headers or {}).items())
    return Message(headers=pairs, body=body, unpacked=body, received_us=received_us)


def posted(name: str) -> Message:
    """The request in a sample, which is written as HTTP."""
    head, _, rest = sample(name).replace(b"\r\n", b"\n").partition(b"\n\n")
    headers: dict[str, str] = {}
    for line in head.decode().split("\n")[1:]:
        key, _, value = line.partition(":")
        headers[key] = value.strip()
    return message(rest[: int(headers["Content-Length"])], headers)


def read(declared: Declared, *messages: Message) -> Adapted:
    """What messages hold, with halves still apart."""
    made = Adapted()
    for each in messages:
        found = ADAPTERS[declared.adapter].read(each, declared)
        made.events.extend(found.events)
        made.refused.extend(found.refused)
        made.halves.extend(found.halves)
    return made


def joined(declared: Declared, *halves: Half) -> Adapted:
    """The predictions of one half, or of two that must belong together."""
    join = ADAPTERS[declared.adapter].join
    assert join is not None
    assert len({each.key for each in halves}) == 1
    assert len({each.side for each in halves}) == len(halves)
    return join(halves[0], halves[1] if len(halves) > 1 else None, declared)


def called(declared: Declared, *messages: Message) -> Adapted:
    """The predictions of the one call that messages are of."""
    made = read(declared, *messages)
    assert not made.events
    assert not made.refused
    return joined(declared, *made.halves)


def same(one: Adapted, other: Adapted) -> bool:
    """Whether the ledger would take the one as a redelivery of the other."""
    return [_fact(each) for each in one.events] == [_fact(each) for each in other.events]


def _fact(event: Event) -> tuple[str, str, bytes]:
    return event.type, event.id, event.body if event.content is None else event.content


def survives(declared: Declared, *messages: Message) -> None:
    """Nothing but a `CollectorError` may come out of reading and joining, together and alone."""
    adapter = ADAPTERS[declared.adapter]
    halves: dict[str, dict[str, Half]] = {}
    made: list[Adapted] = []
    errors: list[CollectorError] = []
    for each in messages:
        try:
            made.append(adapter.read(each, declared))
        except CollectorError as error:
            errors.append(error)
    for half in (half for each in made for half in each.halves):
        halves.setdefault(half.key, {})[half.side] = half
    for sides in halves.values():
        assert adapter.join is not None
        for one in sides.values():
            for other in (None, *(each for each in sides.values() if each is not one)):
                try:
                    made.append(adapter.join(one, other, declared))
                except CollectorError as error:
                    errors.append(error)
    errors += [refused.error for each in made for refused in each.refused]
    assert all(str(each) and each.remedy for each in errors)
    events = [event for each in made for event in each.events]
    assert all(each.integration == "serving" and len(each.id) <= 256 for each in events)
