"""The round: once a minute every integration is looked at, and its owner told of what is wrong.

Decides the order: gather, judge, append what is raised and resolved, then keep what was gathered,
so that a process which ends in between repeats the round. One process at a time does it, by a
lease. Nothing is judged while the ledger is still being caught up with.
"""

from collections import defaultdict
from collections.abc import Iterable
from typing import Final

import msgspec

from audit.arrivals import Arrivals
from audit.catalog import INTEGRATION, DeclaredDocument
from audit.clock import Clock
from audit.declared import duration_of
from audit.errors import BadDeclaration, Busy
from audit.events import Event, micros, rfc3339
from audit.store import Store
from audit.work import New
from collector.checks import noted, standing, troubles
from collector.checks.following import Following
from collector.checks.history import HOUR_US, MINUTE_US, PERSISTING, History
from collector.checks.rules import Facts, Finding, findings
from collector.checks.troubles import TROUBLE, Trouble
from collector.checks.waiting import late_files, still_streams
from collector.completeness.api import counting
from collector.completeness.comparing import Compared, compared
from collector.completeness.followed import PRODUCERS
from collector.completeness.told import producers_of
from collector.integrations.unpaired import unpaired

HISTORY, CURSOR = "integration-history", "integration-cursor"
_LEASE_SECONDS: Final = 70.0
_MOST: Final = 2**53
"""What is missing may be told by anybody; more than this is told as this."""
_OVER: Final = {
    "silence": "it logs again",
    "volume": "it logs as much as usual again",
    "errors": "predictions succeed again",
    "rejects": "what it sends is taken again",
    "gaps": "a person has seen it, or what was missing has come",
    "counts": "a person has seen it, or the counts agree",
    "skew": "its clock is right again",
    "lag": "events come as soon as usual again",
    "unpaired": "requests and responses come together again",
    "late": "the files have come",
    "still": "it moves again",
}
_decode_declared = msgspec.json.Decoder(DeclaredDocument).decode
_decode_history = msgspec.msgpack.Decoder(History).decode
_encode_history = msgspec.msgpack.encode


class Lost(msgspec.Struct):
    """What producers of one integration say is not there."""

    missing: int = 0
    difference: int = 0
    dropped: int = 0


