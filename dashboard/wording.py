"""How numbers, times and verdicts are written, the same on every page.

Absent is an en dash, never zero. Times are UTC, ISO order, without the letter T.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

ABSENT: Final = "–"

# Verdict or state → (glyph, tone). The glyph carries the meaning without colour.
TONES: Final[dict[str, tuple[str, str]]] = {
    "ok": ("✓", "ok"),
    "shift": ("▲", "warn"),
    "warn": ("▲", "warn"),
    "fault": ("✕", "bad"),
    "bad": ("✕", "bad"),
    "failed": ("✕", "bad"),
    "insufficient": ("◌", "none"),
    "unknown": ("◌", "none"),
    "stale": ("◌", "warn"),
    "unchecked": ("◌", "none"),
    "raised": ("▲", "warn"),
    "acknowledged": ("✓", "info"),
    "resolved": ("✓", "ok"),
    "proposed": ("●", "warn"),
    "approved": ("✓", "info"),
    "rejected": ("✕", "none"),
    "dispatched": ("→", "info"),
    "candidate": ("★", "info"),
    "judged": ("✓", "info"),
    "closed": ("✓", "ok"),
    "error": ("✕", "bad"),
    "fallback": ("▲", "warn"),
    "simulated": ("◇", "info"),
    # Kinds of trouble of an integration.
    **dict.fromkeys(
        ("silence", "errors", "rejects", "gaps", "counts", "late", "still"), ("✕", "bad")
    ),
    **dict.fromkeys(("volume", "skew", "lag", "unpaired"), ("▲", "warn")),
}


def tone(state: str | None) -> tuple[str, str]:
    """Glyph and tone of a state; what is not known is never green."""
    return TONES.get(state or "unknown", ("●", "info"))


def labelled(state: str | None) -> str:
    """A state as text with its glyph, for places without colour such as grids."""
    return f"{tone(state)[0]} {state or 'unknown'}"


# What the API calls a model's state, in words for people.
SAID: Final = {
    "bad": "attention",
    "warn": "watch",
    "stale": "stale",
    "ok": "ok",
    "unknown": "not judged yet",
}


def sentence(text: str) -> str:
    """A text of the API as a sentence: it begins with a capital and ends with a stop."""
    text = text.strip()
    if not text:
        return ""
    return text[0].upper() + text[1:] + ("" if text[-1] in ".!?" else ".")


def count(value: float | None) -> str:
    return ABSENT if value is None else f"{value:,.0f}"


def counted(value: int, one: str, many: str = "") -> str:
    """`1 column`, `3 columns`."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def share(value: float | None) -> str:
    """A fraction as a percentage: two decimals below one percent, one above."""
    if value is None:
        return ABSENT
    percent = round(value * 100, 2)
    if percent in (0.0, 100.0):
        return f"{percent:.0f}%"
    return f"{percent:.2f}%" if percent < 1 or percent > 99 else f"{percent:.1f}%"


def part(of: int, whole: int) -> float | None:
    return of / whole if whole else None


def duration(ms: float | None) -> str:
    if ms is None:
        return ABSENT
    if ms >= 10_000:
        return f"{ms / 1000:,.1f} s"
    if ms >= 1_000:
        return f"{ms / 1000:,.2f} s"
    if 0 < ms < 1:
        return f"{ms * 1000:.0f} µs"
    return f"{ms:.1f} ms" if 0 < ms < 100 else f"{ms:.0f} ms"


def length(ms: float | None) -> str:
    """A length of time that may be days, to the unit that says enough."""
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "min")):
        if ms is not None and ms >= 2 * size:
            return f"{ms / size:,.0f} {unit}"
    return duration(ms)


def number(value: float | None, digits: int = 3) -> str:
    """A score or p-value: significant digits, tiny ones as a bound."""
    if value is None:
        return ABSENT
    if 0 < abs(value) < 0.001:
        return "< 0.001" if value > 0 else f"{value:.1e}"
    return f"{value:.{digits}f}"


def instant(text: str | None) -> datetime | None:
    """RFC 3339 text → aware UTC; `None` stays `None`."""
    if not text:
        return None
    return datetime.fromisoformat(text.replace("Z", "+00:00")).astimezone(UTC)


def rfc3339(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moment(text: str | None, *, seconds: bool = False) -> str:
    when = instant(text)
    if when is None:
        return ABSENT
    return when.strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")


def day(text: str | None) -> str:
    when = instant(text)
    return ABSENT if when is None else when.strftime("%Y-%m-%d")


def window(start: str | None, end: str | None) -> str:
    """A window by its first and last day, or by the clock when it is shorter than two days."""
    first, last = instant(start), instant(end)
    if first is None or last is None:
        return ABSENT
    if last - first >= timedelta(days=2):
        shown = last - timedelta(seconds=1)
        return f"{first:%Y-%m-%d} – {shown:%Y-%m-%d}"
    return f"{first:%Y-%m-%d %H:%M} – {last:%H:%M}"


def ago(text: str | None, now: datetime) -> str:
    when = instant(text)
    if when is None:
        return "never"
    seconds = max(0, int((now - when).total_seconds()))
    for size, unit in ((31_557_600, "y"), (86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            amount = seconds // size
            return f"{amount:,} {unit} ago"
    return "just now"


def plain(value: Any) -> str:
    """Any JSON value on one line."""
    if isinstance(value, dict):
        return ", ".join(f"{name} {plain(inner)}" for name, inner in value.items()) or ABSENT
    if isinstance(value, list | tuple):
        return ", ".join(plain(inner) for inner in value) or ABSENT
    if isinstance(value, float):
        return f"{value:,.4f}".rstrip("0").rstrip(".")
    if isinstance(value, bool):
        return "true" if value else "false"
    return ABSENT if value is None else str(value)
