"""Salesforce outbound messages: notifications, acknowledgement, and a session that is not kept."""

import time
from xml.etree.ElementTree import fromstring

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapted, Message
from collector.integrations.declaration import Declared, Record
from tests.collector.adapters.business import (
    body_of,
    damaged,
    declared,
    golden,
    one,
    read,
    sample,
    survives,
    terminal,
)

NAME = "salesforce.outbound"
SECRET = "00D!sessionsecret"
RECORD = Record(
    prediction="Score__c",
    id="Score_Id__c",
    scored_at="Scored_At__c",
    outcome=terminal("StageName", **{"Closed Won": "won", "Closed Lost": "lost"}),
)
WRITING = declared(NAME, record=RECORD, writers=("005000000000001",))


def notification(number: int = 1, **fields: str | None) -> str:
    """One notification; a field of None is nil."""
    told = {
        "Id": "006000000000001",
        "LastModifiedById": "005000000000001AAA",
        "LastModifiedDate": "2026-01-31T09:30:00.000Z",
        **fields,
    }
    inside = "".join(
        f'<sf:{name} xsi:nil="true"/>' if value is None else f"<sf:{name}>{value}</sf:{name}>"
        for name, value in told.items()
    )
    return (
        f"<Notification><Id>04l{number}</Id>"
        f'<sObject xsi:type="sf:Opportunity" xmlns:sf="urn:sobject.enterprise.soap.sforce.com">'
        f"{inside}</sObject></Notification>"
    )


def message(*notifications: str, organization: str = "00D5Y000001MPM7UAO") -> bytes:
    """A whole message with a session."""
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"'
        ' xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>'
        '<notifications xmlns="http://soap.sforce.com/2005/09/outbound">'
        f"<OrganizationId>{organization}</OrganizationId><ActionId>04k</ActionId>"
        f"<SessionId>{SECRET}</SessionId>{''.join(notifications)}"
        "</notifications></soapenv:Body></soapenv:Envelope>"
    ).encode()


def acknowledged(made: Adapted) -> bool:
    """Whether Salesforce may forget the message."""
    body = fromstring(made.reply.body)
    found = body.iter("{http://soap.sforce.com/2005/09/outbound}Ack")
    return made.reply.status == 200 and [each.text for each in found] == ["true"]


def kept(made: Adapted) -> bytes:
    """All bytes that anything will store."""
    return b"".join([*(each.body for each in made.events), *(each.raw for each in made.refused)])


def test_the_published_message_lacks_a_time_and_is_acknowledged_and_refused() -> None:
    selected = declared(NAME, record=Record(prediction="PREMIUM_CHARGES__c"))
    made = read(NAME, sample("salesforce/outbound_message.xml"), selected)
    assert acknowledged(made)
    golden("salesforce_outbound", made)


def test_our_acknowledgement_says_what_the_published_one_says() -> None:
    ours = fromstring(read(NAME, message(notification()), WRITING).reply.body)
    published = fromstring(sample("salesforce/outbound_message_ack.xml"))
    tag = "{http://soap.sforce.com/2005/09/outbound}Ack"
    assert [each.text for each in ours.iter(tag)] == [each.text for each in published.iter(tag)]
    assert ours.tag == published.tag


def test_the_writers_record_is_its_prediction_with_the_stamps() -> None:
    body = message(
        notification(
            Score__c="0.82", Score_Id__c="p-1", Scored_At__c="2026-01-31T09:29:00.000Z", Why__c=None
        )
    )
    made = read(NAME, body, WRITING)
    golden("salesforce_outbound_prediction", made)
    assert acknowledged(made)
    assert SECRET.encode() not in kept(made)


