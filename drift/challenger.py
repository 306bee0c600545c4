"""Did retraining help? The candidate's error on what really happened, against its predecessor's.

Decides the measure: the share of wrong outputs, or the mean absolute error where output and label
are numbers; the predecessor on the windows that opened the case, the candidate on the newest window
that was judged. Decides that it helped when the error fell by at least a twentieth. What is not
enough to tell (too few labels) waits for the next window. The two are measured on different rows,
and the verdict says which.
"""

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from audit.clock import Clock
from audit.roles import Principal
from audit.store import Store
from drift import steps
from drift.alerts import SCHEDULER
from drift.cases import Case, Span
from drift.labels import Recorder, Window, labelled, merged
from drift.policy import Policy
from drift.projection import retraining
from drift.verdicts import Verdict, newest

BETTER = 0.95
"""A candidate helped where its error is at most this share of its predecessor's."""


class Measure(Struct, frozen=True):
    """The error of one version on labelled rows."""

    version: str
    error: float
    rows: int
    windows: tuple[Span, ...]


class Challenger:
    """Judges candidates and closes their cases."""

    def __init__(
        self,
        store: Store,
        access: Recorder,
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
        after = self._measure(case, case.candidate, (verdict.window,), numeric)
        if after is None or after.rows < policy.minimum_rows:
            return
        before = self._measure(case, case.version, tuple(merged(case.windows)), numeric)
        if before is None or before.rows < policy.minimum_rows:
            return
        facts = {
            "metric": "mean absolute error" if numeric else "share of wrong outputs",
            "champion": msgspec.to_builtins(before),
            "challenger": msgspec.to_builtins(after),
            "helped": after.error <= before.error * BETTER and before.error > 0,
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
        helped = bool(found["helped"])
        reason = (
            f"{found['metric']}: {found['champion']['error']:.4g} before,"
            f" {found['challenger']['error']:.4g} after"
        )
        self._close(case, "retraining helped" if helped else "retraining did not help", reason)

    def _measure(
        self, case: Case, version: str, windows: Sequence[Span], numeric: bool
    ) -> Measure | None:
        wrong, rows = 0.0, 0
        for span in windows:
            window = Window(case.model, version, span, case.id)
            for row in labelled(
                self._store.reader, self._access, self._principal, "judge_candidate", window
            ):
                error = _error(row.prediction.get("output"), row.label, numeric)
                if error is not None:
                    wrong += error
                    rows += 1
        return Measure(version, wrong / rows, rows, tuple(windows)) if rows else None

    def _open_case(self, model: str) -> Case | None:
        marker = retraining(self._store.documents.get("retraining", model))
        return steps.case_of(self._store, marker.open) if marker.open else None


def _error(output: Any, label: Any, numeric: bool) -> float | None:
    if output is None:
        return None
    if not numeric:
        return float(output != label)
    if isinstance(output, int | float) and isinstance(label, int | float):
        return abs(output - label)
    return None
