"""Dataverse: the execution context, its images, and what is cut out beyond 256 KB."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.registry import ADAPTERS
from collector.errors import Invalid
from collector.integrations.declaration import Record
from tests.collector.adapters.business import (
    altered,
    damaged,
    declared,
    golden,
    golden_refusal,
    one,
    read,
    sample,
    survives,
    terminal,
)

NAME = "dynamics"
USER = "75c2dd85-e89e-e711-8122-000d3aa2331c"
XRM = "http://schemas.microsoft.com/xrm/2011/Contracts"


def entity(**fields: Any) -> dict[str, Any]:
    pairs = [{"key": name, "value": value} for name, value in fields.items()]
    return {"__type": f"Entity:{XRM}", "Attributes": pairs}


def context(
    target: dict[str, Any],
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    **fields: Any,
) -> bytes:
    """An execution context with images where given."""
    return json.dumps(
        {
            "MessageName": "Update",
            "PrimaryEntityName": "lead",
            "PrimaryEntityId": "6d81597f",
            "InitiatingUserId": USER,
            "UserId": "sync",
            "OperationId": "op-1",
            "CorrelationId": "c-1",
            "OperationCreatedOn": "/Date(1769851800000+0000)/",
            "InputParameters": [{"key": "Target", "value": entity(**target)}],
            "PreEntityImages": [] if before is None else [{"key": "p", "value": entity(**before)}],
            "PostEntityImages": [] if after is None else [{"key": "q", "value": entity(**after)}],
            **fields,
        }
    ).encode()


def option(value: int) -> dict[str, Any]:
    return {"__type": f"OptionSetValue:{XRM}", "Value": value}


RECORD = Record(
    prediction="mw_score",
    id="mw_score_id",
    outcome=terminal("statecode", **{"1": "won", "2": "lost"}),
)


def test_the_published_context_is_an_override_or_the_writers_prediction() -> None:
    body = sample("dynamics/remote_execution_context_update.json")
    golden("dynamics_override", read(NAME, body, declared(NAME, record="firstname")))
    own = declared(NAME, record="firstname", writers=(USER.upper().lower(),))
    golden("dynamics_prediction", read(NAME, body, own))


def test_the_time_is_the_records_own_and_not_the_servers_in_another_zone() -> None:
    body = sample("dynamics/remote_execution_context_update.json")
    _, told = one(read(NAME, body, declared(NAME, record="firstname")))
    assert told["time"] == "2017-09-26T00:04:07Z"
    assert told["origin"]["received_time_text"] == "/Date(1506384247000)/"


def test_images_give_the_old_value_and_the_stamp() -> None:
    body = context(
        {"mw_score": 0.1},
        before={"mw_score": 0.8, "mw_score_id": "p-1"},
        after={"mw_score": 0.1, "mw_score_id": "p-1"},
    )
    type, told = one(read(NAME, body, declared(NAME, record=RECORD)))
    assert type == "OversightRecorded"
    assert (told["previous_output"], told["final_output"]) == (0.8, 0.1)
    assert told["prediction"] == {"id": "p-1"}


def test_what_a_form_sends_unaltered_is_no_change() -> None:
    body = context({"mw_score": 0.8, "name": "x"}, before={"mw_score": 0.8})
    assert read(NAME, body, declared(NAME, record=RECORD)).unrelated == 1


def test_options_references_and_money_are_their_values() -> None:
    _, told = one(read(NAME, context({"statecode": option(1)}), declared(NAME, record=RECORD)))
    assert told["outcome"] == "won"
    reference = {"__type": f"EntityReference:{XRM}", "Id": "abc", "LogicalName": "queue"}
    _, told = one(read(NAME, context({"mw_score": reference}), declared(NAME, record=RECORD)))
    assert told["final_output"] == "abc"
    several = [{"Value": 1}, {"Value": 2}]
    _, told = one(read(NAME, context({"mw_score": several}), declared(NAME, record=RECORD)))
    assert told["final_output"] == [1, 2]


def test_a_created_record_with_a_persons_value_overrides_nothing() -> None:
    body = context({"mw_score": 0.8}, MessageName="Create")
    assert read(NAME, body, declared(NAME, record=RECORD)).unrelated == 1


def test_the_retry_of_one_operation_is_a_duplicate_and_another_operation_is_none() -> None:
    ids = [
        read(NAME, context({"mw_score": 1}, OperationId=each), declared(NAME, record=RECORD))
        .events[0]
        .id
        for each in ("op-1", "op-1", "op-2", "00000000-0000-0000-0000-000000000000")
    ]
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3
    assert ids[3].endswith("c-1")


def test_beyond_256_kb_the_message_is_refused_with_the_remedy_and_not_sent_again() -> None:
    body = context({}, InputParameters=[])
    headers = {"x-ms-dynamics-msg-size-exceeded": "True"}
    with pytest.raises(Invalid, match="256 KB") as caught:
        read(NAME, body, declared(NAME, record=RECORD), headers)
    golden_refusal("dynamics_oversize", caught.value)
    assert ADAPTERS[NAME].unreadable == 200


def test_other_messages_than_create_and_update_are_counted_alone() -> None:
    body = context({}, MessageName="Delete", InputParameters=[])
    assert read(NAME, body, declared(NAME, record=RECORD)).unrelated == 1


@given(st.data())
def test_no_altered_or_damaged_context_does_more_than_be_refused(data: st.DataObject) -> None:
    body = context({"mw_score": option(3), "statecode": option(1)}, {"mw_score": 1}, {"a": None})
    made = data.draw(altered(body) | damaged(body) | st.binary(max_size=64))
    survives(NAME, made, declared(NAME, record=RECORD, writers=(USER,)))
