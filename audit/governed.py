"""What drift leaves behind, as the read side sees it: policies, verdicts, alerts and cases.

Decides which fields of these documents are read here. They belong to package `drift`, which
this package never imports: the two meet in documents by kind (policy, drift, drift-progress,
alert, case), and fields that are unknown here are ignored.
"""

from collections.abc import Callable
from itertools import islice
from typing import TypeVar

import msgspec

from audit.documents import Documents
from audit.events import micros, rfc3339

_PAGE = 200
T = TypeVar("T")


class Named(msgspec.Struct, frozen=True):
    """A model version."""

    name: str
    version: str


class Span(msgspec.Struct, frozen=True):
    """A window in RFC 3339, the end exclusive."""

    start: str
    end: str
    rows: int | None = None


class Verdict(msgspec.Struct, frozen=True):
    """The verdict of one window of one model version and segment; `index` is its entry."""

    model: Named
    window: Span
    verdict: str
    index: int = -1
    segment: str = "all"
    time: str = ""
    reason: str = ""
    drifted: tuple[str, ...] = ()
    faulty: tuple[str, ...] = ()


class Alert(msgspec.Struct, frozen=True):
    """An alert as it stands; `index` is the entry that raised it."""

    id: str
    model: str
    version: str
    state: str
    index: int
    kind: str = ""
    raised: str = ""
    changed: str = ""
    incident: str = ""
    segment: str = "all"
    reason: str = ""
    case: str = ""


class Step(msgspec.Struct, frozen=True):
    """One step of a case."""

    type: str
    index: int
    time: str
    actor: str = ""
    simulated: bool = False


class Case(msgspec.Struct, frozen=True):
    """A retraining case as it stands: what drifted, and the version that came of it."""

    id: str
    model: str
    version: str
    state: str
    opened: str = ""
    changed: str = ""
    candidate: str = ""
    outcome: str = ""
    windows: tuple[Span, ...] = ()
    steps: tuple[Step, ...] = ()

    @property
    def settled(self) -> bool:
        """Whether nothing more is to happen."""
        return self.state in {"rejected", "closed"}


class Policy(msgspec.Struct, frozen=True):
    """The policy in force for a model."""

    model: str
    owner: str = ""
    revision: str = ""
    index: int = -1
    releases: tuple[str, ...] = ()
    """Integrations that the policy believes about new versions."""


_decode_verdict = msgspec.json.Decoder(Verdict).decode
_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_case = msgspec.json.Decoder(Case).decode
_decode_policy = msgspec.json.Decoder(Policy).decode


class Governed:
    """Reads these documents; newest first where a number of them is asked for."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents

    def policies(self) -> dict[str, Policy]:
        """The policies in force, by model."""
        rows = self._documents.each("policy")
        return {key: _decode_policy(body) for key, body in rows}

    def retrainers(self) -> frozenset[str]:
        """The names under which tokens with the role of a retrainer send."""
        stored = self._documents.get("retrainers", "all")
        return frozenset() if stored is None else frozenset(msgspec.json.decode(stored))

    def verdicts(self, model: str, most: int = 200) -> list[Verdict]:
        """The newest verdicts on a model, by window."""
        found: list[Verdict] = []
        for _, body in self._documents.each("drift", f"{model}/", descending=True):
            verdict = _decode_verdict(body)
            # A model whose name continues this one with a slash shares the prefix.
            if verdict.model.name == model:
                found.append(verdict)
                if len(found) == most:
                    break
        return found

    def judged_models(self) -> set[str]:
        """The models on which there is a verdict; all others need not be asked about."""
        return {key.partition(" ")[0] for key, _ in self._documents.each("drift-progress")}

    def judged(self, model: str, version: str, event_us: int) -> list[Verdict]:
        """The verdicts on windows of this version that hold the moment, latest window first.

        Windows of a model are about as long as each other: beyond the first page no more are read
        once they begin twice as long before the moment as the longest of them lasts.
        """
        found = []
        longest_us = 0
        after = f"{model}/{rfc3339(event_us)}~"  # behind every window that begins by then
        rows = self._documents.each("drift", f"{model}/", after=after, descending=True)
        for read, (_, body) in enumerate(rows, 1):
            verdict = _decode_verdict(body)
            start_us, end_us = micros(verdict.window.start), micros(verdict.window.end)
            longest_us = max(longest_us, end_us - start_us)
            if event_us < end_us and (verdict.model.name, verdict.model.version) == (
                model,
                version,
            ):
                found.append(verdict)
            if read >= _PAGE and start_us + 2 * longest_us <= event_us:
                break
        return found

    def last_verdicts(self, model: str, versions: int) -> dict[str, Verdict]:
        """The last verdict on each version over all its rows, by version."""
        found: dict[str, Verdict] = {}
        for verdict in self.verdicts(model):
            if verdict.segment == "all":
                found.setdefault(verdict.model.version, verdict)
            if len(found) == versions:
                break
        return found

    def alerts(self, most: int = 1000) -> list[Alert]:
        """The newest alerts of all models."""
        return self._some("alert", _decode_alert, most)

    def cases(self, most: int = 1000) -> list[Case]:
        """The newest cases of all models."""
        return self._some("case", _decode_case, most)

    def _some(self, kind: str, decode: Callable[[bytes], T], most: int) -> list[T]:
        rows = islice(self._documents.each(kind, descending=True), most)
        return [decode(body) for _, body in rows]
