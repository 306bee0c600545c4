"""The keys of a store, in memory.

Decides the hierarchy: the root key (outside the database) wraps *store keys* and the *index
secret*; a store key wraps *subject keys*; a subject key wraps the secret of each of its subject's
records. Handle 0 is the ledger's own key for the system's events. Caches unwrapped keys until the
head's `key_epoch` says that some were rotated or destroyed. Blind-index and idempotency keys are
derived from the index secret by HKDF-SHA256, one per purpose.
"""

import hmac
import unicodedata
from collections import OrderedDict
from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from sqlalchemy import Connection, Row, insert, select

from audit.errors import NotFound, Tampered
from audit.rootkey import Random, RootKey
from audit.seal import SubjectKey
from audit.tables import key_ring

LEDGER_HANDLE = 0
PREDICTION_FIELD, REFERENCE_FIELD = 1, 2
"""Fields of the blind index."""
_CACHED_SUBJECTS = 65_536
_DRAWN = 8_192

SubjectRow = tuple[int, bytes | None, int, int, bytes]
"""A row of subject_key: handle, tag, version, store_version, wrapped."""


class IndexKeys:
    """Keyed hashes that find without revealing: HMAC-SHA256 and BLAKE2b (RFC 7693), 16 bytes."""

    def __init__(self, secret: bytes, version: int) -> None:
        self.version = version
        # Keyed once and copied: hmac.digest gives up Python's lock for every tag of a group.
        self._subject, self._reference, self._prediction = (
            hmac.new(_purpose(secret, name), digestmod="sha256")
            for name in ("subject", "reference", "prediction")
        )
        self._once = _purpose(secret, "idempotency")

    def subject(self, scheme: str, id: str) -> bytes:
        return _tag(self._subject, scheme, unicodedata.normalize("NFKC", id))

    def reference(self, name: str, value: str) -> bytes:
        return _tag(self._reference, name, unicodedata.normalize("NFKC", value))

    def prediction(self, integration: str, id: str) -> bytes:
        return _tag(self._prediction, integration, id)

    def once(self, integration: str, type: str, id: str) -> bytes:
        """Key that two deliveries of one event share."""
        text = f"{integration}\n{type}\n{id}".encode()
        return blake2b(text, key=self._once, digest_size=16, person=b"key").digest()

    def content(self, body: bytes) -> bytes:
        """Hash that tells the same content from other content."""
        return blake2b(body, key=self._once, digest_size=16, person=b"content").digest()


