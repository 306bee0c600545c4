"""Rounds raise what is wrong with an integration to its owner, and resolve it when it is over."""

import asyncio
import threading
from pathlib import Path

import pytest

from audit import fsck, rebuild
from audit.catalog import Catalog
from audit.settings import AuditSettings
from collector.checks import waiting
from collector.checks.rounds import Rounds
from collector.checks.troubles import TROUBLE, Troubles
from collector.completeness.projection import Completeness
from collector.files import late
from collector.files.declaration import Expected, Files
from drift.projection import Governance
from tests.collector.checks.conftest import HOUR_US, MINUTE_US, Watch


def test_a_silent_integration_alarms_its_owner_by_its_cadence_and_once(watch: Watch) -> None:
    watch.declare(cadence="10m")
    watch.log()
    watch.pass_minutes(10)
    assert watch.alerts() == []
    watch.pass_minutes(30)
    [alert] = watch.alerts()
    assert (alert.kind, alert.integration, alert.owner) == ("silence", "web", "sales-ops")
    assert (alert.state, alert.incident) == ("raised", "2026-01-31T10:11:00Z")
    assert "declared cadence: 10 min" in alert.reason
    assert watch.health().state == "bad"


def test_a_silence_is_over_when_something_is_logged_and_may_begin_anew(watch: Watch) -> None:
    watch.declare(cadence="10m")
    watch.pass_minutes(12)
    assert watch.standing() == ["silence"]
    watch.log(ago_us=40 * HOUR_US)  # an old event is a sign of life too
    watch.pass_minutes()
    [over] = watch.alerts()
    assert (over.state, over.resolved_by, over.resolved_reason) == (
        "resolved",
        "scheduler",
        "it logs again",
    )
    assert watch.health().state == "ok"
    watch.pass_minutes(12)
    assert [each.state for each in watch.alerts()] == ["raised", "resolved"]


def test_without_a_cadence_silence_is_unknown_and_no_alarm(watch: Watch) -> None:
    watch.log()
    watch.pass_minutes()
    assert watch.health().state == "ok"
    watch.clock.now_us += 40 * HOUR_US
    watch.pass_minutes()
    assert watch.alerts() == []
    assert watch.health().state == "unknown"
    assert "no cadence is declared" in watch.health().reasons[0]


def test_errors_of_the_last_hour_are_trouble_until_they_are_few(watch: Watch) -> None:
    watch.log(20)
    watch.log(5, status="error", error="timeout")
    watch.pass_minutes()
    assert watch.standing() == ["errors"]
    assert watch.health().errors_hour == 5
    watch.pass_minutes(61, logging=1)
    assert watch.standing() == []


def test_refusals_that_a_process_noted_are_trouble(watch: Watch) -> None:
    watch.log(30)
    watch.notes.refused("web", 5)
    watch.notes.flush()
    watch.pass_minutes()
    assert watch.standing() == ["rejects"]
    assert watch.health().refused_hour == 5
    assert watch.store.work.list("noted") == []


def test_notes_are_counted_once_whoever_makes_the_rounds(watch: Watch) -> None:
    watch.notes.refused("web", 5)
    watch.notes.flush()
    watch.pass_minutes()
    watch.clock.now_us += 2 * MINUTE_US
    Rounds(watch.store, watch.clock, "two")()
    assert watch.health().refused_hour == 5


def test_while_one_makes_the_rounds_another_does_not(watch: Watch) -> None:
    watch.pass_minutes()
    watch.log()
    Rounds(watch.store, watch.clock, "two")()
    assert watch.store.work.get("integration-health", "web") is None
    watch.pass_minutes()
    assert watch.health().events_hour == 1


@pytest.mark.parametrize("header", [b"1769857230", b"1769857230.5"])
def test_a_clock_that_is_ahead_is_told_by_what_it_sends(watch: Watch, header: bytes) -> None:
    watch.notes.sent("web", header)
    watch.notes.flush()
    watch.pass_minutes()
    assert watch.standing() == ["skew"]
    assert "ahead of ours" in watch.alerts()[0].reason


