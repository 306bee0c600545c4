"""Secrets behind the references of a declaration (`audit.references`), kept while many ask.

What was read is kept for a second, so that a flood of strangers reads no file for each request,
and a secret that was put in place of another is in force at once for people.
"""

from collections.abc import Mapping, Sequence
from typing import Final

from audit.clock import Clock
from audit.errors import Busy
from audit.references import resolve

_KEPT_US: Final = 1_000_000
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
        secret = resolve(reference, self._environment)
        self._kept[reference] = secret, now
        return secret
