"""Which declarations of files can work, and what becomes of rows that cannot be kept."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.errors import BadDeclaration
from audit.events import micros
from collector.files.declaration import parse
from collector.files.partitions import late
from collector.limits import Limits
from tests.collector.files.test_watching import lines, row
from tests.collector.files.watched import Place

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples"


def test_partitions_are_due_after_they_ended_and_their_time_is_over() -> None:
    [files] = [
        parse(
            "{kind: files, name: a, integration: b, location: /x,"
            " expect: {path: '%Y/%m/%d', every: 1d, within: 2h}}"
        )
    ]
    assert files.expected is not None
    since = micros("2026-07-01T00:00:00Z")
    for now, wanted in (
        ("2026-07-02T01:59:00Z", []),
        ("2026-07-02T02:00:00Z", ["2026/07/01"]),
        ("2026-07-03T03:00:00Z", ["2026/07/01", "2026/07/02"]),
    ):
        assert late(files.expected, [], micros(now), since) == wanted
    for there in ("2026/07/01/a", "x/y/2026/07/01/z/a", "2026/07/01.csv"):
        assert late(files.expected, [there], micros("2026-07-02T03:00:00Z"), since) == []
    for other in ("x2026/07/01/a", "x/2026/07/01", "2026/07/a"):
        assert late(files.expected, [other], micros("2026-07-02T03:00:00Z"), since) != []


START = "{kind: files, name: a, integration: b, location: /x, "


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{kind: files, name: a, integration: b}", "location"),
        ("{kind: files, name: a, integration: b, location: /x, format: xls}", "format"),
        ("{kind: files, name: a, integration: b, location: /x, rows: events}", "rows"),
        ("{kind: files, name: a b, integration: b, location: /x}", "name"),
        (START + "options: {secret: abc}}", "options.secret"),
        ("{kind: files, name: a, integration: b, location: 'sftp://u:p@h/x'}", "location"),
        (START + "expect: {path: day, every: 1d}}", "expect.path"),
        (START + "expect: {path: '%Y'}}", "expect.every"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(BadDeclaration) as refusal:
        parse(text)
    assert place in str(refusal.value)


def refusing(place: Place, rows: str) -> None:
    """Ten rows of 300 KiB that are refused, in a file that stands before a good one."""
    if rows == "integration":
        place.declare(
            "mapping",
            mapping={
                "events": [
                    {
                        "type": "prediction",
                        "fields": {
                            "id": "id",
                            "time": {"path": "time", "required": True},
                            "model": {
                                "object": {"name": {"const": "m"}, "version": {"const": "1"}}
                            },
                            "output": "output",
                        },
                    }
                ]
            },
        )
    bad = [{"id": str(n), "output": "x" * 300_000} for n in range(10)]
    (place.folder / "a.jsonl").write_bytes(lines(*bad))
    (place.folder / "z.jsonl").write_bytes(lines(row(1)))


@pytest.mark.parametrize("rows", ["predictions", "integration"])
def test_a_file_that_fills_the_quarantine_waits_and_holds_up_no_other(
    place: Place, rows: str
) -> None:
    refusing(place, rows)
    place.limits = Limits(quarantine_bytes=2_000_000)
    watcher = place.watcher(now=Place.later(3_600), rows=rows)
    assert watcher.look()
    assert place.ids() == ["p-1"]
    assert watcher.counts.files == 1
    assert any("quarantine of this integration is full" in each for each in place.told)
    most = sum(map(len, place.quarantined()))
    assert 0 < most <= 2_000_000
    place.limits = Limits()  # room was made
    assert watcher.look()
    assert watcher.counts.files == 2
    assert (watcher.counts.quarantined, watcher.counts.not_kept) == (10, 0)
    assert max(map(len, place.quarantined())) < 1_200_000


@pytest.mark.parametrize("rows", ["predictions", "integration"])
def test_what_can_never_fit_is_counted_as_not_kept_and_its_file_goes_on(
    place: Place, rows: str
) -> None:
    refusing(place, rows)
    place.limits = Limits(quarantine_bytes=100_000)
    watcher = place.watcher(now=Place.later(3_600), rows=rows)
    assert watcher.look()
    assert place.ids() == ["p-1"]
    assert place.quarantined() == []
    assert (watcher.counts.files, watcher.counts.rows) == (2, 11)
    assert (watcher.counts.quarantined, watcher.counts.not_kept) == (0, 10)
    assert "10 refused and not kept" in watcher.counts.told()


def test_a_row_that_is_too_long_is_told_as_refused_and_not_kept(place: Place) -> None:
    table = {key: [row(n)[key] for n in range(3)] for key in ("id", "time", "output")}
    names = {"model.name": ["m"] * 3, "model.version": ["1"] * 3}
    note = {"inputs.note": ["a", "x" * 2_000_000, "b"]}
    pq.write_table(pa.table({**table, **names, **note}), place.folder / "a.parquet")
    watcher = place.watcher(now=Place.later(3_600))
    assert watcher.look()
    assert place.ids() == ["p-0", "p-2"]
    assert (watcher.counts.rows, watcher.counts.not_kept) == (3, 1)
