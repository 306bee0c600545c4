"""What a changed record means, whichever system told it."""

from typing import Any

import pytest

from collector.adapters import times
from collector.adapters.changes import Change, Reader
from collector.errors import Invalid
from collector.integrations.declaration import Record
from tests.collector.adapters.business import body_of, declared, terminal

AT = times.of_text("2026-01-31T09:30:00Z")
RECORD = Record(
    prediction="score",
    id="score_id",
    version="score_version",
    scored_at="scored_at",
    inputs=("age",),
    outcome=terminal("stage", Won=1, Lost=0),
)


def reader(record: Record | None = RECORD, **fields: Any) -> Reader:
    return Reader("test", declared("test", record=record, writers=("model",), **fields))


def change(**fields: Any) -> Change:
    new = fields.pop("new", {"score": 0.7})
    return Change(
        system="crm",
        object="lead",
        id="7",
        time=AT,
        new=new,
        changed=fields.pop("changed", frozenset(new)),
        accounts=fields.pop("accounts", ("anna",)),
        **fields,
    )


def bodies(reading: Reader, told: Change) -> list[tuple[str, dict[str, Any]]]:
    return [(each.type, body_of(each)) for each in reading.events(told)]


def test_what_the_writer_sets_is_a_prediction_with_its_stamps() -> None:
    stamps = {"score_id": "p-1", "score_version": "4", "scored_at": 1769850000000, "age": 41}
    told = change(new={"score": 0.7, **stamps}, accounts=("model",))
    [(type, body)] = bodies(reader(), told)
    assert type == "PredictionLogged"
    assert (body["id"], body["output"], body["score"]) == ("p-1", 0.7, 0.7)
    assert body["time"] == "2026-01-31T09:00:00Z"
    assert body["model"] == {"name": "lead-score", "version": "4"}
    assert body["inputs"] == {"age": 41}
    assert body["subject"] == {"scheme": "default", "id": "lead:7"}
    assert body["references"] == {"record": "crm:lead:7:score"}


def test_without_a_stamp_the_id_is_record_field_and_commit_time() -> None:
    [(_, body)] = bodies(reader(), change(accounts=("model",), key="e9"))
    assert body["id"] == "lead:7:score:2026-01-31T09:30:00Z:e9"
    assert body["model"] == {"name": "lead-score", "version": "3"}


def test_what_anyone_else_changes_is_an_override_with_old_and_new_value() -> None:
    told = change(new={"score": 0.1, "score_id": "p-1"}, old={"score": 0.7, "score_id": "p-1"})
    told = change(new=told.new, old=told.old, changed=frozenset({"score"}), role="CRM_UI")
    [(type, body)] = bodies(reader(), told)
    assert type == "OversightRecorded"
    assert (body["action"], body["final_output"], body["previous_output"]) == ("override", 0.1, 0.7)
    assert (body["reviewer"], body["role"]) == ("anna", "CRM_UI")
    assert body["prediction"] == {"id": "p-1"}
    assert "joined" not in body["origin"]


def test_a_join_without_a_stamp_is_marked_inferred_and_names_no_prediction_by_chance() -> None:
    [(_, prediction)] = bodies(reader(), change(accounts=("model",)))
    [(_, override)] = bodies(reader(), change(new={"score": 0.1}))
    assert override["origin"]["joined"] == "inferred"
    assert override["prediction"]["id"] == "lead:7:score" != prediction["id"]
    assert override["references"] == prediction["references"]


def test_whoever_clears_the_stamp_with_the_override_is_joined_by_what_stood_there() -> None:
    told = change(new={"score": 0.1, "score_id": None}, old={"score_id": "p-1"})
    [(_, body)] = bodies(reader(), told)
    assert body["prediction"] == {"id": "p-1"}


def test_a_terminal_value_is_an_outcome_and_any_other_value_is_none() -> None:
    [(type, body)] = bodies(reader(), change(new={"stage": "Won", "score_id": "p-1"}))
    assert type == "OutcomeObserved"
    assert (body["outcome"], body["label_source"]) == (1, "crm:stage")
    assert body["prediction"] == {"id": "p-1"}
    assert bodies(reader(), change(new={"stage": "Open"})) == []


def test_labels_are_met_in_capitals_too_and_the_models_own_write_is_marked() -> None:
    [(_, body)] = bodies(reader(), change(new={"stage": "LOST"}, accounts=("model",)))
    assert (body["outcome"], body["label_source"]) == (0, "crm:stage:writer")


def test_an_unchanged_record_confirms_nothing() -> None:
    told = change(new={"score": 0.7, "stage": "Won"}, changed=frozenset({"name"}))
    assert bodies(reader(), told) == []


def test_prediction_and_outcome_of_one_change_are_two_events() -> None:
    told = change(new={"score": 0.7, "stage": "Won"}, accounts=("model",))
    assert [type for type, _ in bodies(reader(), told)] == ["PredictionLogged", "OutcomeObserved"]


def test_a_change_by_nobody_is_refused_with_the_remedy() -> None:
    with pytest.raises(Invalid, match="who changed") as caught:
        reader().events(change(accounts=()))
    assert "account" in caught.value.remedy


