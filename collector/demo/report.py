"""The end of the story in the terminal: month by month, how cases ended, where to look next.

Decides wording only. Whether retraining helped is said as the ledger says it, with its reason; the
demonstration's own comparison stands beside it as numbers. What was simulated is called simulated.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from shlex import quote

from rich.console import Console
from rich.table import Table

from collector.demo.findings import Alert, Case, Comparison, Judged
from collector.demo.plan import Logged
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
    logged: Logged,
    entries: int,
    seconds: Mapping[str, float],
) -> None:
    """Print what was found, and where to look next."""
    console.print(_table(months, cases, alerts), highlight=False)
    for case in cases:
        console.print(_ended(case), highlight=False, markup=False)
    if not cases:
        console.print("No case: no shift was confirmed, so nothing was retrained.")
    standing = sum(alert.state == "raised" for alert in alerts)
    console.print(
        f"{standing} of {len(alerts)} alerts wait for a person. What people did (approval, "
        "overrides) is simulated and marked so in the ledger.",
        highlight=False,
    )
    if comparison is not None:
        console.print(_compared(comparison), highlight=False)
    console.print(_added(logged), highlight=False)
    phases = ", ".join(f"{name} {spent:.1f} s" for name, spent in seconds.items())
    console.print(f"Time: {phases}.", highlight=False)
    for line in _next(settings, entries):
        console.print(line, highlight=False, soft_wrap=True)


def _next(settings: DemoSettings, entries: int) -> list[str]:
    """Where to look and how to verify: over HTTP while it is served, else from files."""
    program = _program()
    key = f"--vkey '{settings.vkey}'"
    if settings.signin is not None:
        return [
            f"\n[bold]Look at it:[/]    {settings.signin()}",
            "The code in it works once, within ten minutes. Another for whoever you name:\n"
            f"{program} {settings.again}",
            f"[bold]Verify it[/] ({entries:,} entries):\n"
            f"{program} verify {settings.api}/log/main {key}",
        ]
    tiles = quote(str(settings.data / "tiles"))
    return [
        f"\nEverything has stopped. [bold]Look at it:[/]\n{program} {settings.again}",
        f"[bold]Verify it[/] ({entries:,} entries), without a server:\n"
        f"{program} export --to {tiles} {settings.store}\n{program} verify {tiles} {key}",
    ]


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


def _ended(case: Case) -> str:
    """How a case stands, and why, in the words of the ledger."""
    said = f": {case.outcome}" if case.outcome else ""
    candidate = f"candidate {case.candidate}" if case.candidate else "no candidate yet"
    why = f"\n  The ledger's reason: {case.reason}." if case.reason else ""
    return f"Case {case.id} {case.state}{said}; {candidate}.{why}"


def _compared(found: Comparison) -> str:
    """The demonstration's own second look. Numbers only: the verdict is the ledger's."""
    better = "better" if found.gain >= 0 else "worse"
    return (
        "A second look outside the ledger, which decides nothing: asked about the same "
        f"{found.flights:,} later flights, version 1 is right on {found.accuracy[0]:.2%} and the "
        f"new version on {found.accuracy[1]:.2%}; Brier score {found.brier[0]:.4f} and "
        f"{found.brier[1]:.4f} ({better} by {abs(found.gain):.4f} ± {found.margin:.4f}, 95 %)."
    )


def _added(logged: Logged) -> str:
    if not logged.added:
        return f"Nothing was added: all {logged.there:,} events were already in the ledger."
    before = f"; {logged.there:,} were already there" if logged.there else ""
    return f"{logged.added:,} events were added{before}."


def _program() -> str:
    """How this program is called from here, as a shell would find it."""
    beside = Path(sys.executable).parent / "modelwitness"
    try:
        return str(beside.relative_to(Path.cwd()))
    except ValueError:
        return str(beside)
