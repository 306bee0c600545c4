"""The end of the story in the terminal: month by month, and whether retraining helped.

Decides wording only. Every number comes from the API or from the comparison; what was simulated
is called simulated.
"""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table

from collector.demo.findings import Case, Comparison, Judged
from collector.demo.settings import DemoSettings

_COLOURS = {"ok": "green", "shift": "yellow", "fault": "red", "insufficient": "dim"}


def line_of(month: Judged) -> str:
    """One judged month in one line."""
    shown = f"[{_COLOURS.get(month.verdict, 'white')}]{month.verdict:<12}[/]"
    return f"  {month.month}  version {month.model.version}  {shown} {moved(month)}".rstrip()


def moved(month: Judged) -> str:
    """The columns behind a verdict, with distance and threshold."""
    parts = []
    for column in month.columns:
        if column.name in month.faulty:
            parts.append(f"{column.name} at fault")
        elif column.name in month.drifted and column.score is not None:
            parts.append(f"{column.name} {column.score:.2f} > {column.threshold:g}")
    return ", ".join(parts)


def tell(
    console: Console,
    settings: DemoSettings,
    *,
    months: Sequence[Judged],
    cases: Sequence[Case],
    alerts: int,
    comparison: Comparison | None,
    entries: int,
    seconds: Mapping[str, float],
) -> None:
    """Print what was found, and where to look next."""
    console.print(_table(months), highlight=False)
    for case in cases:
        console.print(f"Case {case.id}: {case.state}; candidate {case.candidate or 'none yet'}.")
    console.print(f"Alerts open: {alerts}. What people did (approval, overrides) is simulated.")
    console.print(_compared(comparison), highlight=False)
    phases = ", ".join(f"{name} {spent:.1f} s" for name, spent in seconds.items())
    console.print(f"Time: {phases}.", highlight=False)
    console.print(
        f"\n[bold]Look at it:[/]    {settings.dashboard}", highlight=False, soft_wrap=True
    )
    console.print(
        f"[bold]Verify it:[/]     modelwitness verify {settings.api}/log/main "
        f"--vkey '{settings.vkey}'   ({entries:,} entries)",
        highlight=False,
        soft_wrap=True,
    )


def _table(months: Sequence[Judged]) -> Table:
    table = Table(title="2013 against January: late-arrival")
    for heading in ("month", "version", "rows", "verdict", "confirmation", "what moved"):
        table.add_column(heading, justify="right" if heading == "rows" else "left")
    for month in months:
        colour = _COLOURS.get(month.verdict, "white")
        seen = month.confirmation
        table.add_row(
            month.month,
            month.model.version,
            f"{month.window.rows:,}",
            f"[{colour}]{month.verdict}[/]",
            ("confirmed " if seen.confirmed else "") + f"{seen.seen} of {seen.of}",
            moved(month) or ("" if month.verdict in {"ok", "shift"} else month.reason),
        )
    return table


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
