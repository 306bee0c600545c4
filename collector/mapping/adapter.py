"""The adapter `mapping`, and those that ship as mappings.

Decides that a declaration's own mapping and the files in `collector/mapping/builtin` are read the
same way: a built-in is a wire format by name, whose events come from YAML and not from code.
"""

from collections.abc import Mapping as Members
from importlib import resources

import msgspec

from audit.declared import Section, load
from audit.errors import BadDeclaration
from collector.adapters import changes
from collector.adapters.wire import Adapted, Adapter, Message
from collector.integrations.declaration import Declared
from collector.mapping.language import KEYS, Mapping, mapping_of

_REMEMBERED = 256
_encode = msgspec.json.Encoder(order="deterministic").encode


class Mapped:
    """Reads with the mapping of the declaration, which it compiles when it first sees it."""

    def __init__(self) -> None:
        self._known: dict[bytes, Mapping] = {}

    def __call__(self, message: Message, declared: Declared) -> Adapted:
        """Read one message; see `Adapter`."""
        if declared.mapping is None:
            raise BadDeclaration("mapping", "is missing", "say how a body becomes events")
        key = _encode(declared.mapping)
        known = self._known.get(key)
        if known is None:
            known = mapping_of(dict(declared.mapping), "mapping")
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = known
        return known.read(message, declared)


def builtins() -> tuple[Adapter, ...]:
    """Return the adapters that are mappings; raises `BadDeclaration` where a file is none."""
    folder = resources.files("collector.mapping") / "builtin"
    files = sorted(each.name for each in folder.iterdir() if each.name.endswith(".yaml"))
    return tuple(_builtin((folder / name).read_text("utf-8")) for name in files)


def _builtin(text: str) -> Adapter:
    section = Section(load(text), "", "kind", "name", "about", "unreadable", *KEYS)
    section.one_of("kind", ["mapping"])
    name = section.text("name") or ""
    mapping = mapping_of({key: each for key, each in section.items() if key in KEYS}, name, "")
    options: Members[str, str] = (
        changes.OPTIONS if any(not each.type for each in mapping.events) else {}
    )
    return Adapter(
        name=name,
        read=mapping.read,
        unreadable=section.count("unreadable", 200, 599, 400),
        options=options,
    )


ADAPTERS = (Adapter(name="mapping", read=Mapped(), options=changes.OPTIONS), *builtins())
