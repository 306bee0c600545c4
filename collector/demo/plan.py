"""The year in steps, and what is already done of it.

Decides how event time goes on: each month is logged to its end, then the first hours of the next
one until a flight leaves more than the policy's lateness after midnight: that one moves the
watermark over the month's end, and the month is judged before anything else is logged. Hides the
files by which a run that was cut off goes on: the bodies of a step are written before they are
sent, so that a second sending, or a second run, sends the same bytes and adds nothing twice.
"""

import gzip
from bisect import bisect_left
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from msgspec import Struct

from collector.demo.errors import OtherRun
from collector.demo.flights import MINUTE_US, Flight
from collector.demo.traffic import Kind

LATENESS_US = 120 * MINUTE_US
END_OF_TIME_US = 2**62
Lines = dict[tuple[str, Kind], list[bytes]]


class Step(Struct, frozen=True):
    """A span [start_us, end_us) of event time; `month` is its window ("2013-02"), `closes` says
    that the window can be judged after it."""

    month: str
    start_us: int
    end_us: int
    closes: bool

    @property
    def name(self) -> str:
        return f"{self.month}-{'close' if self.closes else 'log'}"


def steps(asked: Sequence[int]) -> Iterator[Step]:
    """The steps of the year 2013 for the times at which flights are asked about, in order."""
    start = 0
    for month in range(1, 13):
        ends = month_start(month + 1)
        name = f"2013-{month:02}"
        yield Step(name, start, ends, closes=False)
        place = bisect_left(asked, ends + LATENESS_US)
        last = month == 12 or place == len(asked)
        start = END_OF_TIME_US if last else max(asked[place] + 1, ends)
        yield Step(name, ends, start, closes=True)


def month_start(month: int) -> int:
    """µs since the epoch of the first of a month of 2013 in UTC; 13 is January 2014."""
    year, index = divmod(month - 1, 12)
    return int(datetime(2013 + year, index + 1, 1, tzinfo=UTC).timestamp()) * 1_000_000


class Logged(Struct):
    """How many events of the flights a run added, and how many were there before it."""

    added: int = 0
    there: int = 0


class Line(Struct, frozen=True):
    integration: str
    kind: Kind
    body: msgspec.Raw


_decode_line = msgspec.json.Decoder(Line).decode


class Spool:
    """What each step sends, kept in a folder until the run is over and after."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def take(self, step: Step, make: Callable[[], Lines]) -> Lines:
        """The lines of a step: those of the first time, or `make()` when this is it."""
        path = self._folder / f"{step.name}.ndjson.gz"
        if not path.exists():
            lines = make()
            fresh = path.with_suffix(".new")
            with gzip.open(fresh, "wb", compresslevel=1) as file:
                for (integration, kind), bodies in lines.items():
                    for body in bodies:
                        line = Line(integration, kind, msgspec.Raw(body))
                        file.write(msgspec.json.encode(line) + b"\n")
            fresh.replace(path)
            return lines
        found: Lines = {}
        for raw in gzip.decompress(path.read_bytes()).splitlines():
            line = _decode_line(raw)
            found.setdefault((line.integration, line.kind), []).append(bytes(line.body))
        return found


class Progress(Struct):
    """How far a run came. It belongs to one ledger and one choice of flights."""

    vkey: str
    flights: int
    done: list[str] = []
    version: str = "1"
    since_us: int = 0
    case: str = ""


_decode_progress = msgspec.json.Decoder(Progress).decode


class Diary:
    """The progress, on disk after every step."""

    def __init__(self, folder: Path, vkey: str, flights: Sequence[Flight]) -> None:
        """Raises `OtherRun` where the folder holds a run over another ledger or other flights."""
        folder.mkdir(parents=True, exist_ok=True)
        self._path = folder / "progress.json"
        self.progress = Progress(vkey, len(flights))
        if self._path.exists():
            self.progress = _decode_progress(self._path.read_bytes())
        if (self.progress.vkey, self.progress.flights) != (vkey, len(flights)):
            raise OtherRun(
                f"this directory holds a demonstration of {self.progress.flights:,} flights of "
                "another run: give an empty one with --data, or the same --sample as before"
            )

    def done(self, mark: str) -> bool:
        return mark in self.progress.done

    def note(self, mark: str) -> None:
        """Write down that something is done."""
        self.progress.done.append(mark)
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(self.progress))
        fresh.replace(self._path)