def test_a_new_stamp_without_the_value_is_refused_unless_the_sender_tells_fields_one_by_one() -> (
    None
):
    told = change(new={"score_id": "p-2"}, accounts=("model",))
    with pytest.raises(Invalid, match="lacks the prediction"):
        reader().events(told)
    alone = change(new={"score_id": "p-2"}, accounts=("model",), alone=True)
    assert reader().events(alone) == []


def test_a_new_stamp_beside_an_unchanged_value_is_a_new_prediction() -> None:
    told = change(
        new={"score": 0.7, "score_id": "p-2"},
        changed=frozenset({"score_id"}),
        accounts=("model",),
    )
    [(type, body)] = bodies(reader(), told)
    assert (type, body["id"]) == ("PredictionLogged", "p-2")


@pytest.mark.parametrize(
    "told",
    [
        change(new={"score": 0.7}, created=True),
        change(new={"score": 0.7}, old={"score": 0.7}),
        change(new={"score": None}, accounts=("model",)),
        change(new={"score": ""}, accounts=("model",)),
        change(new={"score": 0.7}, accounts=("import",)),
        change(new={"score": 0.7}, changed=None),
        change(new={"name": "x"}),
    ],
    ids=["created", "same", "cleared", "emptied", "ignored", "snapshot", "other field"],
)
def test_these_changes_say_nothing_about_the_prediction(told: Change) -> None:
    assert reader(options={"ignored_accounts": "bulk, import"}).events(told) == []


def test_a_snapshot_of_the_writer_is_its_prediction_and_repeats_an_outcome_under_one_id() -> None:
    first = change(new={"score": 0.7, "stage": "Won"}, changed=None, accounts=("model",))
    later = Change(
        system="crm",
        object="lead",
        id="7",
        time=times.of_text("2026-02-01T00:00:00Z"),
        new={"stage": "Won"},
        accounts=("anna",),
    )
    outcome = reader().events(first)[1]
    again = reader().events(later)[0]
    assert (outcome.id, outcome.content) == (again.id, again.content)


def test_a_redelivery_that_words_other_fields_otherwise_is_the_same_content() -> None:
    once = change(new={"score": 0.7, "score_id": "p-1", "age": 41}, accounts=("model",))
    again = change(
        new={"score": 0.7, "score_id": "p-1", "age": 42}, accounts=("model",), wire={"attempt": 2}
    )
    one, two = reader().events(once)[0], reader().events(again)[0]
    assert (one.id, one.content) == (two.id, two.content)
    assert one.body != two.body


def test_another_value_under_the_same_stamp_is_a_contradiction() -> None:
    one = reader().events(change(new={"score": 0.7, "score_id": "p-1"}, accounts=("model",)))[0]
    two = reader().events(change(new={"score": 0.8, "score_id": "p-1"}, accounts=("model",)))[0]
    assert one.id == two.id
    assert one.content != two.content


def test_text_is_read_as_a_number_where_declared() -> None:
    numeric = reader(options={"numeric": "yes"})
    [(_, body)] = bodies(numeric, change(new={"score": " 0.82 "}, accounts=("model",)))
    assert (body["output"], body["score"]) == (0.82, 0.82)
    [(_, body)] = bodies(numeric, change(new={"score": "high"}))
    assert body["final_output"] == "high"


def test_the_declared_field_names_the_person_and_where_it_lacks_nobody_is_named() -> None:
    persons = reader(options={"subject": "contact"})
    [(_, body)] = bodies(persons, change(new={"score": 1, "contact": "c-9"}, accounts=("model",)))
    assert body["subject"]["id"] == "c-9"
    [(_, body)] = bodies(persons, change(new={"score": 0}))
    assert "subject" not in body


def test_a_declaration_without_a_record_is_refused_with_the_remedy() -> None:
    with pytest.raises(Invalid, match="which field") as caught:
        reader(None).events(change())
    assert "record" in caught.value.remedy


def test_a_version_that_is_no_name_is_refused_with_its_place() -> None:
    with pytest.raises(Invalid) as caught:
        reader().events(change(new={"score": 1, "score_version": "v 3"}, accounts=("model",)))
    assert caught.value.field == "/model/version"


def test_long_names_give_ids_that_differ_and_fit() -> None:
    long = Record(prediction="score" * 60)
    ids = set()
    for number in "12":
        told = Change(
            system="crm",
            object="o" * 200,
            id=f"x{number}",
            time=AT,
            new={long.prediction: 1},
            changed=frozenset({long.prediction}),
            accounts=("model",),
        )
        ids.add(reader(long).events(told)[0].id)
    assert len(ids) == 2
    assert all(len(each) <= 256 for each in ids)


def test_parts_are_refused_one_by_one_and_a_lone_part_is_refused_as_the_message() -> None:
    def changes(raw: bytes) -> list[Change]:
        return [change(accounts=() if raw == b"bad" else ("model",))]

    made = reader().read([b"good", b"bad"], changes)
    assert len(made.events) == 1
    assert [each.raw for each in made.refused] == [b"bad"]
    with pytest.raises(Invalid):
        reader().read([b"bad"], changes)
