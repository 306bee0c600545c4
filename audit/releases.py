"""Whose word counts about where a model version comes from.

Any integration may log a VersionReleased for any model, and all of them stand on the ledger.
Decides that one is believed when it comes from the service itself, from a retrainer, from one that
the model's policy lists under `releases`, or, while no policy lists any, from the integration that
was the first on the ledger to predict with that model: whoever predicts with it later may be
anybody. What others say is told as unverified and never hides what is believed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from audit.catalog import Released
from audit.events import SYSTEM
from audit.governed import Policy

UNVERIFIED = "unverified source"

Believed = Callable[[Released], bool]


def believed(
    first_senders: Mapping[str, str],
    retrainers: Collection[str],
    policies: Mapping[str, Policy],
) -> Believed:
    """Whether a release counts; `first_senders` as `Counts.first_senders` gives them, by model."""

    def counts(found: Released) -> bool:
        policy = policies.get(found.model)
        listed = () if policy is None else policy.releases
        return (
            found.integration == SYSTEM
            or found.integration in retrainers
            or found.integration in (listed or [first_senders.get(found.model)])
        )

    return counts


def told(rows: Iterable[Released], counts: Believed) -> dict[tuple[str, str], list[Released]]:
    """What is told of each (model, version): first the newest release that counts, if there is
    one, with what older ones that count say beside it (a registry knows the run, a feature store
    the features); then what others said, newest first, marked unverified."""
    found: dict[tuple[str, str], list[Released]] = {}
    others: dict[tuple[str, str], list[Released]] = {}
    for row in sorted(rows, key=lambda each: each.index, reverse=True):
        key = (row.model, row.version)
        if not counts(row):
            others.setdefault(key, []).append(msgspec.structs.replace(row, unverified=True))
        elif key in found:
            newer = found[key][0]
            found[key] = [
                msgspec.structs.replace(
                    newer,
                    lineage=row.lineage | newer.lineage,
                    case=newer.case or row.case,
                    metrics=row.metrics | newer.metrics,
                )
            ]
        else:
            found[key] = [row]
    return {key: found.get(key, []) + others.get(key, []) for key in found | others}
