"""Whose word counts about a prediction, and which of several.

Anybody may say anything of anybody's prediction, and all of it stands on the ledger. Decides that a
label is taken from the prediction's own integration and from those that the policy of its model
lists, so that no sender can spoil what another's model learns from; that the truth observed (an
outcome) goes before a person's correction; that of several the newest by event time stands. What
is not used is counted, by who said it; so is what the newest contradicts.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
from msgspec import Struct

from audit.reader import Opened
from drift.policy import Policy

UNLISTED = "source not listed"
"""Why a statement is not used: neither the prediction's own integration nor named by the policy."""


@dataclass(slots=True)
class Hearing:
    """Whose statements label predictions, and what came of those that did not.

    `unlisted` counts statements by the integration that made them; `contradicted` those of a listed
    source which said otherwise than the newest one of their kind.
    """

    listed: frozenset[str] = frozenset()
    unlisted: Counter[str] = field(default_factory=Counter)
    contradicted: int = 0

    @classmethod
    def under(cls, policy: Policy) -> "Hearing":
        """A hearing by this policy."""
        return cls(frozenset(policy.labels_from))

    @property
    def told(self) -> dict[str, Any]:
        """The counts as manifests and verdicts show them."""
        not_used = {UNLISTED: dict(sorted(self.unlisted.items()))} if self.unlisted else {}
        return {"not_used": not_used, "contradicted": self.contradicted}

    def label(self, own: str, said: Iterable[Opened]) -> tuple[Any, str, int] | None:
        """The label of a prediction of integration `own`, its source and its entry, or None."""
        heard: dict[str, list[tuple[int, int, Any]]] = {}
        for each in said:
            found = None if each.erased else _statement(each)
            if found is None:
                continue
            leaf, (source, value) = each.leaf, found
            if leaf.integration == own or leaf.integration in self.listed:
                heard.setdefault(source, []).append((leaf.event_us, leaf.index, value))
            else:
                self.unlisted[leaf.integration] += 1
        for statements in heard.values():
            _, _, newest = max(statements, key=lambda each: each[:2])
            self.contradicted += sum(not _same(value, newest) for _, _, value in statements)
        for source in ("outcome", "correction"):
            if source in heard:
                _, index, value = max(heard[source], key=lambda each: each[:2])
                return value, source, index
        return None


class _Said(Struct, frozen=True):
    """What outcomes and oversight say about a prediction."""

    outcome: Any = None
    action: str = ""
    final_output: Any = None


_decode_said = msgspec.json.Decoder(_Said).decode


_decode_said = msgspec.json.Decoder(_Said).decode


def _statement(each: Opened) -> tuple[str, Any] | None:
    """What an entry says of the label: its kind and the value, None where it says nothing."""
    leaf = each.leaf
    if leaf.type == "OutcomeObserved":
        source, value = "outcome", _decode_said(each.body).outcome
    elif leaf.type == "OversightRecorded" and leaf.status in {"correct", "override"}:
        source, value = "correction", _decode_said(each.body).final_output
    else:
        return None
    return None if value is None else (source, value)


def _same(one: Any, other: Any) -> bool:
    """1 and 1.0 are one label, 1 and true are two."""
    return isinstance(one, bool) is isinstance(other, bool) and bool(one == other)
