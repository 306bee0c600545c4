"""Whose word counts about where a model version comes from.

Any integration may log a VersionReleased for any model, and all of them stand on the ledger.
Decides that one is believed when it comes from the service itself, from a retrainer, from an
integration that has predicted with that model, or from one that the model's policy lists under
`releases`. What others say is told as unverified and never hides what is believed.
"""

from collections.abc import Callable, Collection, Iterable, Mapping

import msgspec

from audit.catalog import Released
from audit.events import SYSTEM
from audit.governed import Policy

UNVERIFIED = "unverified source"

Believed = Callable[[Released], bool]


def believed(
    senders: Collection[tuple[str, str]],
    retrainers: Collection[str],
    policies: Mapping[str, Policy],
) -> Believed:
    """Whether a release counts; `senders` are (model, integration) of all predictions."""

    def counts(found: Released) -> bool:
        policy = policies.get(found.model)
        return (
            found.integration == SYSTEM
            or found.integration in retrainers
            or (found.model, found.integration) in senders
            or (policy is not None and found.integration in policy.releases)
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
