"""Files are logged once, whatever happens in the middle, and what is late or unreadable is told."""

import asyncio
import json
import os
import shutil
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.clock import system_clock
from audit.events import micros
from collector.errors import Conflicting
from collector.files.late import listed as late_partitions
from tests.collector.files.watched import Place
from tests.conftest import missing

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples"


def sample(*names: str) -> Path:
    path = SAMPLES.joinpath(*names)
    if not path.exists():
        missing("the shared samples are not beside this checkout")
    return path


def row(n: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"p-{n}",
        "time": "2026-07-01T10:00:00Z",
        "model": {"name": "price", "version": "1"},
        "inputs": {"n": n},
        "output": n * 2,
        **more,
    }


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def test_a_file_that_grows_is_logged_row_by_row_and_each_row_once(place: Place) -> None:
    path = place.folder / "a" / "log.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines(*map(row, range(3))) + b'{"id": "p-3", "ti')
    place.watcher().look()
    assert place.ids() == ["p-0", "p-1", "p-2"]
    path.write_bytes(lines(*map(row, range(5))))
    watcher = place.watcher()
    watcher.look(2)
    assert place.ids() == [f"p-{n}" for n in range(5)]
    assert watcher.counts.rows == 2
    assert place.quarantined() == []


def test_a_last_line_without_an_end_is_one_when_the_file_is_final(place: Place) -> None:
    path = place.folder / "log.jsonl"
    path.write_bytes(lines(row(0)) + lines(row(1)).rstrip())
    ahead = system_clock() / 1e6 + 86_400  # its writer's clock
    os.utime(path, (ahead, ahead))
    place.watcher(final_after="1m", now=place.later(5)).look()
    assert place.ids() == ["p-0"]
    watcher = place.watcher(final_after="1m", now=place.later(66))
    watcher.look(2)
    assert place.ids() == ["p-0", "p-1"]
    assert watcher.counts.files == 1


def test_a_file_that_was_replaced_is_read_anew(place: Place) -> None:
    path = place.folder / "log.jsonl"
    path.write_bytes(lines(*map(row, range(10))))
    place.watcher().look()
    path.write_bytes(lines(row(100), row(101)))
    place.watcher().look()
    assert place.ids() == [*(f"p-{n}" for n in range(10)), "p-100", "p-101"]


def test_a_parquet_file_that_was_written_anew_is_read_anew(place: Place) -> None:
    path = place.folder / "a.parquet"
    for rows in (range(3), range(10, 20)):
        flat = [{"id": f"p-{n}", "time": "2026-07-01T10:00:00Z", "model.name": "price",
                 "model.version": "1", "inputs.n": n, "output": n} for n in rows]  # fmt: skip
        pq.write_table(pa.Table.from_pylist(flat), path)
        place.watcher().look()
    assert place.ids() == [f"p-{n}" for n in (*range(3), *range(10, 20))]


def test_a_log_that_was_renamed_is_read_on_and_its_successor_from_the_beginning(
    place: Place,
) -> None:
    log, old = place.folder / "a.jsonl", place.folder / "a.1.jsonl"
    log.write_bytes(lines(*map(row, range(1_500))))
    place.watcher().look()
    with log.open("ab") as file:
        file.write(lines(row(1_500)))
    log.rename(old)
    log.write_bytes(lines(row(2_000)))
    watcher = place.watcher()
    watcher.look()
    assert (watcher.counts.rows, watcher.counts.duplicates) == (2, 0)
    assert sorted(place.ids()[-2:]) == ["p-1500", "p-2000"]


def test_rows_that_are_none_go_to_quarantine_and_the_rest_is_logged(place: Place) -> None:
    bad = row(1, confidence="sure")
    (place.folder / "log.jsonl").write_bytes(lines(row(0), bad, row(2)) + b"no json\n")
    watcher = place.watcher()
    watcher.look()
    assert place.ids() == ["p-0", "p-2"]
    assert watcher.counts.quarantined == 2
    bodies = {each.body: each.place for kept in place.kept() for each in kept.deliveries}
    assert set(bodies) == {b"no json", json.dumps(bad).encode()}
    assert bodies[b"no json"].endswith("log.jsonl:3")