def test_a_second_delivery_with_later_values_of_other_fields_is_a_duplicate() -> None:
    first = message(notification(Score__c="0.82", Score_Id__c="p-1", Name="a"))
    again = message(
        notification(
            Score__c="0.82",
            Score_Id__c="p-1",
            Name="b",
            LastModifiedDate="2026-01-31T09:31:00.000Z",
        )
    )
    one_, two = (read(NAME, each, WRITING).events[0] for each in (first, again))
    assert (one_.id, one_.content) == (two.id, two.content)


def test_a_persons_record_is_no_evidence_of_an_override_unless_only_that_change_sends_it() -> None:
    body = message(notification(Score__c="0.1", Score_Id__c="p-1", LastModifiedById="005X"))
    assert read(NAME, body, WRITING).unrelated == 1
    sending = declared(NAME, record=RECORD, options={"sent_on": "Score__c"})
    type, told = one(read(NAME, body, sending))
    assert (type, told["reviewer"], told["prediction"]) == (
        "OversightRecorded",
        "005X",
        {"id": "p-1"},
    )


def test_a_terminal_stage_is_an_outcome_told_once_however_often_it_is_sent() -> None:
    first = message(notification(StageName="Closed Won", Score_Id__c="p-1"))
    later = message(
        notification(
            StageName="Closed Won", Score_Id__c="p-1", LastModifiedDate="2026-03-01T00:00:00.000Z"
        )
    )
    one_, two = (read(NAME, each, WRITING).events[-1] for each in (first, later))
    assert one_.type == "OutcomeObserved"
    assert body_of(one_)["prediction"] == {"id": "p-1"}
    assert (one_.id, one_.content) == (two.id, two.content)


def test_a_bad_notification_does_not_sink_the_others_and_can_be_read_again_alone() -> None:
    body = message(
        *(notification(n, Id=f"006{n}", Score__c=str(n)) for n in range(99)),
        notification(99, Score__c="1", LastModifiedById=None),
    )
    made = read(NAME, body, WRITING)
    assert (len(made.events), len(made.refused)) == (99, 1)
    assert acknowledged(made)
    assert SECRET.encode() not in kept(made)
    again = read(NAME, made.refused[0].raw, WRITING)
    assert str(again.refused[0].error) == str(made.refused[0].error)


def test_another_organisations_message_is_refused() -> None:
    ours = declared(NAME, record=RECORD, options={"organization": "00D5Y000001MPM7"})
    assert not read(NAME, message(notification(Score__c="1")), ours).refused
    made = read(NAME, message(notification(Score__c="1"), organization="00Dother"), ours)
    assert "organisation" in str(made.refused[0].error)
    assert SECRET.encode() not in kept(made)


BOMB = (
    b'<?xml version="1.0"?><!DOCTYPE b [<!ENTITY a "aaaaaaaaaa">'
    b'<!ENTITY c "&a;&a;&a;&a;&a;&a;&a;&a;">]><SessionId>&c;</SessionId>'
)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<",
        b"<a/>",
        BOMB,
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        b"<a>" * 40 + b"</a>" * 40,
        b"<a>" + b"<b/>" * 100_001 + b"</a>",
        message("")[:-20],
        message("").decode().replace("UTF-8", "UTF-16").encode("utf-16")[:-20],
    ],
    ids=["empty", "open", "other", "bomb", "dtd", "deep", "broad", "cut", "utf-16"],
)
def test_hostile_and_broken_xml_is_refused_acknowledged_and_kept_without_its_session(
    body: bytes,
) -> None:
    made = read(NAME, body, WRITING)
    assert not made.events
    assert len(made.refused) == 1
    assert acknowledged(made)
    assert SECRET.encode() not in kept(made)


LONG = "p" * 70


