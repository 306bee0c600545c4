"""One measured figure, and whether it meets its budget."""

from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Figure:
    """`budget` is a bound on `value` or, where `of_ratio`, on value / baseline.

    `least`: the bound is a minimum, else a maximum.
    """

    what: str
    value: float
    unit: str
    baseline: float | None = None
    budget: float | None = None
    least: bool = True
    of_ratio: bool = False

    @property
    def ratio(self) -> float | None:
        """value / baseline."""
        return None if not self.baseline else self.value / self.baseline

    @property
    def met(self) -> bool | None:
        """Whether the budget is met, None where there is none."""
        measured = self.ratio if self.of_ratio else self.value
        if self.budget is None or measured is None:
            return None
        return measured >= self.budget if self.least else measured <= self.budget

    def row(self) -> dict[str, object]:
        """The row of the report."""
        shown = {
            key: value for key, value in asdict(self).items() if key not in {"least", "of_ratio"}
        }
        shown["ratio"], shown["met"] = self.ratio, self.met
        order = ("what", "value", "unit", "baseline", "ratio", "budget", "met")
        return {key: shown[key] for key in order}