def test_a_row_that_contradicts_what_is_logged_is_kept(place: Place) -> None:
    (place.folder / "a.jsonl").write_bytes(lines(row(0)))
    (place.folder / "b.jsonl").write_bytes(lines(row(0, output="other"), row(1)))
    watcher = place.watcher()
    watcher.look()
    assert place.ids() == ["p-0", "p-1"]
    assert (watcher.counts.logged, watcher.counts.quarantined) == (2, 1)
    [kept] = place.kept()
    assert [json.loads(each.body)["output"] for each in kept.deliveries] == ["other"]
    with pytest.raises(Conflicting):
        asyncio.run(place.ways().replay.replay(kept))


def test_csv_and_parquet_with_dotted_columns_are_our_own_fields(place: Place) -> None:
    table: dict[str, list[Any]] = {
        "id": [f"q-{n}" for n in range(2_500)],
        "time": ["2026-07-01T10:00:00Z"] * 2_500,
        "model.name": ["price"] * 2_500,
        "model.version": ["1"] * 2_500,
        "inputs.n": list(range(2_500)),
        "output": [0.5] * 2_500,
    }
    pq.write_table(pa.table(table), place.folder / "b.parquet")
    place.watcher().look()
    assert place.ids() == table["id"]
    bodies = place.store.reader.open([place.store.reader.size() - 1])
    assert json.loads(bodies[0].body)["inputs"] == {"n": 2_499}


def test_another_process_does_not_watch_what_one_watches(place: Place) -> None:
    assert place.watcher("one").look()
    (place.folder / "log.jsonl").write_bytes(lines(row(0)))
    assert not place.watcher("other").look()
    assert place.ids() == []
    assert place.watcher("one").look()
    assert place.ids() == ["p-0"]


def test_a_file_that_cannot_be_read_is_told_once_and_stops_nobody(place: Place) -> None:
    (place.folder / "private-person.parquet").write_bytes(b"no parquet")
    (place.folder / "z.jsonl").write_bytes(lines(row(0)))
    (place.folder / "_SUCCESS").write_bytes(b"")
    (place.folder / ".z.jsonl.x1").write_bytes(lines(row(1)))
    watcher = place.watcher(final_after="1s", now=place.later(10))
    watcher.look(3)
    assert place.ids() == ["p-0"]
    [told] = [each for each in place.told if "no readable parquet" in each]
    assert watcher.counts.unreadable == 1
    assert "private" not in "".join(place.told)
    path = str(place.folder / "private-person.parquet")
    assert sha256(path.encode()).hexdigest()[:12] in told


def test_rows_are_read_by_the_adapter_of_the_integration_with_what_the_path_tells(
    place: Place,
) -> None:
    folder = place.folder / "churn" / "blue" / "2026" / "07" / "01" / "10"
    folder.mkdir(parents=True)
    shutil.copy(sample("sagemaker", "data_capture_docs.jsonl"), folder / "x.jsonl")
    place.declare("sagemaker")
    place.watcher(rows="integration").look()
    assert place.models() == {("churn", "blue")}


def test_the_schema_of_bentoml_is_read_beside_its_data_and_waited_for(place: Place) -> None:
    place.declare("bentoml", options={"zone": "UTC"})
    folder = place.folder / "monitoring" / "iris"
    for name in ("data", "schema"):
        (folder / name).mkdir(parents=True)
    shutil.copy(sample("bentoml", "data.0.log"), folder / "data" / "data.0.log")
    watcher = place.watcher(rows="integration", final_after="10m")
    watcher.look()
    assert (place.ids(), watcher.counts.quarantined) == ([], 0)
    shutil.copy(sample("bentoml", "schema.0.log"), folder / "schema" / "schema.0.log")
    watcher = place.watcher(rows="integration", final_after="10m")
    watcher.look()
    rows = sample("bentoml", "data.0.log").read_bytes().count(b"\n")
    assert len(place.ids()) == rows > 0
    assert watcher.counts.quarantined == 0


