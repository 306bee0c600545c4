"""Judge one synthetic window in this process: `ours` or Evidently's `preset`; prints one JSON."""

import json
import os
import resource
import sys
import time
from typing import Any

os.environ["DO_NOT_TRACK"] = "1"

import numpy as np

Frame = dict[str, np.ndarray]


def frame(rows: int, columns: int, seed: int) -> Frame:
    """Return columns: four of five numeric (normal, lognormal in turn), the fifth categorical."""
    source = np.random.default_rng(seed)
    made: Frame = {}
    for number in range(columns):
        if number % 5 == 4:
            made[f"c{number}"] = source.integers(0, 10, rows)
        elif number % 2:
            made[f"c{number}"] = source.lognormal(0, 0.5, rows)
        else:
            made[f"c{number}"] = source.normal(0, 1, rows)
    return made


def preset(reference: Frame, current: Frame) -> None:
    """Run Evidently's DataDriftPreset as its documentation shows it."""
    import pandas as pd
    from evidently import DataDefinition, Dataset, Report
    from evidently.presets import DataDriftPreset

    numeric = [name for name, values in reference.items() if values.dtype.kind == "f"]
    definition = DataDefinition(
        numerical_columns=numeric,
        categorical_columns=[name for name in reference if name not in numeric],
    )

    def dataset(columns: Frame) -> Dataset:
        table = pd.DataFrame(
            {name: v if v.dtype.kind == "f" else v.astype(str) for name, v in columns.items()}
        )
        return Dataset.from_pandas(table, data_definition=definition)

    Report([DataDriftPreset()]).run(dataset(current), dataset(reference)).dict()


def ours(reference: Frame, current: Frame) -> None:
    """Run our judge with a policy over the same columns, report included."""
    from drift.judge import judge
    from drift.policy import parse
    from drift.windows import window_at

    kinds = {
        name: {"kind": "numeric" if values.dtype.kind == "f" else "categorical"}
        for name, values in reference.items()
    }
    policy = parse(json.dumps({**POLICY, "columns": kinds}))
    window = window_at(policy.window, 1_772_323_200_000_000)
    judge(policy, window, _columns(policy.columns, reference), _columns(policy.columns, current))


def _columns(rules: Any, made: Frame) -> Any:
    from drift.columns import Categorical, Columns, Numeric

    rows = len(next(iter(made.values())))
    columns: dict[str, Any] = {}
    for rule in rules:
        values = made.get(rule.name)
        if values is None:  # output and score: these windows have none
            missing = np.full(rows, -1, dtype=np.int32)
            numeric = rule.kind == "numeric"
            columns[rule.name] = (
                Numeric(np.full(rows, np.nan)) if numeric else Categorical(missing, ())
            )
        elif rule.kind == "numeric":
            columns[rule.name] = Numeric(values)
        else:
            names = tuple(str(number) for number in range(10))
            columns[rule.name] = Categorical(values.astype(np.int32), names)
    return Columns(rows, columns, {})


POLICY = {
    "kind": "policy",
    "model": "bench",
    "owner": "bench",
    "reference": {"from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00Z"},
    "window": "month",
    "lateness": "1h",
    "minimum_rows": 200,
}


def main() -> None:
    """Make the columns, then time the judgement alone; memory is the peak of the process."""
    which, rows, columns = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    reference, current = frame(rows, columns, 1), frame(rows, columns, 2)
    if which == "preset":
        import evidently.presets  # noqa: F401 - its import is not what is measured
    else:
        import drift.evidence  # noqa: F401 - the same
    start = time.perf_counter()
    (preset if which == "preset" else ours)(reference, current)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
    sys.stdout.write(json.dumps({"seconds": seconds, "mb": peak}) + "\n")


if __name__ == "__main__":
    main()
