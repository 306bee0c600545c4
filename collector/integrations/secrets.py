"""Secrets by reference: `env:NAME` and `file:PATH`, resolved by the process that uses them.

Decides what a reference looks like and that a file's final line break is no part of the secret.
What was read is kept for a second, so that a flood of strangers reads no file for each request,
and a secret that was put in place of another is in force at once for people.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from audit.clock import Clock
from audit.errors import Busy

REFERENCE: Final = re.compile(r"env:[A-Za-z_][A-Za-z0-9_]{0,127}|file:[^\s]{1,400}")
REMEDY: Final = 'write "env:NAME" or "file:PATH"; the value itself never stands in a file'
_KEPT_US: Final = 1_000_000
_LONGEST: Final = 16 * 1024
_MOST: Final = 4_096


class Secrets:
    """Resolves references. Safe for use by several threads."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._environment = environment
        self._clock = clock
        self._kept: dict[str, tuple[bytes, int]] = {}

    def all_of(self, references: Sequence[str]) -> tuple[bytes, ...]:
        """Return the secrets behind references, without those that are not there.

        Raises `Busy` where none of them is: the sender's secret may be right.
        """
        found = tuple(each for each in map(self._one, references) if each)
        if references and not found:
            raise Busy("the secrets of this integration cannot be read here", retry_after=30)
        return found

    def _one(self, reference: str) -> bytes:
        """The secret, b"" where there is none."""
        now = self._clock()
        known = self._kept.get(reference)
        if known is not None and known[1] <= now < known[1] + _KEPT_US:
            return known[0]
        if len(self._kept) >= _MOST:
            self._kept.clear()
        secret = self._read(reference)
        self._kept[reference] = secret, now
        return secret

    def _read(self, reference: str) -> bytes:
        kind, _, name = reference.partition(":")
        if kind == "env":
            return self._environment.get(name, "").encode()
        try:
            with Path(name).open("rb") as file:
                return file.read(_LONGEST).removesuffix(b"\n").removesuffix(b"\r")
        except OSError:
            return b""
