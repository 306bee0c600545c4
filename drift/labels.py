"""Labels: what really happened to predictions, joined to them whenever it was said.

Decides that a data set holds the columns which the policy names, the label and the entry's index,
and nothing else of a prediction, and that it tells what was not used and what was contradicted; and
what is on the ledger before it leaves: the access to each window and to what was said of its
predictions, then LabelsExported with digest, rows, query and entries, by which an erasure later
finds what was delivered. The data set is made in memory and never lies on a disk. Whose word counts
is decided in `hearing`.
"""

import hashlib
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import msgspec
from msgspec import Struct

from audit.access import Access
from audit.clock import Clock
from audit.events import SYSTEM, event_of, micros, rfc3339
from audit.reader import Opened, Reader
from audit.roles import Principal
from audit.rootkey import Random
from audit.store import Store
from drift.apply import in_force
from drift.cases import Case, Span
from drift.dataset import DataSet, Labelled
from drift.duty import LOGGED
from drift.errors import Unknown
from drift.hearing import UNLISTED, Hearing
from drift.policy import parse
from drift.senders import Senders

BATCH = 1_000


class Window(NamedTuple):
    """The predictions of one version of a model in a span, and what for they are read."""

    model: str
    version: str
    span: Span
    case: str

    @property
    def asked(self) -> dict[str, str]:
        """The window as an access tells it."""
        return {
            "type": LOGGED,
            "model": self.model,
            "version": self.version,
            "from": self.span.start,
            "to": self.span.end,
            "case": self.case,
        }


@dataclass(frozen=True, slots=True)
class Export:
    """A data set as it leaves: `digest` is "sha256:" and hex of `parquet`."""

    name: str
    parquet: bytes
    digest: str
    rows: int

    @property
    def repr_digest(self) -> str:
        """The digest as the header of RFC 9530 has it."""
        raw = bytes.fromhex(self.digest.removeprefix("sha256:"))
        return f"sha-256=:{b64encode(raw).decode()}:"


class _Known(Struct, frozen=True):
    id: str


_decode_known = msgspec.json.Decoder(_Known).decode


def labelled(
    reader: Reader,
    access: Access,
    principal: Principal,
    action: str,
    window: Window,
    hearing: Hearing,
    senders: Senders,
) -> Iterator[Labelled]:
    """Yield the labelled predictions of a window by event time.

    Those without a label are left out, and those of an integration that is none of the model's.

    On the ledger before any of it is read: the access to the window, then batch by batch that to
    the outcomes and oversight of its predictions, by index, since they lie outside the window.
    """
    asked = window.asked
    access.record(principal, action, filter=asked)

    def seen(indexes: Sequence[int]) -> None:
        if indexes:
            access.record(principal, action, indexes=indexes, filter={"about": asked})

    span = window.span
    rows = reader.window(LOGGED, window.model, window.version, micros(span.start), micros(span.end))
    counted = senders.rows(rows)
    while batch := list(islice(counted, BATCH)):
        yield from _joined(reader, batch, seen, hearing)


def _joined(
    reader: Reader,
    predictions: Sequence[Opened],
    seen: Callable[[Sequence[int]], None],
    hearing: Hearing,
) -> Iterator[Labelled]:
    about = reader.about_each(
        [(each.leaf.integration, _decode_known(each.body).id) for each in predictions]
    )
    wanted = sorted({index for indexes in about for index in indexes})
    seen(wanted)
    said = dict(zip(wanted, reader.open(wanted), strict=True))
    for prediction, indexes in zip(predictions, about, strict=True):
        own = prediction.leaf.integration
        found = hearing.label(own, (said[index] for index in indexes))
        if found is not None:
            label, source, index = found
            yield Labelled(
                prediction.leaf.index,
                prediction.leaf.event_us,
                msgspec.json.decode(prediction.body),
                label,
                source,
                index,
            )


def export(
    store: Store,
    access: Access,
    principal: Principal,
    case: Case,
    *,
    most_bytes: int,
    clock: Clock,
    random: Random,
) -> Export:
    """Return the labelled data set of a case's windows, when all of it is on the ledger.

    Raises `Unknown` where no prediction has a label yet, `TooLarge` beyond `most_bytes`.
    """
    document = in_force(store, case.model)
    if document is None:
        raise Unknown("no policy is in force for the model of the case")
    policy = parse(document.text)
    size = store.reader.size()
    table = DataSet(policy, most_bytes)
    hearing, senders = Hearing.under(policy), Senders.under(policy)
    for span in merged(case.windows):
        window = Window(case.model, case.version, span, case.id)
        rows = labelled(
            store.reader, access, principal, "labelled_export", window, hearing, senders
        )
        table.add(rows)
    if not table.rows:
        unlisted = f" ({hearing.unlisted.total()} not used: {UNLISTED})" if hearing.unlisted else ""
        raise Unknown(f"no prediction in the windows of the case has a label yet{unlisted}")
    query = {
        "windows": [msgspec.to_builtins(span) for span in merged(case.windows)],
        "columns": [rule.name for rule in policy.columns],
    }
    lineage = {
        "case": case.id,
        "model": {"name": case.model, "version": case.version},
        "policy": {"name": document.model, "revision": document.revision},
        "log": store.ledger.origin,
        "tree_size": size,
        "query": query,
        **hearing.told,
        "predictions": senders.told,
    }
    parquet = table.parquet(lineage)
    digest = f"sha256:{hashlib.sha256(parquet).hexdigest()}"
    body = {
        **lineage,
        "id": random(16).hex(),
        "time": rfc3339(clock()),
        "dataset": f"labels/{case.id}",
        "digest": digest,
        "rows": table.rows,
        "sources": table.sources,
        "entries": _ranges(table.indexes),
        "actor": principal.actor,
        "references": {"actor": principal.actor, "case": case.id},
    }
    store.ledger.append([event_of("LabelsExported", SYSTEM, body)])
    return Export(f"labels/{case.id}", parquet, digest, table.rows)


def merged(windows: Sequence[Span]) -> list[Span]:
    """Return the windows by time, those that touch or overlap made one."""
    spans: list[Span] = []
    for window in sorted(windows, key=lambda each: micros(each.start)):
        if spans and micros(window.start) <= micros(spans[-1].end):
            end = max(spans[-1].end, window.end, key=micros)
            spans[-1] = Span(spans[-1].start, end)
        else:
            spans.append(window)
    return spans


def _ranges(indexes: Sequence[int]) -> list[list[int]]:
    """Sorted entry numbers as [first, last] pairs."""
    ranges: list[list[int]] = []
    for index in sorted(indexes):
        if ranges and index == ranges[-1][1] + 1:
            ranges[-1][1] = index
        else:
            ranges.append([index, index])
    return ranges
