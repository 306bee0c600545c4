"""The verdict of one window as drift's own parts read it back from DriftMeasured.

Decides which fields the alerts, cases and pages rely on. Hides the report: it stays in the event.
"""

import hashlib
from collections.abc import Iterator
from typing import Literal

import msgspec
from msgspec import Struct

from audit.documents import Documents
from drift.cases import Named, PolicyRef, Span

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
SPARE_WINDOWS = 2
"""Judged windows beyond N that a confirmation over N looks at: whether an entry is calm again."""
MOST_WINDOWS = 50
"""Windows looked at for them, when many could not be judged."""
_encode = msgspec.json.Encoder(order="deterministic").encode


class Confirmation(Struct, frozen=True):
    """M of N: `seen` of the last `of` windows shifted, `needed` of them confirm."""

    needed: int = 1
    of: int = 1
    seen: int = 0
    confirmed: bool = False
    entry: Literal["open", "clear"] = "clear"
    since: str | None = None


class Verdict(Struct, frozen=True):
    """A DriftMeasured without its columns and report; `index` is its place in the ledger."""

    id: str
    time: str
    model: Named
    policy: PolicyRef
    segment: str
    window: Span
    verdict: Literal["ok", "shift", "fault", "insufficient"]
    reason: str
    drifted: tuple[str, ...] = ()
    faulty: tuple[str, ...] = ()
    confirmation: Confirmation = Confirmation()
    index: int = -1

    @property
    def incident(self) -> str:
        """The window that began what this verdict is part of: its case is one case."""
        return self.confirmation.since or self.window.start


_decode_verdict = msgspec.json.Decoder(Verdict).decode


class Progress(Struct, frozen=True):
    """How far a model version has been judged: the last window, in RFC 3339."""

    start: str
    end: str
    revision: str


def summary(body: bytes, index: int) -> bytes:
    """Return the body of a DriftMeasured without its report, with its index: canonical JSON."""
    fields = _fields.decode(body)
    fields.pop("report", None)
    return _encode({**fields, "index": index})


def verdict_key(verdict: Verdict) -> str:
    """Return the key of a summary: a model's verdicts lie together, in order of window."""
    return f"{window_prefix(verdict.model.name, verdict.window.start)}" + "/".join(
        (verdict.model.version, segment_key(verdict.segment))
    )


def segment_key(segment: str) -> str:
    """Return the segment as it stands in keys: itself where it is short and printable.

    A segment's name holds a value that a producer sent: any text of any length.
    """
    if len(segment) <= 128 and segment.isprintable():
        return segment
    return f"#{hashlib.sha256(segment.encode(errors='surrogatepass')).hexdigest()[:32]}"


def window_prefix(model: str, start: str) -> str:
    return f"{model}/{start}/"


def read(summary: bytes) -> Verdict:
    """Return the verdict in a stored summary or a DriftMeasured body."""
    return _decode_verdict(summary)


def newest(documents: Documents, model: str) -> list[Verdict]:
    """Return the verdicts of the model's newest judged window: one per version and segment."""
    found: list[Verdict] = []
    for summary in _backwards(documents, model, ""):
        verdict = read(summary)
        if found and verdict.window.start != found[0].window.start:
            break
        found.append(verdict)
    return found


def history(
    documents: Documents, model: str, version: str, revision: str, before: str, of: int
) -> dict[str, list[bytes]]:
    """Return, per segment, the last summaries under one policy revision, oldest first.

    `before` is the start of the first window (RFC 3339) that is left out, with what follows it.
    They go as far back as a confirmation over `of` judged windows needs, and no further: a segment
    that none of these windows has is left out.
    """
    found: dict[str, list[bytes]] = {}
    lacking: dict[str, int] = {}
    starts: set[str] = set()
    for summary in _backwards(documents, model, f"{model}/{before}/"):
        verdict = read(summary)
        if verdict.window.start not in starts:
            enough = bool(lacking) and max(lacking.values()) <= 0
            if enough or len(starts) == MOST_WINDOWS:
                break
            starts.add(verdict.window.start)
        if verdict.model.version == version and verdict.policy.revision == revision:
            found.setdefault(verdict.segment, []).append(summary)
            counts = verdict.verdict in {"ok", "shift"}
            lacking[verdict.segment] = lacking.get(verdict.segment, of + SPARE_WINDOWS) - counts
    return {segment: summaries[::-1] for segment, summaries in found.items()}


def _backwards(documents: Documents, model: str, after: str) -> Iterator[bytes]:
    """Every summary of the model, newest window first."""
    for _, summary in documents.each("drift", f"{model}/", after=after, descending=True):
        # A model whose name continues this one with a slash shares the prefix.
        if read(summary).model.name == model:
            yield summary
