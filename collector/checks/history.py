"""What is remembered of one integration between rounds: the last hour by minutes, four weeks by
hours.

Decides which figures a round leaves behind, and for how long. It is work, not evidence: lost, it is
gathered anew from the ledger as far as that tells it (`rounds`).
"""

from typing import Final

import msgspec

from audit.rollups import percentile

MINUTE_US: Final = 60_000_000
HOUR_US: Final = 60 * MINUTE_US
MINUTES, HOURS, LAGS = 60, 28 * 24, 7 * 24
PERSISTING: Final = 15
"""Rounds over which a number must be missing before it is taken for lost, not late."""


class Minute(msgspec.Struct, array_like=True):
    """What arrived in one minute; `lags` counts sampled entries by `audit.rollups.bucket`."""

    at: int
    accepted: int = 0
    predictions: int = 0
    errors: int = 0
    refused: int = 0
    alone: int = 0
    lags: dict[int, int] = {}
    ahead_us: int = 0
    behind_us: int | None = None


class History(msgspec.Struct):
    """One integration; `at` of minutes and keys of hours are minutes and hours since the epoch."""

    since_hour: int = -1
    logged_us: int = 0
    minutes: list[Minute] = []
    hours: dict[int, int] = {}
    lags: dict[int, float] = {}
    """95th percentile of the lag in ms, by hour."""
    missing: list[int] = []
    accepted_missing: int = 0
    """Missing numbers of which a person has taken notice."""
    accepted_difference: int = 0
    alone_ever: int | None = None

    def minute(self, now_us: int) -> Minute:
        """Return the minute of this time, to be added to; older ones than an hour are forgotten."""
        at = now_us // MINUTE_US
        self.minutes = [each for each in self.minutes if at - MINUTES < each.at <= at]
        if not self.minutes or self.minutes[-1].at != at:
            self.minutes.append(Minute(at))
        return self.minutes[-1]

    def arrived(self, hour: int, entries: int) -> None:
        """Count entries in the hour of their arrival."""
        if self.since_hour < 0:
            self.since_hour = hour
        self.hours[hour] = self.hours.get(hour, 0) + entries
        if len(self.hours) > HOURS:
            self.hours = {each: n for each, n in self.hours.items() if hour - each < HOURS}

    def lag_of_hour(self, hour: int) -> None:
        """Remember how late entries were in an hour that is over."""
        found = self.lag_ms()
        if found is not None and hour not in self.lags:
            self.lags[hour] = found
            self.lags = {each: ms for each, ms in self.lags.items() if hour - each < LAGS}

    def lag_ms(self) -> float | None:
        """Return the 95th percentile of event time to logged time over the last hour."""
        total: dict[int, int] = {}
        for minute in self.minutes:
            for bucket, count in minute.lags.items():
                total[bucket] = total.get(bucket, 0) + count
        return percentile(total, 0.95)

    def lost(self, missing: int) -> int:
        """Note how many numbers are missing now; return how many have been for a while."""
        self.missing = [*self.missing, missing][-PERSISTING:]
        return min(self.missing) if len(self.missing) == PERSISTING else 0
