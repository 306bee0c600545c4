"""Secrets behind the references of a declaration (`audit.references`), kept while many ask.

What was read is kept for a second, so that a flood of strangers reads no file for each request,
and a secret that was put in place of another is in force at once for people.

A secret that was here and cannot be read now comes again by itself: nobody is refused for it, the
sender comes again. One that never was is a mistake that only the operator can mend, who is told
of it in the log; meanwhile whoever calls is a stranger.
"""

import logging
from collections.abc import Mapping, Sequence
from typing import Final

from audit.clock import Clock
from audit.errors import Busy
from audit.references import resolve
from collector.errors import Unset

_KEPT_US: Final = 1_000_000
_TOLD_US: Final = 60_000_000
"""How often the log tells of the same secret."""
_MOST: Final = 4_096


class Secrets:
    """Resolves references. Safe for use by several threads."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._environment = environment
        self._clock = clock
        self._kept: dict[str, tuple[bytes, int]] = {}
        self._seen: set[str] = set()
        self._told: dict[str, int] = {}

    def all_of(self, references: Sequence[str]) -> tuple[bytes, ...]:
        """Return the secrets behind references, without those that are not there.

        Raises `Busy` where none of them is but was before: the sender's secret may be right;
        its kind `Unset` where none ever was in this process.
        """
        found = tuple(each for each in map(self._one, references) if each)
        if not references or found:
            return found
        for each in references:
            self._tell(each)
        if self._seen.isdisjoint(references):
            raise Unset
        raise Busy("the secrets of this integration cannot be read here", retry_after=30)

    def _tell(self, reference: str) -> None:
        """Log that a reference leads to nothing, once a minute."""
        now = self._clock()
        told = self._told.get(reference)
        if told is not None and told <= now < told + _TOLD_US:
            return
        self._told[reference] = now
        logging.getLogger("modelwitness").warning(
            "secret %s of an integration is not set or empty: its senders are refused", reference
        )

    def _one(self, reference: str) -> bytes:
        """The secret, b"" where there is none."""
        now = self._clock()
        known = self._kept.get(reference)
        if known is not None and known[1] <= now < known[1] + _KEPT_US:
            return known[0]
        if len(self._kept) >= _MOST:
            self._kept.clear()
        secret = resolve(reference, self._environment)
        if secret:
            self._seen.add(reference)
        self._kept[reference] = secret, now
        return secret
