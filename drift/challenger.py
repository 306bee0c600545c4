"""Did retraining help? The candidate's error on what really happened, against its predecessor's.

Decides the measure: the share of wrong outputs, or the mean absolute error where output and label
are numbers. Decides that only errors on the same rows are compared: on the newest window that was
judged for the candidate, or on those that opened the case, where both versions predicted them; it
helped when the error fell by at least a twentieth. Else both errors are told, as not comparable,
and the case closes unproven. What is not enough to tell (too few labels) waits for the next window.
"""

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from audit.access import Access
from audit.clock import Clock
from audit.roles import Principal
from audit.store import Store
from drift import steps
from drift.alerts import SCHEDULER
from drift.cases import Case, Span
from drift.dataset import Labelled
from drift.hearing import Hearing
from drift.labels import Window, labelled, merged
from drift.policy import Policy
from drift.projection import retraining
from drift.senders import Senders
from drift.verdicts import Verdict, newest

BETTER = 0.95
"""A candidate helped where its error is at most this share of its predecessor's."""


HELPED = "helped"
NOT_HELPED = "did not help"
OTHER_WINDOWS = "not comparable: different windows"
OTHER_ROWS = "not comparable: different rows"
_OUTCOMES = {HELPED: "retraining helped", NOT_HELPED: "retraining did not help"}
_stable = msgspec.json.Encoder(order="deterministic").encode


class Measure(Struct, frozen=True):
    """The error of one version on labelled rows; what follows is counted by `drift.hearing` and
    `drift.senders`."""

    version: str
    error: float
    rows: int
    windows: tuple[Span, ...]
    not_used: dict[str, dict[str, int]] = {}
    contradicted: int = 0
    predictions: dict[str, Any] = {}


class _Measured(Struct, frozen=True):
    """A measure and the fingerprint of its rows: equal for equal inputs and labels in any order."""

    measure: Measure
    rows: int


class Challenger:
    """Judges candidates and closes their cases."""

    def __init__(
        self,
        store: Store,
        access: Access,
        principal: Principal,
        clock: Clock,
        close: Callable[[Case, str, str], None],
    ) -> None:
        self._store = store
        self._access = access
        self._principal = principal
        self._clock = clock
        self._close = close

    def consider(self, policy: Policy) -> None:
        """Judge the candidate of the model's open case, if a new window of it tells enough."""
        case = self._open_case(policy.model)
        if case is not None and case.state == "judged":
            self._conclude(case)  # a scheduler ended between the two steps
        if case is None or case.state != "candidate":
            return
        for verdict in newest(self._store.documents, policy.model):
            if verdict.model.version == case.candidate and verdict.segment == "all":
                self._judge(policy, case, verdict)
                return

    def _judge(self, policy: Policy, case: Case, verdict: Verdict) -> None:
        numeric = any(rule.role == "output" and rule.kind == "numeric" for rule in policy.columns)
        opening = tuple(merged(case.windows))
        latest = (verdict.window,)

        def measured(version: str, windows: tuple[Span, ...]) -> _Measured | None:
            heard, senders = Hearing.under(policy), Senders.under(policy)
            found = self._measure(case, version, windows, numeric, heard, senders)
            enough = found is not None and found.measure.rows >= policy.minimum_rows
            return found if enough else None

        after = measured(case.candidate, latest)
        if after is None:
            return
        before = measured(case.version, opening)
        shared: list[tuple[_Measured | None, _Measured | None]] = [
            (measured(case.version, latest), after)
        ]
        if opening != latest:
            shared.append((before, measured(case.candidate, opening)))
        pairs = [(old, new) for old, new in shared if old is not None and new is not None]
        same = [(old, new) for old, new in pairs if old.rows == new.rows]
        if same or pairs:
            before, after = (same or pairs)[0]
        if before is None:
            return
        facts = {
            "metric": "mean absolute error" if numeric else "share of wrong outputs",
            "champion": msgspec.to_builtins(before.measure),
            "challenger": msgspec.to_builtins(after.measure),
            "conclusion": _concluded(before, after),
        }
        judged = steps.take(
            self._store,
            case.id,
            "ChallengerJudged",
            SCHEDULER,
            "",
            facts={"verdict": facts},
            evidence=(steps.evidence_of(self._store, verdict.index),),
            clock=self._clock,
        )
        self._conclude(judged)

    def _conclude(self, case: Case) -> None:
        found = case.verdict
        # A verdict without a conclusion is of the time when other windows were still compared.
        conclusion = found.get("conclusion", OTHER_WINDOWS)
        before, after = found["champion"], found["challenger"]
        reason = (
            f"{found['metric']}: {before['error']:.4g} of version {before['version']}"
            f" on {before['rows']} rows, {after['error']:.4g} of version {after['version']}"
            f" on {after['rows']} rows"
        )
        if conclusion in _OUTCOMES:
            self._close(case, _OUTCOMES[conclusion], f"{reason}, the same ones")
        else:
            self._close(case, "unproven", f"{conclusion}; {reason}")

    def _measure(
        self,
        case: Case,
        version: str,
        windows: Sequence[Span],
        numeric: bool,
        hearing: Hearing,
        senders: Senders,
    ) -> _Measured | None:
        wrong, rows, fingerprint = 0.0, 0, 0
        for span in windows:
            window = Window(case.model, version, span, case.id)
            for row in labelled(
                self._store.reader,
                self._access,
                self._principal,
                "judge_candidate",
                window,
                hearing,
                senders,
            ):
                error = _error(row.prediction.get("output"), row.label, numeric)
                if error is not None:
                    wrong += error
                    rows += 1
                    fingerprint += _fingerprint(row)
        if not rows:
            return None
        told = {**hearing.told, "predictions": senders.told}
        measure = Measure(version, wrong / rows, rows, tuple(windows), **told)
        return _Measured(measure, fingerprint)

    def _open_case(self, model: str) -> Case | None:
        marker = retraining(self._store.documents.get("retraining", model))
        return steps.case_of(self._store, marker.open) if marker.open else None


def _concluded(before: _Measured, after: _Measured) -> str:
    old, new = before.measure, after.measure
    if old.windows != new.windows:
        return OTHER_WINDOWS
    if before.rows != after.rows:
        return OTHER_ROWS
    return HELPED if new.error <= old.error * BETTER and old.error > 0 else NOT_HELPED


def _fingerprint(row: Labelled) -> int:
    """A row as a large number; the sum over rows does not depend on their order."""
    # A row that tells no inputs is like no other: nothing shows that they were the same.
    known = row.prediction.get("inputs") or row.index
    return int.from_bytes(hashlib.sha256(_stable((known, row.label))).digest())


def _error(output: Any, label: Any, numeric: bool) -> float | None:
    if output is None:
        return None
    if not numeric:
        return float(output != label)
    if isinstance(output, int | float) and isinstance(label, int | float):
        return abs(output - label)
    return None
