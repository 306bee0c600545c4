"""Files are logged once, whatever happens in the middle, and what is late or unreadable is told."""

import asyncio
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prometheus_client import CollectorRegistry

from audit.catalog import Catalog
from audit.clock import system_clock
from audit.errors import BadDeclaration, Busy
from audit.events import micros
from audit.outgoing import Outgoing
from audit.settings import AuditSettings
from audit.store import Store, open_store
from collector.adapters.registry import ADAPTERS
from collector.files.declaration import parse
from collector.files.partitions import late
from collector.files.progress import Progresses
from collector.files.watching import Watcher
from collector.integrations.declaration import Declared
from collector.integrations.wiring import Around, wired
from collector.limits import Limits
from collector.metrics import Metrics

SAMPLES = Path(__file__).resolve().parents[4] / "shared" / "samples"


class Place:
    """A store and a folder that is watched."""

    def __init__(self, folder: Path) -> None:
        settings = AuditSettings(data=folder / "data")
        self.store: Store = open_store(settings, [Catalog()], clock=system_clock, random=os.urandom)
        self.folder = folder / "files"
        self.folder.mkdir()
        self.told: list[str] = []
        self.declared: dict[str, Declared] = {}

    def watcher(
        self, holder: str = "test", now: Callable[[], int] = system_clock, **keys: Any
    ) -> Watcher:
        lines = {"name": "drop", "integration": "pricing", "rows": "predictions", **keys}
        text = "\n".join(
            ["kind: files", f"location: {self.folder}"]
            + [f"{key}: {json.dumps(value)}" for key, value in lines.items()]
        )
        files = parse(text)
        metrics = Metrics(CollectorRegistry(), lambda: 0)
        around = Around(self.store.documents, Outgoing(), {}, os.urandom)
        ways = wired(self.store.ledger, self.store.work, system_clock, Limits(), metrics, around)
        return Watcher(
            files,
            {},
            ways.intake,
            self.declared.get,
            ADAPTERS,
            Progresses(self.store.work, files.name),
            self.store.work,
            holder,
            now,
            self.told.append,
        )

    def ids(self) -> list[str]:
        opened = self.store.reader.open(range(self.store.reader.size()))
        return [
            json.loads(each.body)["id"] for each in opened if each.leaf.type == "PredictionLogged"
        ]

    def quarantined(self) -> list[bytes]:
        return [each.body for each in self.store.work.list("quarantine")]


@pytest.fixture
def place(tmp_path: Path) -> Any:
    found = Place(tmp_path)
    yield found
    found.store.close()


def row(n: int, **more: Any) -> dict[str, Any]:
    return {
        "id": f"p-{n}",
        "time": "2026-07-01T10:00:00Z",
        "model": {"name": "price", "version": "1"},
        "inputs": {"n": n},
        "output": n * 2,
        **more,
    }


def look(watcher: Watcher) -> None:
    asyncio.run(watcher.look(asyncio.Event()))


def lines(*rows: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(each).encode() + b"\n" for each in rows)


def test_a_file_that_grows_is_logged_row_by_row_and_each_row_once(place: Place) -> None:
    path = place.folder / "a" / "log.jsonl"
    path.parent.mkdir()
    path.write_bytes(lines(*map(row, range(3))) + b'{"id": "p-3", "ti')
    watcher = place.watcher()
    look(watcher)
    assert place.ids() == ["p-0", "p-1", "p-2"]
    path.write_bytes(lines(*map(row, range(5))))
    look(watcher)
    look(place.watcher())
    assert place.ids() == [f"p-{n}" for n in range(5)]
    assert place.quarantined() == []


def test_a_file_that_was_replaced_is_read_anew(place: Place) -> None:
    path = place.folder / "log.jsonl"
    path.write_bytes(lines(*map(row, range(10))))
    look(place.watcher())
    path.write_bytes(lines(row(100), row(101)))
    look(place.watcher())
    assert place.ids() == [*(f"p-{n}" for n in range(10)), "p-100", "p-101"]


def test_rows_that_are_none_go_to_quarantine_and_the_rest_is_logged(place: Place) -> None:
    bad = row(1, confidence="sure")
    (place.folder / "log.jsonl").write_bytes(lines(row(0), bad, row(2)) + b"no json\n")
    watcher = place.watcher()
    look(watcher)
    assert place.ids() == ["p-0", "p-2"]
    assert watcher.seen.refused == 2
    [kept] = place.quarantined()
    assert b"no json" in kept
    assert b'"sure"' in kept
    assert b"p-2" not in kept


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
    look(place.watcher())
    assert place.ids() == table["id"]
    bodies = place.store.reader.open([place.store.reader.size() - 1])
    assert json.loads(bodies[0].body)["inputs"] == {"n": 2_499}