class Keys:
    """The key ring of one store. Not safe for use by two threads at once; give each its own."""

    def __init__(self, root: RootKey, log: str, random: Random) -> None:
        self._root = root
        self._log = log
        self._random = random
        self._epoch = -1
        self._store: dict[int, AESGCM] = {}
        self._store_version = 0
        self._by_handle: OrderedDict[int, SubjectKey] = OrderedDict()
        self._by_tag: OrderedDict[bytes, int] = OrderedDict()
        self._index: IndexKeys | None = None
        self._drawn, self._used = b"", 0

    def refresh(self, connection: Connection, epoch: int) -> None:
        """Make the cache as new as `epoch`; cheap when it already is."""
        if epoch == self._epoch:
            return
        self._by_handle.clear()
        self._by_tag.clear()
        # A key of the ring never changes, only its wrapping: those held need no root key again.
        held, self._store = self._store, {}
        for row in connection.execute(select(key_ring).order_by(key_ring.c.version)):
            if row.kind == "store":
                self._store[row.version] = held.get(row.version) or AESGCM(self._unwrap_ring(row))
                self._store_version = row.version
            elif row.kind == "index" and (self._index is None or self._index.version < row.version):
                self._index = IndexKeys(self._unwrap_ring(row), row.version)
        if not self._store or self._index is None:
            raise NotFound("the store has no keys: run modelwitness migrate")
        self._epoch = epoch

    @property
    def index(self) -> IndexKeys:
        """The keys of the blind index; there are none before `refresh`."""
        if self._index is None:
            raise NotFound("the keys of the store were not read yet")
        return self._index

    def _unwrap_ring(self, row: Row[Any]) -> bytes:
        return self._root.unwrap(row.wrapped, ring_data(self._log, row.kind, row.version))

    def forget(self) -> None:
        """Drop every cached key, those of rows that never came to be committed included."""
        self._epoch = -1

    def create(self, handle: int, tag: bytes | None) -> tuple[SubjectKey, SubjectRow]:
        """Return a new subject key, cached, and the row that must be inserted with it."""
        secret = self._draw(32)
        key = SubjectKey(handle, 1, secret)
        self._remember(tag, key)
        return key, (handle, tag, 1, self._store_version, self.wrap_subject(secret, handle, 1))

    def wrap_subject(self, secret: bytes, handle: int, version: int) -> bytes:
        """Return a subject key wrapped by the newest store key."""
        nonce = self._draw(12)
        associated = _subject_data(self._log, handle, version)
        return nonce + self._store[self._store_version].encrypt(nonce, secret, associated)

    def _draw(self, count: int) -> bytes:
        """Return random bytes, each once.

        Drawn many at a time: asking the system gives up Python's lock, which a group with as many
        new subjects as events would queue for at each of them.
        """
        if self._used + count > len(self._drawn):
            self._drawn, self._used = self._random(_DRAWN), 0
        self._used += count
        return self._drawn[self._used - count : self._used]

    def unwrap_subject(
        self, handle: int, version: int, store_version: int, wrapped: bytes
    ) -> bytes:
        """Return the 32 bytes of a subject key; raises `Tampered`."""
        associated = _subject_data(self._log, handle, version)
        try:
            return self._store[store_version].decrypt(wrapped[:12], wrapped[12:], associated)
        except (InvalidTag, ValueError, KeyError) as error:
            raise Tampered("a subject key does not open under its store key") from error

    @property
    def store_version(self) -> int:
        """The newest store key's version."""
        return self._store_version

    def cached_tag(self, tag: bytes) -> SubjectKey | None:
        """Return the cached key of a subject, if any."""
        handle = self._by_tag.get(tag)
        return None if handle is None else self._by_handle.get(handle)

    def cached(self, handle: int) -> SubjectKey | None:
        """Return the cached key of a handle, if any."""
        return self._by_handle.get(handle)

    def load(self, rows: Iterable[SubjectRow]) -> list[SubjectKey]:
        """Unwrap rows of subject_key, cache them and return them in the same order."""
        keys = []
        for handle, tag, version, store_version, wrapped in rows:
            secret = self.unwrap_subject(handle, version, store_version, bytes(wrapped))
            key = SubjectKey(handle, version, secret)
            self._remember(None if tag is None else bytes(tag), key)
            keys.append(key)
        return keys

    def _remember(self, tag: bytes | None, key: SubjectKey) -> None:
        self._by_handle[key.handle] = key
        if tag is not None:
            self._by_tag[tag] = key.handle
        while len(self._by_handle) > _CACHED_SUBJECTS:
            self._by_handle.popitem(last=False)
        while len(self._by_tag) > _CACHED_SUBJECTS:
            self._by_tag.popitem(last=False)

    def seal_state(self, plain: bytes, kind: str, key: str) -> bytes:
        """Return a projection's or work item's body under the store key."""
        nonce = self._random(12)
        version = self._store_version
        associated = _state_data(self._log, kind, key, version)
        sealed = self._store[version].encrypt(nonce, plain, associated)
        return version.to_bytes(4) + nonce + sealed

    def open_state(self, sealed: bytes, kind: str, key: str) -> bytes:
        """Return what `seal_state` sealed; raises `Tampered`."""
        version = int.from_bytes(sealed[:4])
        try:
            return self._store[version].decrypt(
                sealed[4:16], sealed[16:], _state_data(self._log, kind, key, version)
            )
        except (InvalidTag, ValueError, KeyError) as error:
            raise Tampered(f"a stored {kind} does not open under its store key") from error


def create_ring(connection: Connection, root: RootKey, log: str, random: Random) -> None:
    """Make the first store key and the index secret of a new store."""
    for kind in ("store", "index"):
        add_ring_key(connection, root, log, kind, 1, random(32))


def add_ring_key(
    connection: Connection, root: RootKey, log: str, kind: str, version: int, secret: bytes
) -> None:
    """Add one wrapped key to the ring."""
    connection.execute(
        insert(key_ring).values(
            kind=kind,
            version=version,
            root_id=root.id,
            wrapped=root.wrap(secret, ring_data(log, kind, version)),
        )
    )


def ring_data(log: str, kind: str, version: int) -> bytes:
    """Associated data of a key in the ring."""
    return f"{log}|ring|{kind}|{version}".encode()


def _subject_data(log: str, handle: int, version: int) -> bytes:
    return f"{log}|subject|{handle}|{version}".encode()


def _state_data(log: str, kind: str, key: str, version: int) -> bytes:
    return f"{log}|state|{kind}|{version}|{key}".encode()


def _purpose(secret: bytes, name: str) -> bytes:
    return HKDF(SHA256(), 32, b"", f"modelwitness index {name}".encode()).derive(secret)


def _tag(keyed: hmac.HMAC, name: str, value: str) -> bytes:
    first, second = name.encode(), value.encode()
    message = len(first).to_bytes(4) + first + len(second).to_bytes(4) + second
    mac = keyed.copy()
    mac.update(message)
    return mac.digest()[:16]
