"""The declarations in force: what the operator applied last, seen by every process within a second.

Decides how old a look at them may be. All of them are read together, so that a name that nobody
declared costs no look-up and takes no other time than one that is.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Final, Protocol

import msgspec

from audit.catalog import INTEGRATION, DeclaredDocument
from audit.clock import Clock
from collector.integrations.declaration import Declared

LAG_US: Final = 500_000
_decode_document = msgspec.json.Decoder(DeclaredDocument).decode
_decode_declared = msgspec.json.Decoder(Declared).decode


class Documented(Protocol):
    """The part of the documents that is read."""

    def each(self, kind: str) -> Iterable[tuple[str, bytes]]: ...


class Registered:
    """What is declared, by name. Safe for use by several threads; `get` may read the store."""

    def __init__(self, documents: Documented, clock: Clock) -> None:
        self._documents = documents
        self._clock = clock
        self._lock = Lock()
        self._read_us: int | None = None
        self._stored: dict[str, bytes] = {}
        self._declared: Mapping[str, Declared] = {}

    def get(self, name: str) -> Declared | None:
        """Return an integration's declaration, None where it has none; raises `Busy`."""
        return self.all().get(name)

    def all(self) -> Mapping[str, Declared]:
        """Return every declaration in force."""
        if not self.is_fresh():
            with self._lock:
                if not self.is_fresh():
                    self._read()
        return self._declared

    def is_fresh(self) -> bool:
        """Whether `get` and `all` will not read the store."""
        return self._read_us is not None and self._read_us <= self._clock() < self._read_us + LAG_US

    def _read(self) -> None:
        now = self._clock()
        stored = dict(self._documents.each(INTEGRATION))
        declared: dict[str, Declared] = {}
        for name, body in stored.items():
            found = self._declared.get(name) if self._stored.get(name) == body else _declared(body)
            if found is not None:
                declared[name] = found
        self._stored, self._declared, self._read_us = stored, declared, now


def _declared(body: bytes) -> Declared | None:
    """The declaration in a document; None where there is none that this version understands."""
    declaration = _decode_document(body).declaration
    try:
        return None if declaration is None else _decode_declared(msgspec.json.encode(declaration))
    except msgspec.ValidationError:
        return None
