"""What was found, asked of the API and of the flights themselves.

Decides when a month counts as judged and how version 2 is compared with version 1: on the same
later flights, by accuracy and Brier score, with an interval that treats a day as one observation,
since the flights of one stormy day are late together. Hides the shape of the API's answers.
"""

import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Final, TypeVar

import msgspec
from msgspec import Struct

from collector.demo.client import Client
from collector.demo.errors import TooSlow
from collector.demo.flights import DAY_US, Flight
from collector.demo.model import NAME, THRESHOLD, LateModel

_YEAR: Final = {"from": "2013-01-01T00:00:00Z", "to": "2014-02-01T00:00:00Z"}
_PAUSE_SECONDS: Final = 0.2
_T = TypeVar("_T")


class Named(Struct, frozen=True):
    version: str


class Span(Struct, frozen=True):
    start: str
    rows: int = 0


class Confirmation(Struct, frozen=True):
    needed: int = 0
    of: int = 0
    seen: int = 0
    confirmed: bool = False


class Fault(Struct, frozen=True):
    kind: str
    share: float = 0.0
    limit: float = 0.0


class Column(Struct, frozen=True):
    name: str
    verdict: str = ""
    score: float | None = None
    threshold: float | None = None
    faults: list[Fault] = []


class Judged(Struct, frozen=True):
    """A judged window of one version."""

    model: Named
    window: Span
    verdict: str
    reason: str = ""
    segment: str = "all"
    drifted: list[str] = []
    faulty: list[str] = []
    columns: list[Column] = []
    confirmation: Confirmation = Confirmation()

    @property
    def month(self) -> str:
        return self.window.start[:7]

    def began(self, incident: str) -> bool:
        """Whether an incident began with this window."""
        return incident[:7] == self.month


class Moment(Struct, frozen=True):
    """A step of a case."""

    type: str
    reason: str = ""


class Case(Struct, frozen=True):
    """A retraining case, as far as the story follows it."""

    id: str
    state: str
    version: str = ""
    candidate: str = ""
    opened: str = ""
    incident: str = ""
    outcome: str = ""
    steps: list[Moment] = []

    @property
    def reason(self) -> str:
        """Why it ended as it did, in the words of the ledger."""
        ends = [step.reason for step in self.steps if step.type == "RetrainingClosed"]
        return ends[-1] if ends else ""


class Alert(Struct, frozen=True):
    """An alert; `incident` is the window that began it."""

    kind: str
    state: str
    version: str
    incident: str = ""


class _Page(Struct, frozen=True):
    items: list[msgspec.Raw] = []
    next: str | None = None


_decode_judged = msgspec.json.Decoder(Judged).decode
_decode_case = msgspec.json.Decoder(Case).decode
_decode_alert = msgspec.json.Decoder(Alert).decode
_decode_page = msgspec.json.Decoder(_Page).decode


def judged(api: Client) -> list[Judged]:
    """Every judged window of the year, oldest first."""
    found = _all(api, "/v1/drift", _decode_judged, model=NAME, **_YEAR)
    whole = [each for each in found if each.segment == "all"]
    return sorted(whole, key=lambda each: (each.window.start, each.model.version))


def await_judged(api: Client, month: str, version: str, seconds: float) -> Judged:
    """The judgement of one month for a version, as soon as it is there; raises `TooSlow`."""

    def look() -> Judged | None:
        for each in judged(api):
            if each.month == month and each.model.version == version:
                return each
        return None

    return _until(look, seconds, f"{month} was not judged: is schedule running?")


def await_proposal(api: Client, seconds: float) -> Case:
    """The case that a confirmed shift opens, once it is proposed or further; raises `TooSlow`."""

    def look() -> Case | None:
        cases = cases_of(api)
        return cases[-1] if cases else None

    return _until(look, seconds, "a confirmed shift opened no retraining case")


def await_candidate(api: Client, case: str, seconds: float) -> Case:
    """The case once its candidate is registered; raises `TooSlow`."""

    def look() -> Case | None:
        return next((each for each in cases_of(api) if each.id == case and each.candidate), None)

    return _until(look, seconds, f"the new version was not registered for case {case}")


def cases_of(api: Client) -> list[Case]:
    """The retraining cases, oldest first."""
    return sorted(_all(api, "/v1/cases", _decode_case), key=lambda each: each.opened)


def alerts_of(api: Client) -> list[Alert]:
    """Every alert, whatever became of it."""
    return _all(api, "/v1/alerts", _decode_alert)


class Comparison(Struct, frozen=True):
    """Two versions on the same flights. `gain` is by how much the Brier score fell, `margin` half
    the width of its 95 % interval."""

    flights: int
    accuracy: tuple[float, float]
    brier: tuple[float, float]
    gain: float
    margin: float


def compare(first: LateModel, second: LateModel, flights: Sequence[Flight]) -> Comparison | None:
    """Compare two versions on the flights that arrived; None where there are none."""
    gains: dict[int, list[float]] = defaultdict(list)
    right, squared = [0, 0], [0.0, 0.0]
    for flight in flights:
        label = flight.label
        if label is None:
            continue
        errors = []
        for place, model in enumerate((first, second)):
            score = model.predict(flight.inputs).score
            right[place] += (score >= THRESHOLD) == bool(label)
            errors.append((score - label) ** 2)
            squared[place] += errors[-1]
        gains[flight.asked_us // DAY_US].append(errors[0] - errors[1])
    count = sum(map(len, gains.values()))
    if not count:
        return None
    gain = (squared[0] - squared[1]) / count
    spread = sum((sum(day) - len(day) * gain) ** 2 for day in gains.values())
    return Comparison(
        flights=count,
        accuracy=(right[0] / count, right[1] / count),
        brier=(squared[0] / count, squared[1] / count),
        gain=gain,
        margin=1.96 * math.sqrt(spread) / count,
    )


def _all(api: Client, path: str, decode: Callable[[msgspec.Raw], _T], **query: str) -> list[_T]:
    found: list[_T] = []
    after: dict[str, str] = {}
    while True:
        page = _decode_page(api.download(path, **query, **after))
        found += [decode(item) for item in page.items]
        if not page.next:
            return found
        after = {"cursor": page.next}


def _until(look: Callable[[], _T | None], seconds: float, failure: str) -> _T:
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        if time.monotonic() > deadline:
            raise TooSlow(f"{failure} (waited {seconds:.0f} s)")
        time.sleep(_PAUSE_SECONDS)
    return found
