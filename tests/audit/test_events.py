"""What a producer may say, and what would harm everybody if it were accepted."""

from typing import Any

import pytest

from audit.errors import Rejected
from audit.events import event_of, micros, rfc3339

BODY: dict[str, Any] = {
    "id": "1",
    "time": "2026-01-01T00:00:00Z",
    "model": {"name": "m", "version": "1"},
    "inputs": {},
}


def test_a_prediction_becomes_its_clear_fields() -> None:
    event = event_of("PredictionLogged", "crm", {**BODY, "latency_ms": {"total": 1.5}})
    assert (event.model, event.version, event.status, event.latency_us) == ("m", "1", "ok", 1500)
    assert rfc3339(event.event_us) == BODY["time"]


@pytest.mark.parametrize(
    "change",
    [
        {"model": {"name": "bad\n", "version": "1"}},
        {"model": {"name": "m", "version": "1\n"}},
        {"model": {"name": "m", "version": 'a"b'}},
        {"context": {"retention_class": "standard\n"}},
    ],
)
def test_a_name_that_a_leaf_may_not_carry_is_rejected(change: dict[str, Any]) -> None:
    with pytest.raises(Rejected):
        event_of("PredictionLogged", "crm", {**BODY, **change})


def test_an_integration_with_a_newline_is_rejected() -> None:
    with pytest.raises(Rejected):
        event_of("PredictionLogged", "crm\n", BODY)


@pytest.mark.parametrize(
    "time",
    [
        "9999-12-31T23:59:59-01:00",
        "0001-01-01T00:00:00+14:00",
        "1969-12-31T23:59:59Z",
        "9999-01-01T00:00:00Z",
    ],
)
def test_a_time_that_no_page_could_write_is_rejected(time: str) -> None:
    with pytest.raises(Rejected) as caught:
        event_of("PredictionLogged", "crm", {**BODY, "time": time})
    assert caught.value.field == "/time"


def test_a_time_without_a_zone_is_rejected() -> None:
    with pytest.raises(Rejected, match="time"):
        event_of("PredictionLogged", "crm", {**BODY, "time": "2026-01-01T00:00:00"})


def test_trace_context_is_sealed_but_does_not_make_other_content() -> None:
    one, two = (
        event_of("PredictionLogged", "crm", {**BODY, "context": {"traceparent": trace}})
        for trace in ("00-a", "00-b")
    )
    assert one.body != two.body
    assert one.content == two.content is not None


def test_fields_that_nobody_named_are_kept() -> None:
    assert b"extra" in event_of("PredictionLogged", "crm", {**BODY, "extra": 1}).body


def test_messages_name_the_field_and_never_the_value() -> None:
    with pytest.raises(Rejected) as caught:
        event_of("PredictionLogged", "crm", {**BODY, "score": "SECRET"})
    assert caught.value.field == "/score"
    assert "SECRET" not in str(caught.value)


@pytest.mark.parametrize("us", [0, 1, 1_772_323_200_000_000, 1_772_323_200_123_456])
def test_times_are_written_and_read_alike(us: int) -> None:
    assert micros(rfc3339(us)) == us