@pytest.mark.parametrize("whole", [True, False], ids=["whole", "cut off"])
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16"])
@pytest.mark.parametrize(
    "session",
    [
        "<SessionId><![CDATA[TOKEN]]></SessionId>",
        "<SessionId><![CDATA[</SessionId>TOKEN]]></SessionId>",
        "<SessionId><!-- c -->TOKEN</SessionId>",
        "<SessionId><?x?>TOKEN</SessionId>",
        "<SessionId a='>'>TOKEN</SessionId>",
        f"<SessionId a='{'x' * 600}'>TOKEN</SessionId>",
        f"<{LONG}:SessionId xmlns:{LONG}='u'>TOKEN</{LONG}:SessionId>",
        "<SessionId>x<b/>TOKEN</SessionId>",
        "<SessionId>x<b></b>TOKEN</SessionId >",
        "<SESSIONID\n>TOKEN</SESSIONID>",
        "<!-- <SessionId>TOKEN</SessionId> -->",
        "<a SessionId='TOKEN'/>",
        "<SessionId>a</SessionId><SessionId>TOKEN</SessionId>",
    ],
)
def test_a_session_is_kept_of_no_message_however_it_is_written(
    session: str, encoding: str, whole: bool
) -> None:
    text = message("<Notification><Id>1</Id></Notification>").decode()
    text = text.replace(f"<SessionId>{SECRET}</SessionId>", session).replace("UTF-8", encoding)
    body = text.encode(encoding)[: None if whole else -20]
    bare = ADAPTERS[NAME].bare(Message(body=body)).body
    made = read(NAME, body, WRITING)
    assert made.refused
    for each in (bare, kept(made)):
        assert b"TOKEN" not in each.replace(b"\0", b"")
        assert b"OrganizationId" in each
    if whole:
        assert [str(each.error) for each in read(NAME, bare, WRITING).refused] == [
            str(each.error) for each in made.refused
        ]


def test_a_session_whose_beginning_or_end_is_missing_is_not_kept() -> None:
    bare = ADAPTERS[NAME].bare
    for text in (
        "TOKEN</SessionId><a",
        "<a><SessionId>TOKEN",
        "<a><SessionId>b</SessionId>SessionId TOKEN",
    ):
        assert b"TOKEN" not in bare(Message(body=text.encode())).body


def test_cutting_out_the_session_takes_time_in_proportion() -> None:
    body = b"<SessionId>" * 50_000 + b"<SessionId " * 50_000
    began = time.perf_counter()
    made = read(NAME, body, WRITING)
    assert made.refused
    assert time.perf_counter() - began < 2


def test_what_quarantine_keeps_of_a_message_has_no_session_and_can_be_read_again() -> None:
    adapter = ADAPTERS[NAME]
    body = message(notification(Score__c="1", LastModifiedDate=None))
    bare = adapter.bare(Message(body=body, unpacked=body))
    assert SECRET.encode() not in bare.body
    assert str(read(NAME, bare.body, WRITING).refused) == str(read(NAME, body, WRITING).refused)
    packed = adapter.bare(Message(headers=((b"content-encoding", b"gzip"),), body=b"\x1f\x8b"))
    assert packed.body == b""


@pytest.mark.parametrize(("status", "side"), [(401, "Client"), (413, "Client"), (503, "Server")])
def test_every_other_answer_is_a_fault_with_its_status(status: int, side: str) -> None:
    adapter = ADAPTERS[NAME]
    reply = adapter.failing(Message(), status, "too <many>")
    assert reply.status == status
    assert f"soapenv:{side}" in reply.body.decode()
    assert "too &lt;many&gt;" in reply.body.decode()
    assert fromstring(reply.body) is not None
    assert adapter.failing(Message(), adapter.unreadable, "x").status == 200


def _watching() -> Declared:
    return declared(NAME, record=RECORD, writers=("005000000000001",), options={"sent_on": "x"})


@given(damaged(message(notification(Score__c="0.5", StageName="Closed Won"))))
def test_no_damaged_message_does_more_than_be_refused(body: bytes) -> None:
    survives(NAME, body, _watching())


@given(st.binary(max_size=200))
def test_no_bytes_do_more_than_be_refused(body: bytes) -> None:
    survives(NAME, body, _watching())