@pytest.mark.parametrize("header", [b"", b"x", b"nan", b"inf", b"1e400", b"-1e300", b"9" * 99])
def test_a_clock_that_makes_no_sense_breaks_nothing(watch: Watch, header: bytes) -> None:
    watch.notes.sent("web", header)
    watch.notes.flush()
    watch.log()
    watch.pass_minutes()
    assert watch.health().events_hour == 1


def test_events_from_the_future_tell_of_a_clock_too(watch: Watch) -> None:
    watch.log(ago_us=-MINUTE_US)
    watch.pass_minutes()
    assert watch.standing() == ["skew"]
    watch.pass_minutes(11, logging=1)
    assert watch.standing() == []


def test_lost_numbers_are_trouble_once_they_are_not_merely_late(watch: Watch) -> None:
    for number in (1, 2, 4):
        watch.log(sequence=number, producer="gate")
    watch.pass_minutes(10)
    assert (watch.standing(), watch.health().missing) == ([], 1)
    watch.log(sequence=3, producer="gate")
    watch.log(sequence=6, producer="gate")
    watch.pass_minutes(14)
    assert watch.standing() == ["gaps"]  # one or another was missing all the time
    watch.log(sequence=5, producer="gate")
    watch.pass_minutes()
    assert (watch.standing(), watch.health().missing) == ([], 0)


def test_a_loss_stands_until_a_person_has_seen_it_and_a_further_one_is_told_anew(
    watch: Watch,
) -> None:
    watch.log(sequence=1, producer="gate")
    watch.log(sequence=3, producer="gate")
    watch.pass_minutes(200)
    [alert] = watch.alerts("raised")
    watch.acknowledge(alert)
    watch.pass_minutes()
    assert watch.standing() == []
    assert (watch.health().state, watch.health().missing) == ("warn", 1)
    watch.pass_minutes(20)
    assert watch.standing() == []
    watch.log(sequence=5, producer="gate")
    watch.pass_minutes(15)
    [again] = watch.alerts("raised")
    assert again.reason == "2 numbers of its producers are missing"


def test_counts_that_differ_are_trouble_after_the_lateness_and_equal_ones_never(
    watch: Watch,
) -> None:
    watch.clock.now_us += 5 * MINUTE_US
    watch.log(3, ago_us=10 * MINUTE_US, producer="gate")
    watch.report(3)
    watch.pass_minutes(30)
    assert (watch.standing(), watch.health().difference) == ([], 0)
    watch.report(5)
    watch.pass_minutes(14)
    assert watch.standing() == []
    watch.pass_minutes(2)
    assert watch.standing() == ["counts"]
    assert "differ from ours by 2" in watch.alerts()[0].reason
    watch.log(2, ago_us=HOUR_US, producer="gate")
    watch.pass_minutes()
    assert watch.standing() == []


def test_what_a_sender_lost_itself_is_trouble(watch: Watch) -> None:
    watch.report(0, dropped=7)
    watch.pass_minutes()
    assert watch.alerts()[0].reason == "it lost 7 events before it could send them"


def test_late_files_are_trouble_until_they_come(watch: Watch) -> None:
    expected = Expected(path="%Y/%m/%d/%H", every_us=HOUR_US, within_us=MINUTE_US)
    files = Files(name="captures", integration="web", location="x", expected=expected)
    late.look(watch.store.work, files, [], watch.clock())
    watch.clock.now_us += 3 * HOUR_US
    late.look(watch.store.work, files, ["2026/01/31/10/a.jsonl"], watch.clock())
    watch.pass_minutes()
    assert watch.standing() == ["late"]
    assert watch.alerts()[0].reason == "files are late: 2026/01/31/11"
    late.look(
        watch.store.work, files, [f"2026/01/31/{n}/a.jsonl" for n in (10, 11, 12)], watch.clock()
    )
    watch.pass_minutes()
    assert watch.standing() == []


