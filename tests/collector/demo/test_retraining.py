"""What the retrainer makes of an export: another version, measured, with a lineage."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from audit.events import event_of
from collector.demo import flights, model, retraining
from collector.demo.errors import DemoError
from collector.demo.flights import Flight
from collector.demo.plan import month_start
from collector.demo.retrainer import Named, Order
from collector.demo.retraining import Labelled, Shelf

ORDER = Order("case-1", Named("late-arrival", "1"), "/labels", "/acknowledge")


@pytest.fixture(scope="module")
def year() -> list[Flight]:
    return flights.load(8_000)


def january(year: list[Flight]) -> Labelled:
    arrived = [f for f in year if f.asked_us < month_start(2) and f.label is not None]
    return Labelled("january", "d", [f.inputs for f in arrived], [f.label or 0 for f in arrived])


def parquet(year: list[Flight]) -> bytes:
    """An export of June and July as the API makes it, with one correction among the outcomes."""
    summer = [f for f in year if month_start(6) <= f.asked_us < month_start(8)]
    rows = [
        {
            "entry": place,
            "time": f.asked_us,
            **f.inputs,
            "label": f.outcome,
            "label_source": "correction" if place == 0 else "outcome",
        }
        for place, f in enumerate(summer)
    ]
    sink = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), sink)
    return sink.getvalue()


def test_only_observed_arrivals_teach(year: list[Flight]) -> None:
    content = parquet(year)
    export = retraining.read_export(content, "case-1")
    arrived = [
        f for f in year if month_start(6) <= f.asked_us < month_start(8) and f.label is not None
    ]
    assert len(export.rows) in (len(arrived) - 1, len(arrived))  # the first may not have arrived
    assert export.rows[-1] == arrived[-1].inputs
    assert export.reference == {"name": "labels/case-1", "digest": model.digest_of(content)}


def test_an_export_without_labels_is_refused_by_name() -> None:
    sink = io.BytesIO()
    pq.write_table(pa.table({"dep_delay": [1.0]}), sink)
    with pytest.raises(DemoError, match="label_source"):
        retraining.read_export(sink.getvalue(), "case-1")


def test_a_retraining_gives_another_version_that_names_its_case_and_its_data(
    year: list[Flight],
) -> None:
    learned = january(year)
    export = retraining.read_export(parquet(year), "case-1")
    before = model.train("1", learned.rows, learned.labels)
    trained, release = retraining.retrain("2", ORDER, before, learned, export)
    assert trained.rows == len(learned.rows) + len(export.rows)
    assert trained.digest != before.digest
    assert release["case"] == "case-1"
    lineage = release["model"]["lineage"]
    assert lineage["artifact_digest"] == trained.digest
    assert lineage["datasets"] == [learned.reference, export.reference]
    assert set(release["metrics"]) == {
        *("holdout_rows", "accuracy_v1", "brier_v1", "accuracy_v2", "brier_v2")
    }
    body = {**release, "time": "2013-08-01T03:00:00Z"}
    assert event_of("VersionReleased", "retrainer", body).version == "2"


def test_the_shelf_finds_a_version_again_by_its_case(tmp_path: Path, year: list[Flight]) -> None:
    learned = january(year)
    shelf = Shelf(tmp_path / "models")
    assert shelf.next_version() == "1"
    first = model.train("1", learned.rows, learned.labels)
    shelf.put(first, {**retraining.release_of(first, [learned], "train"), "time": "t"})
    second = model.train("2", learned.rows[50:], learned.labels[50:])
    shelf.put(second, {**retraining.release_of(second, [learned], "r"), "case": "case-1"})
    again = Shelf(tmp_path / "models")
    assert again.for_case("case-1") == "2"
    assert again.for_case("case-2") is None
    assert again.next_version() == "3"
    found = again.get("2")
    assert found is not None
    assert found.digest == second.digest
    assert model.digest_of(again.artifact("2").read_bytes()) == second.digest
