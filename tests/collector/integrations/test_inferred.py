"""An override whose message names no prediction is joined to the last one that the log knows."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from audit.catalog import Catalog
from audit.clock import system_clock
from audit.events import Event
from audit.settings import AuditSettings
from audit.store import Store, open_store
from collector.adapters import times
from collector.adapters.changes import Change, Reader
from collector.integrations.declaration import Record
from collector.integrations.inferred import Inferred
from tests.collector.adapters.business import body_of, declared, terminal

RECORD = Record(prediction="score", id="score_id", outcome=terminal("stage", Won=1))


def told(minute: int, by: str, record: str = "7", **new: Any) -> list[Event]:
    """The events of one change at a minute of an hour."""
    change = Change(
        system="crm",
        object="lead",
        id=record,
        time=times.of_text(f"2026-01-31T09:{minute:02d}:00Z"),
        new=new,
        changed=frozenset(new),
        accounts=(by,),
    )
    return Reader("test", declared("test", record=RECORD, writers=("model",))).events(change)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = AuditSettings(data=tmp_path / "data")
    store = open_store(settings, [Catalog()], clock=system_clock, random=os.urandom)
    yield store
    store.close()


@pytest.fixture
def inferred(store: Store) -> Inferred:
    return Inferred(store.reader)


def appended(store: Store, inferred: Inferred, events: list[Event]) -> list[Event]:
    """Events as they were appended."""
    joined = inferred.joined(events)
    store.ledger.append(joined)
    return joined


def name(event: Event) -> str:
    found: str = body_of(event)["prediction"]["id"]
    return found


def test_an_override_names_the_newest_prediction_before_it(
    store: Store, inferred: Inferred
) -> None:
    appended(store, inferred, told(1, "model", score=0.7))
    newest = appended(store, inferred, told(3, "model", score=0.9, score_id="p-2"))
    appended(store, inferred, told(9, "model", score=0.8))
    appended(store, inferred, told(3, "model", "8", score=0.4))
    [override] = appended(store, inferred, told(5, "anna", score=0.1))
    assert name(override) == newest[0].id == "p-2"
    assert override.prediction == ("crm", "p-2")
    assert body_of(override)["origin"]["joined"] == "inferred"
    [at] = store.reader.about("crm", "p-2")
    assert store.reader.leaf(at).type == "OversightRecorded"


def test_an_outcome_is_joined_the_same_way(store: Store, inferred: Inferred) -> None:
    [prediction] = appended(store, inferred, told(1, "model", score=0.7))
    [outcome] = appended(store, inferred, told(2, "anna", stage="Won"))
    assert name(outcome) == prediction.id


def test_a_prediction_of_the_same_message_is_found_before_it_is_appended(
    inferred: Inferred,
) -> None:
    prediction, override = inferred.joined(
        [*told(1, "model", score=0.7), *told(2, "anna", score=0.1)]
    )
    assert name(override) == prediction.id


def test_a_message_that_comes_again_after_another_prediction_is_a_duplicate(
    store: Store, inferred: Inferred
) -> None:
    appended(store, inferred, told(1, "model", score=0.7))
    late = told(5, "anna", score=0.1)
    appended(store, inferred, late)
    appended(store, inferred, told(4, "model", score=0.9))
    again = inferred.joined(late)
    assert name(again[0]) != name(inferred.joined(told(2, "anna", score=0.1))[0])
    [fate] = store.ledger.append(again)
    assert fate.duplicate
    assert not fate.conflict


def test_without_a_prediction_the_event_stands_under_its_reference_alone(
    store: Store, inferred: Inferred
) -> None:
    [override] = appended(store, inferred, told(5, "anna", score=0.1))
    assert name(override) == "lead:7:score"
    appended(store, inferred, told(9, "model", score=0.8))
    assert name(inferred.joined(told(6, "anna", score=0.2))[0]) == "lead:7:score"


def test_a_stamp_is_never_replaced(store: Store, inferred: Inferred) -> None:
    appended(store, inferred, told(1, "model", score=0.7))
    [override] = appended(store, inferred, told(5, "anna", score=0.1, score_id="p-9"))
    assert name(override) == "p-9"


def test_the_model_of_the_prediction_is_taken_over_where_the_message_lacks_it(
    store: Store, inferred: Inferred
) -> None:
    appended(store, inferred, told(1, "model", score=0.7))
    [override] = told(5, "anna", score=0.1)
    body = body_of(override)
    del body["model"]
    bare = msgspec.structs.replace(
        override, body=msgspec.json.encode(body, order="deterministic"), model="-", version="-"
    )
    [joined] = inferred.joined([bare])
    assert (joined.model, joined.version) == ("lead-score", "3")