class Rounds:
    """Makes rounds over one store; several may exist, one works."""

    def __init__(self, store: Store, clock: Clock, holder: str) -> None:
        self._store = store
        self._clock = clock
        self._holder = holder
        self._following = Following(store.reader, Arrivals(store.database))
        self._equal: set[tuple[str, str, int]] = set()

    def __call__(self) -> None:
        """Make one round, if nobody else does; a store that is away is left to the next."""
        try:
            if self._store.work.claim("integrations", self._holder, _LEASE_SECONDS):
                self._make()
        except Busy:
            return

    def _make(self) -> None:
        now_us = self._clock()
        histories = self._histories()
        first = self._cursor(now_us)
        cursor, caught_up = self._following.follow(first, histories, now_us)
        notes, noted_keys = noted.taken(self._store.work)
        self._note(notes, histories, now_us)
        declared = {key: _decode_declared(b) for key, b in self._store.documents.each(INTEGRATION)}
        for name in declared:
            histories[name].minute(now_us)
        put: list[New] = []
        if caught_up:
            put = self._judge(histories, declared, now_us)
        put += [New(HISTORY, name, _encode_history(history)) for name, history in histories.items()]
        put.append(New(CURSOR, "next", b"%d" % cursor))
        remove = [(each.kind, each.key) for each in put]
        self._store.work.change(put, [*remove, *noted_keys])

    def _histories(self) -> defaultdict[str, History]:
        found: defaultdict[str, History] = defaultdict(History)
        after = ""
        while page := self._store.work.list(HISTORY, after):
            for item in page:
                after = item.key
                found[item.key] = _decode_history(item.body)
        return found

    def _cursor(self, now_us: int) -> int:
        stored = self._store.work.get(CURSOR, "next")
        return self._following.begin(now_us) if stored is None else int(stored.body)

    def _note(self, notes: noted.Note, histories: defaultdict[str, History], now_us: int) -> None:
        for name, count in notes.refused.items():
            histories[name].minute(now_us).refused += count
        for name, behind_us in notes.behind_us.items():
            minute = histories[name].minute(now_us)
            known = minute.behind_us
            minute.behind_us = behind_us if known is None else min(known, behind_us)
        for name, alone in unpaired(self._store.work).items():
            history = histories[name]
            ever = alone.requests + alone.responses
            if history.alone_ever is not None:
                history.minute(now_us).alone += max(0, ever - history.alone_ever)
            history.alone_ever = ever

    def _judge(
        self,
        histories: defaultdict[str, History],
        declared: dict[str, DeclaredDocument],
        now_us: int,
    ) -> list[New]:
        """Append what is raised and resolved; returns the health of each, to be kept."""
        lost = self._lost(now_us)
        late, still = late_files(self._store.work), still_streams(self._store.work, now_us)
        stands: defaultdict[str, dict[str, Trouble]] = defaultdict(dict)
        for _, body in self._store.documents.each(TROUBLE):
            trouble = troubles.decode(body)
            stands[trouble.integration][trouble.kind] = trouble
        events: list[Event] = []
        kept: list[New] = []
        now = rfc3339(now_us // MINUTE_US * MINUTE_US)
        for name in sorted({*histories, *stands, *late, *still}):
            told, its = declared.get(name), stands[name]
            facts = self._facts(histories[name], told, lost.get(name, Lost()), its, now_us)
            facts = msgspec.structs.replace(
                facts, late=tuple(late.get(name, ())), streams=tuple(still.get(name, ()))
            )
            found = list(findings(facts))
            owner = (told.owner if told else None) or ""
            new = [each for each in found if each.kind not in its]
            over = _over(facts, found, its.values())
            events += [troubles.raised(name, each, owner, now) for each in new]
            events += [troubles.resolved(each, _OVER[each.kind], now) for each in over]
            alerts = sorted({each.kind for each in new} | its.keys() - {each.kind for each in over})
            missing = lost.get(name, Lost()).missing
            summary = standing.health(facts, found, missing, alerts)
            kept.append(New(standing.KIND, name, msgspec.json.encode(summary)))
        if events:
            self._store.ledger.append(events)
        return kept

    def _facts(
        self,
        history: History,
        declared: DeclaredDocument | None,
        lost: Lost,
        its: dict[str, Trouble],
        now_us: int,
    ) -> Facts:
        history.lag_of_hour(now_us // HOUR_US - 1)
        missing = history.lost(lost.missing)
        history.accepted_missing = min(history.accepted_missing, missing)
        differing = lost.difference + lost.dropped
        history.accepted_difference = min(history.accepted_difference, differing)
        if "gaps" in its and its["gaps"].acknowledged:
            history.accepted_missing = missing
        if "counts" in its and its["counts"].acknowledged:
            history.accepted_difference = differing
        return Facts(
            now_us=now_us,
            history=history,
            cadence_us=_cadence_us(declared),
            declared_us=micros(declared.time) if declared else 0,
            missing=missing,
            difference=lost.difference,
            dropped=lost.dropped,
            standing=frozenset(its),
        )

    def _lost(self, now_us: int) -> dict[str, Lost]:
        """What is not there, of every integration whose producers count."""
        found: dict[str, Lost] = {}
        for name, _ in self._store.documents.each(PRODUCERS):
            lost = found[name] = Lost()
            count = counting(self._store, name)
            for producer in producers_of(self._store.documents, name):
                lost.missing = min(lost.missing + producer.seen.missing(), _MOST)
                for report in producer.reports.values():
                    lost.dropped = min(lost.dropped + report.dropped, _MOST)
                    key = (name, producer.name, report.index)
                    if key not in self._equal:
                        told = compared(producer, report, count, now_us)
                        self._remember(key, told)
                        if told.state == "differs":
                            lost.difference = min(
                                lost.difference + told.lacking + told.beyond, _MOST
                            )
        return found

    def _remember(self, key: tuple[str, str, int], told: Compared) -> None:
        if told.state == "equal":
            if len(self._equal) > 1_000_000:
                self._equal.clear()
            self._equal.add(key)


def _over(facts: Facts, found: list[Finding], its: Iterable[Trouble]) -> list[Trouble]:
    """The troubles that stand no more; what is not known yet ends nothing."""
    kinds = {each.kind for each in found}
    unsure = {"gaps"} if len(facts.history.missing) < PERSISTING else set()
    return [each for each in its if each.kind not in kinds | unsure]


def _cadence_us(declared: DeclaredDocument | None) -> int:
    """The cadence of a declaration; what an integration says of itself may be any text."""
    if declared is None or declared.cadence is None:
        return 0
    try:
        return duration_of(declared.cadence, "cadence")
    except BadDeclaration:
        return 0