def test_equal_rows_of_a_file_are_as_many_predictions_and_stay_so(place: Place) -> None:
    place.declare("bentoml", options={"zone": "UTC", "predictions": "y"})
    equal = b'{"timestamp": "2026-07-01T10:00:00", "request_id": "r", "x": 1, "y": 2}\n'
    path = place.folder / "data.log"
    path.write_bytes(equal * 3)
    place.watcher(rows="integration").look()
    assert len(set(place.ids())) == 3
    copy = place.folder / "copy.log"
    shutil.copy(path, copy)
    place.watcher(rows="integration").look()
    assert len(place.ids()) == 3


def test_a_row_on_which_an_adapter_fails_is_kept_and_read_again_as_it_was_in_its_file(
    place: Place,
) -> None:
    place.declare("bentoml", options={"zone": "UTC"})
    folder = place.folder / "monitoring" / "iris" / "data"
    folder.mkdir(parents=True)
    (folder / "data.0.log").write_bytes(
        b'{"timestamp": "2026-07-01T10:00:00", "request_id": "r", "x": 1, "y": 2}\nno json\n'
    )
    watcher = place.watcher(rows="integration", final_after="1s", now=place.later(10))
    watcher.look()
    assert (place.ids(), watcher.counts.quarantined) == ([], 2)
    place.declare("bentoml", options={"zone": "UTC", "predictions": "y"})
    [kept] = place.kept()
    _, whole = asyncio.run(place.ways().replay.replay(kept))
    assert not whole
    assert place.models() == {("iris", "-")}


def test_files_of_an_integration_that_is_not_declared_wait(place: Place) -> None:
    (place.folder / "log.jsonl").write_bytes(lines(row(0)))
    watcher = place.watcher(rows="integration")
    watcher.look()
    assert watcher.counts.away
    assert "drop: waits: integration pricing is not declared: apply its file" in place.told


def test_rows_of_a_mapping_may_be_named_by_file_and_number(place: Place) -> None:
    (place.folder / "scores.csv").write_bytes(b"at,v\n" + b"1700000000,7\n" * 3)
    place.declare(
        "mapping",
        model={"name": "price", "version": "1"},
        mapping={
            "format": "json",
            "events": [
                {
                    "type": "prediction",
                    "fields": {
                        "id": {"join": [{"header": "modelwitness-file"}, '"@row"'], "with": ":"},
                        "time": {"path": "at", "time": "s"},
                        "output": {"path": "v", "as": "number"},
                    },
                }
            ],
        },
    )
    place.watcher(rows="integration").look()
    assert place.ids() == ["scores.csv:0", "scores.csv:1", "scores.csv:2"]


def test_a_place_that_is_away_is_told_and_looked_at_again(place: Place) -> None:
    moved = place.folder.rename(place.folder.with_name("moved"))
    watcher = place.watcher()
    watcher.look(2)
    assert watcher.counts.away
    assert [each for each in place.told if "FileNotFoundError" in each] == place.told
    assert len(place.told) == 1
    moved.rename(place.folder)
    watcher.look()
    assert not watcher.counts.away


def test_a_partition_that_should_be_there_and_is_not_is_told_and_seen_by_other_processes(
    place: Place,
) -> None:
    moments = [micros("2026-07-01T10:00:00Z")]
    expect = {"path": "%Y/%m/%d/%H", "every": "1h", "within": "30m"}

    def looked_at(moment: str) -> list[str]:
        moments[0] = micros(moment)
        watcher = place.watcher(now=lambda: moments[0], expect=expect)  # a process of its own
        watcher.look(2)
        [known] = late_partitions(place.store.work)
        assert known.partitions == watcher.counts.late
        return list(known.partitions)

    assert looked_at("2026-07-01T10:00:00Z") == []
    assert looked_at("2026-07-01T11:29:00Z") == []
    place.told.clear()
    assert looked_at("2026-07-01T11:31:00Z") == ["2026/07/01/10"]
    assert place.told.count("drop: partition 2026/07/01/10 is late") == 1
    folder = place.folder / "churn" / "2026" / "07" / "01" / "10"
    folder.mkdir(parents=True)
    (folder / "x.jsonl").write_bytes(lines(row(0)))
    assert looked_at("2026-07-01T11:32:00Z") == []
    place.watcher().look()
    assert late_partitions(place.store.work) == []