def test_another_process_does_not_watch_what_one_watches(place: Place) -> None:
    look(place.watcher("one"))
    (place.folder / "log.jsonl").write_bytes(lines(row(0)))
    look(place.watcher("other"))
    assert place.ids() == []
    look(place.watcher("one"))
    assert place.ids() == ["p-0"]


def test_a_file_that_cannot_be_read_is_told_once_and_stops_nobody(place: Place) -> None:
    (place.folder / "a.parquet").write_bytes(b"no parquet")
    (place.folder / "b.jsonl").write_bytes(lines(row(0)))
    watcher = place.watcher(final_after="1s", now=lambda: system_clock() + 10_000_000)
    look(watcher)
    look(watcher)
    assert place.ids() == ["p-0"]
    assert [each for each in place.told if "cannot be read" in each] == place.told
    assert len(place.told) == 1


def test_rows_are_read_by_the_adapter_of_the_integration_with_what_the_path_tells(
    place: Place,
) -> None:
    sample = SAMPLES / "sagemaker" / "data_capture_docs.jsonl"
    if not sample.exists():
        pytest.skip("the shared samples are not beside this checkout")
    folder = place.folder / "churn" / "blue" / "2026" / "07" / "01" / "10"
    folder.mkdir(parents=True)
    shutil.copy(sample, folder / "x.jsonl")
    place.declared["pricing"] = Declared(name="pricing", adapter="sagemaker")
    look(place.watcher(rows="integration"))
    models = {
        (each.leaf.model, each.leaf.version)
        for each in place.store.reader.open(range(place.store.reader.size()))
        if each.leaf.type == "PredictionLogged"
    }
    assert models == {("churn", "blue")}


def test_files_of_an_integration_that_is_not_declared_wait(place: Place) -> None:
    (place.folder / "log.jsonl").write_bytes(lines(row(0)))
    with pytest.raises(Busy):
        look(place.watcher(rows="integration"))


def test_rows_of_a_mapping_may_be_named_by_file_and_number(place: Place) -> None:
    (place.folder / "scores.csv").write_bytes(b"at;v\n".replace(b";", b",") + b"1700000000,7\n" * 3)
    place.declared["pricing"] = Declared(
        name="pricing",
        adapter="mapping",
        model="price",
        version="1",
        mapping={
            "events": [
                {
                    "type": "prediction",
                    "fields": {
                        "id": {"join": [{"header": "modelwitness-file"}, '"@row"'], "with": ":"},
                        "time": {"path": "at", "time": "s"},
                        "output": {"path": "v", "as": "number"},
                    },
                }
            ]
        },
    )
    look(place.watcher(rows="integration"))
    assert place.ids() == ["scores.csv:0", "scores.csv:1", "scores.csv:2"]


def test_a_partition_that_should_be_there_and_is_not_is_told(place: Place) -> None:
    start = micros("2026-07-01T10:00:00Z")
    moments = [start]
    watcher = place.watcher(
        now=lambda: moments[0], expect={"path": "%Y/%m/%d/%H", "every": "1h", "within": "30m"}
    )
    look(watcher)
    moments[0] = micros("2026-07-01T11:29:00Z")
    look(watcher)
    assert list(watcher.seen.late) == []
    moments[0] = micros("2026-07-01T11:31:00Z")
    look(watcher)
    look(watcher)
    assert list(watcher.seen.late) == ["2026/07/01/10"]
    assert len(place.told) == 1
    folder = place.folder / "2026" / "07" / "01" / "10"
    folder.mkdir(parents=True)
    (folder / "x.jsonl").write_bytes(lines(row(0)))
    look(watcher)
    assert list(watcher.seen.late) == []


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
    assert late(files.expected, ["2026/07/01/a"], micros("2026-07-02T03:00:00Z"), since) == []


START = "{kind: files, name: a, integration: b, location: /x, "


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("{kind: files, name: a, integration: b}", "location"),
        ("{kind: files, name: a, integration: b, location: /x, format: xls}", "format"),
        ("{kind: files, name: a, integration: b, location: /x, rows: events}", "rows"),
        ("{kind: files, name: a b, integration: b, location: /x}", "name"),
        (START + "options: {secret: abc}}", "options.secret"),
        (START + "expect: {path: day, every: 1d}}", "expect.path"),
        (START + "expect: {path: '%Y'}}", "expect.every"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused_at_its_place(text: str, place: str) -> None:
    with pytest.raises(BadDeclaration) as refusal:
        parse(text)
    assert place in str(refusal.value)
