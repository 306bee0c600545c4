"""Whose predictions count as those of a model.

Several integrations may call one model, so all that send its predictions count until its policy
lists some under `predictions`. Decides that from then on no row of another one is in a window, a
reference, a labelled data set or an error; those are counted, by who sent them, so that nothing is
left out in silence. Where several parties send to one log, list the senders of each model: names of
models are not reserved.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from audit.reader import Opened
from drift.hearing import UNLISTED
from drift.policy import Policy


@dataclass(slots=True)
class Senders:
    """The integrations that count (all, where `listed` is empty), and how many rows were whose.

    `used` and `unlisted` count rows by integration; erased ones are in neither.
    """

    listed: frozenset[str] = frozenset()
    used: Counter[str] = field(default_factory=Counter)
    unlisted: Counter[str] = field(default_factory=Counter)

    @classmethod
    def under(cls, policy: Policy) -> "Senders":
        """The senders of this policy's model."""
        return cls(frozenset(policy.predictions_from))

    def count(self, integration: str) -> bool:
        """Whether this integration's predictions are those of the model."""
        return not self.listed or integration in self.listed

    def rows(self, predictions: Iterable[Opened]) -> Iterator[Opened]:
        """Yield the predictions that count."""
        for each in predictions:
            if each.erased:
                continue
            sender = each.leaf.integration
            if self.count(sender):
                self.used[sender] += 1
                yield each
            else:
                self.unlisted[sender] += 1

    @property
    def told(self) -> dict[str, Any]:
        """The counts as manifests and verdicts show them."""
        not_used = {UNLISTED: dict(sorted(self.unlisted.items()))} if self.unlisted else {}
        return {"used": dict(sorted(self.used.items())), "not_used": not_used}