def test_a_stream_that_nobody_reads_any_more_is_trouble_unless_it_was_left(watch: Watch) -> None:
    work = watch.store.work
    streams = [("stream orders", "web"), ("files returns", "shop")]
    for process in ("a", "b"):
        waiting.tell_read(work, process, streams, watch.clock())
    waiting.tell_left(work, "a", streams)
    waiting.tell_left(work, "b", streams[1:])
    watch.pass_minutes(3)
    assert watch.standing() == []
    watch.pass_minutes()
    [alert] = watch.alerts()
    assert (alert.kind, alert.integration) == ("still", "web")
    assert alert.reason == "nobody reads stream orders any more"
    waiting.tell_read(work, "c", streams[:1], watch.clock())
    watch.pass_minutes()
    assert watch.standing() == []


def test_a_volume_that_falls_is_trouble_after_a_week_of_history(watch: Watch) -> None:
    for _ in range(7 * 24 + 1):
        watch.log(60)
        watch.clock.now_us += HOUR_US
    watch.rounds()  # all of it is caught up with, hour by hour
    assert watch.standing() == []
    watch.log(5)
    watch.clock.now_us += HOUR_US
    watch.rounds()
    [alert] = watch.alerts()
    assert (alert.kind, alert.reason) == (
        "volume",
        "5 events in an hour that usually has 60",
    )
    watch.log(60)
    watch.clock.now_us += HOUR_US
    watch.rounds()
    assert watch.standing() == []


def test_a_lag_beyond_the_usual_is_trouble(watch: Watch) -> None:
    for _ in range(25):
        watch.clock.now_us += HOUR_US
        watch.log(5, ago_us=1_000_000)
        watch.pass_minutes()
    assert watch.standing() == []
    assert watch.health().lag_p95_ms == pytest.approx(1_000, rel=0.03)
    watch.log(5, ago_us=HOUR_US)
    watch.pass_minutes()
    assert watch.standing() == ["lag"]


def test_alerts_and_what_stands_are_the_same_after_a_rebuild(watch: Watch) -> None:
    watch.declare("shop", cadence="1m")
    watch.declare(cadence="10m")
    watch.pass_minutes(12)
    watch.log()
    watch.pass_minutes()
    kinds = (TROUBLE, "alert", "alert-standing")
    before = {kind: list(watch.store.documents.each(kind)) for kind in kinds}
    assert len(before[TROUBLE]) == 1
    rebuild.run(watch.store)
    assert before == {kind: list(watch.store.documents.each(kind)) for kind in kinds}


def test_a_store_with_health_passes_a_deep_check(watch: Watch, tmp_path: Path) -> None:
    watch.declare(cadence="1m")
    watch.log(3, sequence=1, producer="gate")
    watch.pass_minutes(5)
    said: list[str] = []
    projections = (Catalog(), Governance(), Completeness(), Troubles())
    audit = AuditSettings(data=tmp_path)
    found = fsck.run(audit, deep=True, earlier=(), report=said.append, projections=projections)
    assert found == fsck.OK, said


def test_a_consumer_says_that_it_reads_until_it_is_stopped(watch: Watch) -> None:
    work = watch.store.work
    told: list[int] = []

    def until_told() -> None:
        while len(work.list(waiting.READ)) < 2:
            threading.Event().wait(0.01)

    async def consume() -> None:
        places = [("stream orders", "web"), ("files captures", "web")]
        telling = asyncio.create_task(waiting.keep_telling(work, "a", places, watch.clock))
        await asyncio.to_thread(until_told)
        told.append(len(work.list(waiting.READ)))
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)

    asyncio.run(asyncio.wait_for(consume(), 20))
    assert told == [2]
    assert work.list(waiting.READ) == []
