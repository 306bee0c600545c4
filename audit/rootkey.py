"""The root key: wraps the keys of a store and stays outside its database.

Decides how a root key is found (a file of mode 0600, or the environment) and how it wraps:
AES-256-GCM, nonce(12) ‖ ciphertext ‖ tag, with the caller's associated data. Hides the key: a
caller can wrap and unwrap, not read it, so that a KMS or an HSM can stand in its place.
"""

import os
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple, Protocol, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from audit.errors import AuditError, Tampered

Random = Callable[[int], bytes]
"""Returns that many unpredictable bytes."""


class NoRootKey(AuditError):
    """The root key is missing, malformed or readable by others."""


class RootKey(Protocol):
    """What the store needs of a root key, wherever it lives."""

    @property
    def id(self) -> str:
        """A name of this key version that reveals nothing of it."""

    def wrap(self, key: bytes, associated: bytes) -> bytes:
        """Return `key` wrapped."""

    def unwrap(self, wrapped: bytes, associated: bytes) -> bytes:
        """Return the key; raises `Tampered` if this root key did not wrap it so."""


class LocalRootKey:
    """A root key held in this process: 32 bytes from a file or the environment.

    While one is replaced there are two. Whichever opened something last is the one that wraps.
    """

    def __init__(self, secrets: Callable[[], Iterable[bytes]], random: Random) -> None:
        """`secrets` returns the keys there are now, the current one first; asked again later."""
        self._secrets = secrets
        self._random = random
        self._used = _Used.of(next(iter(secrets())))

    @property
    def id(self) -> str:
        return self._used.id

    def wrap(self, key: bytes, associated: bytes) -> bytes:
        nonce = self._random(12)
        return nonce + self._used.cipher.encrypt(nonce, key, associated)

    def unwrap(self, wrapped: bytes, associated: bytes) -> bytes:
        plain = self._used.unwrap(wrapped, associated)
        if plain is None:
            for used in map(_Used.of, self._secrets()):
                plain = used.unwrap(wrapped, associated)
                if plain is not None:
                    self._used = used
                    break
        if plain is None:
            raise Tampered(
                f"a key does not open under root key {self.id}: if that was replaced,"
                " start again with the new one"
            )
        return plain


class _Used(NamedTuple):
    id: str
    cipher: AESGCM

    @classmethod
    def of(cls, secret: bytes) -> Self:
        if len(secret) != 32:
            raise NoRootKey("a root key is 32 bytes; this one is not")
        id = sha256(b"modelwitness root key\n" + secret).hexdigest()[:16]
        return cls(id, AESGCM(secret))

    def unwrap(self, wrapped: bytes, associated: bytes) -> bytes | None:
        try:
            return self.cipher.decrypt(wrapped[:12], wrapped[12:], associated)
        except (InvalidTag, ValueError):
            return None


def from_environment(texts: Sequence[str], random: Random) -> LocalRootKey:
    """Return the root key that the first base64 text holds, the others being its replacements.

    Raises `NoRootKey`.
    """
    try:
        secrets = [a2b_base64(text.strip().encode(), strict_mode=True) for text in texts]
    except (Base64Error, ValueError) as error:
        raise NoRootKey("a root key in the environment is not base64 of 32 bytes") from error
    return LocalRootKey(lambda: secrets, random)


def from_file(path: Path, random: Random, *, create: bool) -> LocalRootKey:
    """Return the root key in `path`; makes one of mode 0600 if told so and there is none.

    Raises `NoRootKey` where the file is missing, malformed, or readable by group or others.
    """

    def secrets() -> Iterator[bytes]:
        # The replacement is read first: it takes the place of the key by renaming, so whoever
        # misses it here finds it there.
        path_next = replacement_path(path)
        following = [secret_file(path_next, random, create=False)] if path_next.exists() else []
        yield secret_file(path, random, create=create)
        yield from following

    return LocalRootKey(secrets, random)


def replacement_path(path: Path) -> Path:
    """Where the replacement of a root key waits until everything is wrapped under it."""
    return path.with_name(path.name + ".next")


def replacement(path: Path, random: Random) -> LocalRootKey:
    """Return the key that is to replace the one in `path`, made if there is none; durable."""
    return from_file(replacement_path(path), random, create=True)


def adopt_replacement(path: Path) -> None:
    """Put the replacement in the place of the key, in one step."""
    try:
        replacement_path(path).replace(path)
    except FileNotFoundError:
        return  # another process was faster
    sync_directory(path.parent)


def sync_directory(directory: Path) -> None:
    """Make names in `directory` survive a power cut."""
    fd = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def secret_file(path: Path, random: Random, *, create: bool) -> bytes:
    """Return the 32 bytes kept as hex in a file of mode 0600; raises `NoRootKey`."""
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft, secret = path.with_name(f".{path.name}.{random(8).hex()}"), random(32)
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(secret.hex() + "\n")
            file.flush()
            os.fsync(fd)
        try:
            os.link(draft, path)  # fails if another process was first: then its key counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        sync_directory(path.parent)
    try:
        if path.stat().st_mode & 0o077:
            raise NoRootKey(f"{path} is open to others than its owner: chmod 600 it")
        return bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        raise NoRootKey(f"there is no key file {path}") from None
    except ValueError:
        raise NoRootKey(f"{path} does not hold a key in hex") from None
