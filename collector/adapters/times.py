"""Times as senders write them → one moment in UTC, with the text as it came.

Decides every format that a sender's time may have, and that a local time is read only where the
declaration says of which zone it is: a guessed zone would move the event by hours, silently.

    2026-01-31T09:30:00.123456789Z     RFC 3339; digits past the microsecond are cut off
    2026-01-31 09:30:00+0200           the same with a blank, an offset without colon, `UTC`
    2026-01-31 09:30:00                local or unmarked: needs a zone (`UTC`, `Europe/Berlin`,
                                       `+02:00`)
    /Date(1506409448000-0700)/         .NET: ms since the epoch in UTC; the offset is only the zone
                                       of whoever wrote it, and moves nothing
    1506409448000                      a number since the epoch, in the unit that the caller names

A local time that a change of the clocks makes ambiguous is the first of the two; one that the
change skips is read with the offset before it.
"""

import re
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from audit.events import EPOCH, LATEST_US, rfc3339
from collector.errors import Invalid

Unit = Literal["s", "ms", "us", "ns"]

_text = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,12}))?)?"
    r" ?(Z|z|UTC|GMT|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_dotnet = re.compile(r"/Date\((-?\d{1,16})(?:[+-]\d{4})?\)/", re.ASCII)
_offset = re.compile(r"([+-])(\d\d):?(\d\d)", re.ASCII)
_whole = re.compile(r"-?\d{1,22}", re.ASCII)
_LONGEST = 64


class Moment(NamedTuple):
    """µs since the epoch, and the sender's own text of it."""

    us: int
    text: str

    @property
    def rfc3339(self) -> str:
        """The moment in UTC, as events carry it."""
        return rfc3339(self.us)

    @property
    def original(self) -> str | None:
        """The sender's text where it was not already RFC 3339 in UTC, else None."""
        return None if self.text == self.rfc3339 else self.text


def of_text(text: str, zone: str = "") -> Moment:
    """Read a time in one of the text formats; raises `Invalid`.

    `zone` is that of times without one; empty, such times are refused.
    """
    if len(text) > _LONGEST:
        raise _unreadable()
    stripped = text.strip()
    if found := _dotnet.fullmatch(stripped):
        return _moment(int(found[1]) * 1000, text)
    found = _text.fullmatch(stripped)
    if found is None:
        raise _unreadable()
    year, month, day, hour, minute = (int(found[each]) for each in range(1, 6))
    second = int(found[6] or 0)
    leap = second == 60  # RFC 3339 allows it; POSIX time has none, so it is the next second
    try:
        plain = datetime(year, month, day, hour, minute, 59 if leap else second)  # noqa: DTZ001 - gets its zone below
        aware = plain.replace(tzinfo=_zone(found[8], zone))
        since = aware - EPOCH + timedelta(seconds=leap)
    except (ValueError, OverflowError):
        raise _unreadable() from None
    fraction = int((found[7] or "").ljust(6, "0")[:6])
    return _moment((since.days * 86_400 + since.seconds) * 1_000_000 + fraction, text)


def of_number(number: float, unit: Unit = "ms") -> Moment:
    """Read a number since the epoch; raises `Invalid`. Whole numbers are exact."""
    text = str(number)
    if isinstance(number, bool) or len(text) > _LONGEST:
        raise _unreadable()
    if isinstance(number, int):
        us = (
            number // 1000 if unit == "ns" else number * {"s": 1_000_000, "ms": 1000, "us": 1}[unit]
        )
        return _moment(us, text)
    scale = {"s": 1e6, "ms": 1e3, "us": 1.0, "ns": 1e-3}[unit]
    try:
        return _moment(round(number * scale), text)
    except (ValueError, OverflowError):  # not finite
        raise _unreadable() from None


def of_value(value: Any, zone: str = "", unit: Unit = "ms") -> Moment:
    """Read a time that is a JSON value: text in any format, a number, or digits as text."""
    if isinstance(value, str):
        if _whole.fullmatch(value.strip()):
            return of_number(int(value), unit)._replace(text=value)
        return of_text(value, zone)
    if isinstance(value, int | float):
        return of_number(value, unit)
    raise _unreadable()


def zone_of(name: str) -> tzinfo:
    """Return the zone of a name (`UTC`, IANA, `+02:00`); raises `Invalid`."""
    if name.upper() in {"UTC", "Z", "GMT"}:
        return UTC
    if found := _offset.fullmatch(name):
        ahead = timedelta(hours=int(found[2]), minutes=int(found[3]))
        if ahead < timedelta(hours=24):
            return timezone(-ahead if found[1] == "-" else ahead)
    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError):
        raise Invalid(
            "the zone of the sender's local times is unknown",
            field="/options/zone",
            remedy="Declare an IANA name (Europe/Berlin), UTC, or an offset (+02:00).",
        ) from None


def _zone(written: str | None, declared: str) -> tzinfo:
    if written is not None:
        return zone_of(written)
    if declared:
        return zone_of(declared)
    raise Invalid(
        "a time says no zone",
        field="/time",
        remedy="Let the sender write the offset, or declare `options: {zone: …}` for its local "
        "times.",
    )


def _moment(us: int, text: str) -> Moment:
    if not 0 <= us < LATEST_US:
        raise Invalid(
            "the time lies outside the years 1970 to 9998",
            field="/time",
            remedy="Check the unit and the time that the sender writes.",
        )
    return Moment(us, text)


def _unreadable() -> Invalid:
    return Invalid(
        "a time is in no format that is known",
        field="/time",
        remedy="Write 2026-01-31T09:30:00Z, /Date(ms)/, or a number since the epoch.",
    )
