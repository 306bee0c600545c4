"""Small pieces of HTML that the pages are made of: figures, badges, tables, banners, timelines.

Every value is escaped here and nowhere else, so the pages pass plain text. Colours come from
`assets/pages.css`, which follows the theme by mixing with the current text colour.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from urllib.parse import urlencode

from dashboard import wording


@dataclass(frozen=True, slots=True)
class Markup:
    """HTML that is already safe; plain `str` is escaped when it is placed."""

    html: str


Text = str | Markup


def place(text: Text) -> str:
    return text.html if isinstance(text, Markup) else escape(text)


def link(page: str, label: Text, **params: str | int | None) -> Markup:
    """An ordinary link to a page of ours, so that it can be copied and opened in a new tab."""
    query = urlencode({name: value for name, value in params.items() if value is not None})
    address = f"{page}?{query}" if query else page
    return Markup(f'<a href="{escape(address)}" target="_self">{place(label)}</a>')


def badge(state: str | None, label: str | None = None) -> Markup:
    glyph, tone = wording.tone(state)
    shown = escape(label if label is not None else (state or "unknown"))
    return Markup(
        f'<span class="mw-badge mw-{tone}"><i aria-hidden="true">{glyph}</i>{shown}</span>'
    )


def simulated(flag: bool | None) -> Markup:
    """The label of what no real person did."""
    return badge("simulated") if flag else Markup("")


def mono(text: str) -> Markup:
    return Markup(f"<code>{escape(text)}</code>")


def quiet(text: Text) -> Markup:
    return Markup(f'<span class="mw-quiet">{place(text)}</span>')


def wrapped(text: Text) -> Markup:
    """A table cell whose text may break into lines."""
    return Markup(f'<span class="mw-wrap">{place(text)}</span>')


def join(*parts: Text, by: str = " ") -> Markup:
    return Markup(by.join(filter(None, (place(part) for part in parts))))


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of the strip at the top of a page."""

    label: str
    value: str
    note: Text = ""
    state: str | None = None


def figures(items: Sequence[Figure]) -> str:
    cells = []
    for item in items:
        mark = ""
        if item.state is not None:
            glyph, tone = wording.tone(item.state)
            mark = f'<i class="mw-mark mw-{tone}" aria-hidden="true">{glyph}</i>'
        cells.append(
            f"<div><dt>{escape(item.label)}</dt><dd>{mark}{escape(item.value)}</dd>"
            f"<dd class='mw-note'>{place(item.note) or '&nbsp;'}</dd></div>"
        )
    return f'<dl class="mw-figures">{"".join(cells)}</dl>'


@dataclass(frozen=True, slots=True)
class Field:
    """A column of a table; numbers align right."""

    title: str
    numeric: bool = False


def table(
    fields: Sequence[Field], rows: Iterable[Sequence[Text]], *, caption: str, chosen: int = -1
) -> str:
    """A real table with a caption for screen readers; wide ones scroll inside their own box."""
    head = "".join(f'<th scope="col"{_side(field)}>{escape(field.title)}</th>' for field in fields)
    body = "".join(
        ("<tr class='mw-chosen'>" if position == chosen else "<tr>")
        + "".join(
            f"<td{_side(field)}>{place(cell)}</td>" for field, cell in zip(fields, row, strict=True)
        )
        + "</tr>"
        for position, row in enumerate(rows)
    )
    return (
        f'<div class="mw-scroll" role="region" aria-label="{escape(caption)}" tabindex="0">'
        f'<table class="mw-table"><caption>{escape(caption)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _side(field: Field) -> str:
    return ' class="mw-num"' if field.numeric else ""


def pairs(items: Iterable[tuple[str, Text]]) -> str:
    """Names and values, aligned, for details."""
    rows = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{place(value) or wording.ABSENT}</dd></div>"
        for name, value in items
    )
    return f'<dl class="mw-pairs">{rows}</dl>'


def bar(tone: str, percent: float, label: str) -> Markup:
    """A short bar before a number, to compare rows at a glance."""
    return Markup(
        f'<span class="mw-bar mw-{tone}"><span style="width:{percent:.0f}%"></span></span>'
        f"{escape(label)}"
    )


def links(*items: Text) -> str:
    """A line of links below a panel."""
    return f'<p class="mw-links">{"".join(place(item) for item in items)}</p>'


def heading(title: str, note: Text = "", level: int = 2) -> str:
    aside = f'<span class="mw-aside">{place(note)}</span>' if note else ""
    return f'<div class="mw-heading"><h{level}>{escape(title)}</h{level}>{aside}</div>'


def banner(state: str, title: str, detail: Text, checks: Iterable[tuple[str, str, str]]) -> str:
    """A verdict first, then each check as (name, state, detail)."""
    glyph, tone = wording.tone(state)
    items = "".join(
        f"<li><span class='mw-check'>{badge(check).html}<b>{escape(name)}</b></span>"
        f"<span class='mw-quiet'>{escape(told)}</span></li>"
        for name, check, told in checks
    )
    return (
        f'<section class="mw-banner mw-{tone}" aria-label="Verdict"><header>'
        f'<i class="mw-seal" aria-hidden="true">{glyph}</i><div><h2>{escape(title)}</h2>'
        f"<p>{place(detail)}</p></div></header><ul>{items}</ul></section>"
    )


def timeline(moments: Iterable[tuple[str, Text, Text]]) -> str:
    """What happened, oldest first: (time, what, detail)."""
    items = "".join(
        f"<li><time>{escape(when)}</time><div><b>{place(what)}</b><p>{place(detail)}</p></div></li>"
        for when, what, detail in moments
    )
    return f'<ol class="mw-timeline">{items}</ol>'


def notice(state: str, title: str, detail: Text = "") -> str:
    glyph, tone = wording.tone(state)
    told = f"<p>{place(detail)}</p>" if detail else ""
    return (
        f'<div class="mw-notice mw-{tone}" role="status">'
        f'<i aria-hidden="true">{glyph}</i><div><b>{escape(title)}</b>{told}</div></div>'
    )


def legend(items: Iterable[tuple[str, str]]) -> str:
    """Colours and what they mean; unlike a chart's own legend it wraps on a narrow screen."""
    entries = "".join(
        f'<li><i style="background:{escape(colour)}"></i>{escape(name)}</li>'
        for name, colour in items
    )
    return f'<ul class="mw-legend">{entries}</ul>'
