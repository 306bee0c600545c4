"""Oracle Fusion events through Integration Cloud: old and new values as XML."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.errors import CollectorError, Invalid, Malformed
from collector.integrations.declaration import Record
from tests.collector.adapters.business import (
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

NAME = "oracle.oic"
SAMPLE = "oracle/ap_invoice_hold_applied.xml.txt"
OPTIONS = {"key": "InvoiceId", "time": "HoldDate", "actor": "HeldBy", "zone": "UTC"}
CHANGED = b"""<onEvent xmlns="urn:e"><o:InvoiceInfo xmlns:o="urn:o">
 <o:InvoiceId><o:newValue value="7"/><o:oldValue value="7"/></o:InvoiceId>
 <o:Risk><o:newValue value="low"/><o:oldValue value="high"/></o:Risk>
 <o:Status><o:newValue value="PAID"/><o:oldValue value="OPEN"/></o:Status>
 <o:LastUpdateDate><o:newValue value="2026-01-31T09:30:00"/><o:oldValue/></o:LastUpdateDate>
 <o:LastUpdatedBy><o:newValue value="anna"/><o:oldValue value="bot"/></o:LastUpdatedBy>
</o:InvoiceInfo></onEvent>"""
RECORD = Record(prediction="Risk", outcome=terminal("Status", PAID="paid"))
READING = declared(NAME, record=RECORD, options={"key": "InvoiceId", "zone": "UTC"})


def test_the_published_event_is_not_well_formed_and_is_refused() -> None:
    with pytest.raises(Malformed) as caught:
        read(NAME, sample(SAMPLE), declared(NAME, record="HoldReason", options=OPTIONS))
    golden_refusal("oracle_not_well_formed", caught.value)


def test_the_published_event_with_its_namespaces_back_is_read() -> None:
    body = sample(SAMPLE).replace(b'=""', b'="urn:x"', 2)
    person = declared(NAME, record="HoldReason", options=OPTIONS)
    assert read(NAME, body, person).unrelated == 1  # a new record: nothing was overridden
    own = declared(NAME, record="HoldReason", writers=("5",), options=OPTIONS)
    golden("oracle_hold", read(NAME, body, own))


def test_old_and_new_value_are_an_override_and_a_terminal_status_an_outcome() -> None:
    made = read(NAME, CHANGED, READING)
    golden("oracle_changed", made)
    assert [each.type for each in made.events] == ["OversightRecorded", "OutcomeObserved"]


def test_local_times_need_a_declared_zone() -> None:
    with pytest.raises(Invalid, match="zone"):
        read(NAME, CHANGED, declared(NAME, record=RECORD, options={"key": "InvoiceId"}))


def test_it_is_marked_as_not_verified() -> None:
    own = declared(NAME, record="Risk", writers=("anna",), options=READING.options)
    assert one(read(NAME, CHANGED, own))[1]["origin"]["verified"] is False


@pytest.mark.parametrize(
    "body",
    [b"", b"<a/>", b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', b"<a>" * 99, b"<a>" * 50_000],
)
def test_hostile_and_foreign_xml_is_refused(body: bytes) -> None:
    with pytest.raises(CollectorError):
        read(NAME, body, READING)


@given(damaged(CHANGED) | st.binary(max_size=100))
def test_no_damaged_event_does_more_than_be_refused(body: bytes) -> None:
    survives(NAME, body, READING)
