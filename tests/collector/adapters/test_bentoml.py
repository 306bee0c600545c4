"""BentoML's monitoring logs."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.bentoml import of_path, row, schema_path
from tests.collector.adapters.business import altered, body_of, damaged, golden, sample
from tests.collector.adapters.servers import message, read, same, serving, survives

BERLIN = serving("bentoml", zone="Europe/Berlin")
SCHEMA = json.dumps(
    {
        "meta_data": {"bento_name": "iris_clf", "bento_version": "7k2"},
        "columns": [
            {"name": "a", "role": "feature", "type": "numerical"},
            {"name": "pred", "role": "prediction", "type": "categorical"},
            {"name": "truth", "role": "target", "type": "categorical"},
        ],
    }
)


def record(**columns: Any) -> str:
    """A line of the data log."""
    own = {"timestamp": "2026-11-21T02:09:21.614081", "request_id": "r-1", "trace_id": "0"}
    return json.dumps({"a": 1, "pred": "x", **own, **columns})


def test_published_logs_become_predictions_with_the_roles_of_the_schema() -> None:
    body = sample("bentoml/schema.0.log") + sample("bentoml/data.0.log")
    golden("bentoml_published", read(BERLIN, message(body)))


def test_without_a_zone_a_local_time_is_refused() -> None:
    made = read(serving("bentoml"), message(f"{SCHEMA}\n{record()}"))
    assert "zone" in made.refused[0].error.remedy
    assert not made.events


def test_without_schema_the_declaration_tells_the_roles() -> None:
    [refused] = read(BERLIN, message(record())).refused
    assert "predictions" in refused.error.remedy
    declared = serving("bentoml", zone="UTC", predictions="pred")
    event = read(declared, message(record())).events[0]
    assert body_of(event)["output"] == "x"
    assert body_of(event)["inputs"] == {"a": 1}
    assert event.model == "iris"


def test_a_target_is_an_outcome_of_the_same_record() -> None:
    made = read(BERLIN, message(f"{SCHEMA}\n{record(truth='y')}"))
    prediction, outcome = made.events
    assert outcome.type == "OutcomeObserved"
    assert outcome.prediction == ("serving", prediction.id)
    assert body_of(outcome)["outcome"] == "y"
    assert (prediction.model, prediction.version) == ("iris_clf", "7k2")


def test_equal_records_of_one_request_are_two_and_the_same_body_again_is_none() -> None:
    body = message("\n".join([SCHEMA, record(), record()]))
    made = read(BERLIN, body)
    assert len({each.id for each in made.events}) == 2
    assert same(made, read(BERLIN, body))


def test_requests_of_one_record_keep_their_own_id() -> None:
    declared = serving("bentoml", zone="UTC", rows="one", predictions="pred")
    assert read(declared, message(record())).events[0].id == "r-1"


def test_a_file_leads_to_its_name_and_schema() -> None:
    path = "/logs/monitoring/iris/data/data.1.log"
    assert of_path(path) == {"model": "iris", "log": "data"}
    assert schema_path(path) == "/logs/monitoring/iris/schema/schema.1.log"
    place = {"model": "iris", "schema": SCHEMA}
    assert body_of(row(record().encode(), BERLIN, place).events[0])["output"] == "x"
    assert not row(SCHEMA.encode(), BERLIN).events
    assert of_path("data.log") == {}


@given(st.data())
def test_no_line_breaks_reading(data: st.DataObject) -> None:
    change = data.draw(st.sampled_from([altered, damaged]))
    lines = [SCHEMA.encode(), record(truth=1).encode()]
    at = data.draw(st.integers(0, 1))
    lines[at] = data.draw(change(lines[at]))
    survives(BERLIN, message(b"\n".join(lines)))
