"""The adapter `mapping`: what a sender sends is read as its declaration says.

Decides that a mapping is compiled once for every declaration, and not for every message.
"""

import msgspec

from audit.errors import BadDeclaration
from collector.adapters import changes
from collector.adapters.wire import Adapted, Adapter, Message
from collector.integrations.declaration import Declared
from collector.mapping.language import Mapping, mapping_of

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


ADAPTER = Adapter(name="mapping", read=Mapped(), options=changes.OPTIONS)
