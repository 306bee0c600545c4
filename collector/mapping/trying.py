"""Trying a declaration on a sample body: the events it would make, and nothing is stored.

Decides what is shown: each event as it would be sealed, each refusal with its place and remedy. A
file may be a whole integration (any adapter) or a mapping alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec.structs import replace

from audit.declared import Section, kind_of, load
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapted, Message
from collector.errors import CollectorError
from collector.integrations.declaration import Declared
from collector.integrations.reading import parse
from collector.integrations.unpacking import unpacked
from collector.integrations.verifiers import VERIFIERS
from collector.limits import Limits
from collector.mapping.language import KEYS, mapping_of

NAMED: Final = Declared(name="sample", adapter="mapping", model="sample", version="1")
"""Stands in for a declaration where only a mapping is tried."""


@dataclass(frozen=True, slots=True)
class Tried:
    """Lines to print, and whether something became an event and nothing was refused."""

    lines: list[str]
    whole: bool


def tried(text: str, body: bytes, headers: Sequence[tuple[str, str]] = ()) -> Tried:
    """Read `body` by the declaration in `text`; raises `BadDeclaration` where that is none."""
    message = Message(
        body=body,
        headers=tuple((name.lower().encode(), value.encode()) for name, value in headers),
    )
    kind = kind_of(text, ["mapping", "integration"])
    try:
        message = replace(message, unpacked=unpacked(message, Limits()))
        if kind == "mapping":
            section = Section(load(text), "", "kind", "name", "about", "unreadable", *KEYS)
            known = {key: each for key, each in section.items() if key in KEYS}
            mapping = mapping_of(known, section.text("name", "mapping") or "", "")
            return _told(mapping.read(message, NAMED))
        declared = parse(text, ADAPTERS, VERIFIERS)
        return _told(ADAPTERS[declared.adapter].read(message, declared))
    except CollectorError as error:
        return Tried([_refusal(error)], whole=False)


def _told(adapted: Adapted) -> Tried:
    lines = [
        f"{each.type} of {each.model} {each.version}, status {each.status}\n"
        + msgspec.json.format(each.body, indent=2).decode()
        for each in adapted.events
    ]
    lines += [f"{each.side} that waits for its other half" for each in adapted.halves]
    lines += [_refusal(each.error) for each in adapted.refused]
    if adapted.unrelated:
        lines.append(f"{adapted.unrelated} items are none of this integration's business")
    if not lines:
        lines.append("the body holds no item")
    return Tried(lines, whole=not adapted.refused and bool(adapted.events or adapted.halves))


def _refusal(error: CollectorError) -> str:
    place = f" at {error.field}" if error.field else ""
    return f"refused{place}: {error} {error.remedy}".strip()
