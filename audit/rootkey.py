"""The root key: wraps the keys of a store and stays outside its database.

Decides how a root key is found (a file of mode 0600, or the environment) and how it wraps:
AES-256-GCM, nonce(12) ‖ ciphertext ‖ tag, with the caller's associated data. Hides the key: a
caller can wrap and unwrap, not read it, so that a KMS or an HSM can stand in its place.
"""

import os
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Protocol

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
    """A root key held in this process: 32 bytes from a file or the environment."""

    def __init__(self, secret: bytes, random: Random) -> None:
        if len(secret) != 32:
            raise NoRootKey("a root key is 32 bytes; this one is not")
        self._cipher = AESGCM(secret)
        self._random = random
        self._id = sha256(b"modelwitness root key\n" + secret).hexdigest()[:16]

    @property
    def id(self) -> str:
        return self._id

    def wrap(self, key: bytes, associated: bytes) -> bytes:
        nonce = self._random(12)
        return nonce + self._cipher.encrypt(nonce, key, associated)

    def unwrap(self, wrapped: bytes, associated: bytes) -> bytes:
        try:
            return self._cipher.decrypt(wrapped[:12], wrapped[12:], associated)
        except (InvalidTag, ValueError) as error:
            raise Tampered(f"a key does not open under root key {self._id}") from error


def from_environment(text: str, random: Random) -> LocalRootKey:
    """Return the root key that a base64 text holds; raises `NoRootKey`."""
    try:
        return LocalRootKey(a2b_base64(text.strip().encode(), strict_mode=True), random)
    except (Base64Error, ValueError) as error:
        raise NoRootKey("MODELWITNESS_ROOT_KEY is not base64 of 32 bytes") from error


def from_file(path: Path, random: Random, *, create: bool) -> LocalRootKey:
    """Return the root key in `path`; makes one of mode 0600 if told so and there is none.

    Raises `NoRootKey` where the file is missing, malformed, or readable by group or others.
    """
    return LocalRootKey(secret_file(path, random, create=create), random)


def secret_file(path: Path, random: Random, *, create: bool) -> bytes:
    """Return the 32 bytes kept as hex in a file of mode 0600; raises `NoRootKey`."""
    if create and not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = path.with_name(f".{path.name}.{random(8).hex()}")
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(random(32).hex() + "\n")
            file.flush()
            os.fsync(fd)
        try:
            os.link(draft, path)  # fails if another process was first: then its key counts
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    try:
        if path.stat().st_mode & 0o077:
            raise NoRootKey(f"{path} is open to others than its owner: chmod 600 it")
        return bytes.fromhex(path.read_text().strip())
    except FileNotFoundError:
        raise NoRootKey(f"there is no key file {path}") from None
    except ValueError:
        raise NoRootKey(f"{path} does not hold a key in hex") from None
