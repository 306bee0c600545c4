"""The end of the story in the terminal: month by month, and whether retraining helped.

Decides wording only. Every number comes from the API or from the comparison; what was simulated
is called simulated.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from collector.demo.findings import Alert, Case, Comparison, Judged
from collector.demo.settings import DemoSettings

_COLOURS = {"ok": "green", "shift": "yellow", "fault": "red", "insufficient": "dim"}


def line_of(month: Judged) -> str:
    """One judged month in one line."""
    shown = f"[{_COLOURS.get(month.verdict, 'white')}]{month.verdict:<12}[/]"
    return f"  {month.month}  version {month.model.version}  {shown} {moved(month)}".rstrip()


def moved(month: Judged) -> str:
    """The columns behind a verdict: distance and threshold, or share and limit of a fault."""
    parts = []
    for column in month.columns:
        if column.name in month.faulty:
            parts += [
                f"{column.name} {f.kind} {f.share:.1%} > {f.limit:.1%}" for f in column.faults
            ]
        elif column.name in month.drifted and column.score is not None:
            parts.append(f"{column.name} {column.score:.2f} > {column.threshold:g}")
    return ", ".join(parts) or ("too few rows" if month.verdict == "insufficient" else "")


def tell(
    console: Console,
    settings: DemoSettings,
    *,
    months: Sequence[Judged],
    cases: Sequence[Case],
    alerts: Sequence[Alert],
    comparison: Comparison | None,
    entries: int,
    seconds: Mapping[str, float],
) -> None:
    """Print what was found, and where to look next."""
    console.print(_table(months, cases, alerts), highlight=False)
    for case in cases:
        said = f": {case.outcome}" if case.outcome else ""
        candidate = case.candidate or "none yet"
        console.print(f"Case {case.id} {case.state}{said}; candidate {candidate}.", highlight=False)
    standing = sum(alert.state == "raised" for alert in alerts)
    console.print(
        f"{standing} of {len(alerts)} alerts wait for a person. What people did (approval, "
        "overrides) is simulated and marked so in the ledger.",
        highlight=False,
    )
    console.print(_compared(comparison), highlight=False)
    phases = ", ".join(f"{name} {spent:.1f} s" for name, spent in seconds.items())
    console.print(f"Time: {phases}.", highlight=False)
    console.print(
        f"\n[bold]Look at it:[/]    {settings.dashboard}", highlight=False, soft_wrap=True
    )
    console.print(
        f"[bold]Verify it[/] ({entries:,} entries):\n"
        f"{_program()} verify {settings.api}/log/main --vkey '{settings.vkey}'",
        highlight=False,
        soft_wrap=True,
    )


def _table(months: Sequence[Judged], cases: Sequence[Case], alerts: Sequence[Alert]) -> Table:
    table = Table(title="2013 judged against January: late-arrival")
    for heading in ("month", "by", "rows", "verdict", "what moved or failed", "alert", "case"):
        table.add_column(heading, justify="right" if heading == "rows" else "left")
    for month in months:
        colour = _COLOURS.get(month.verdict, "white")
        seen = month.confirmation
        count = f" {seen.seen} of {seen.of}" if month.verdict == "shift" else ""
        version = month.model.version
        table.add_row(
            month.month,
            f"v{version}",
            f"{month.window.rows:,}",
            f"[{colour}]{month.verdict}{count}[/]",
            moved(month),
            _joined(a.kind for a in alerts if a.version == version and month.began(a.incident)),
            _joined(c.state for c in cases if c.version == version and month.began(c.incident)),
        )
    return table


def _joined(words: Iterable[str]) -> str:
    return ", ".join(words)


def _compared(found: Comparison | None) -> str:
    if found is None:
        return "No version 2: no shift was confirmed, so nothing was retrained."
    words = {"yes": "Retraining helped", "no": "Retraining did harm", "unclear": "No clear change"}
    return (
        f"[bold]{words[found.verdict]}[/]: on the same {found.flights:,} later flights accuracy "
        f"went from {found.accuracy[0]:.2%} to {found.accuracy[1]:.2%}, Brier score from "
        f"{found.brier[0]:.4f} to {found.brier[1]:.4f} "
        f"(better by {found.gain:.4f} ± {found.margin:.4f}, 95 %)."
    )


def _program() -> str:
    """How this program is called from here, as a shell would find it."""
    beside = Path(sys.executable).parent / "modelwitness"
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)
