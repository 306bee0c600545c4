"""The declarations in force: what the operator applied last, seen by every process within a second.

Decides how old a look at them may be. All of them are read together, so that a name that nobody
declared costs no look-up and takes no other time than one that is. One that this version does not
understand is not in force, which the log says once for each time that it is applied.
"""

import logging
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
        self.strange: frozenset[str] = frozenset()
        """Names whose declarations this version does not understand, as they were read last."""

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
        strange: set[str] = set()
        for name, body in stored.items():
            try:
                found = self._known(name, body)
            except msgspec.ValidationError:
                strange.add(name)
                if self._stored.get(name) != body:
                    _tell(name)
                continue
            if found is not None:
                declared[name] = found
        self._stored, self._declared, self._read_us = stored, declared, now
        self.strange = frozenset(strange)

    def _known(self, name: str, body: bytes) -> Declared | None:
        if self._stored.get(name) == body and name not in self.strange:
            return self._declared.get(name)
        declaration = _decode_document(body).declaration
        return None if declaration is None else _decode_declared(msgspec.json.encode(declaration))


def _tell(name: str) -> None:
    logging.getLogger("modelwitness").error(
        "integration %s: this version does not understand its declaration, which is not in force;"
        " apply it again",
        name,
    )
