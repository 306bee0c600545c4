"""Salesforce outbound messages: SOAP 1.1, up to a hundred notifications in each.

Decides what a notification tells and how Salesforce is answered: `<Ack>true</Ack>` once all is
durable, in quarantine too, for otherwise it sends the same bytes for a day; a fault with the
status where it shall come again.

    Envelope/Body/notifications: OrganizationId, ActionId, SessionId, EnterpriseUrl, PartnerUrl,
    Notification*: Id, sObject[@xsi:type]: fields

A notification holds the record's latest values and not what changed, nor what was before: two
changes may arrive as one, and a second delivery may tell more than the first. So it is a snapshot
(see `changes`); the message must select LastModifiedById and LastModifiedDate, and option `sent_on`
names the fields whose change alone sends it. There is no signature: use a secret path or mutual
TLS, and option `organization`, which refuses other organisations' messages.

The message carries a session id, which opens the sender's system. It is cut out of everything that
is kept.
"""

import re
from collections.abc import Iterator
from xml.etree.ElementTree import Element, SubElement, tostring
from xml.sax.saxutils import escape

import msgspec

from collector.adapters import changes, times
from collector.adapters.changes import Change, Reader, sent_on
from collector.adapters.salesforce import accounts
from collector.adapters.texts import local, xml_of
from collector.adapters.wire import Adapted, Adapter, Message, Refused, Reply
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared

_SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
_OUTBOUND = "http://soap.sforce.com/2005/09/outbound"
_NIL = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
_XML = (("content-type", "text/xml; charset=utf-8"),)
_SESSION = "sessionid"
_named = re.compile(rb"sessionid(?![\w.-])", re.IGNORECASE)

ACK = Reply(
    200,
    (
        f'<soapenv:Envelope xmlns:soapenv="{_SOAP}"><soapenv:Body>'
        f'<notificationsResponse xmlns="{_OUTBOUND}"><Ack>true</Ack></notificationsResponse>'
        "</soapenv:Body></soapenv:Envelope>"
    ).encode(),
    _XML,
)


def failing(_message: Message, status: int, title: str) -> Reply:
    """The acknowledgement where nothing is gained by sending again, else a SOAP fault."""
    if status == 200:
        return ACK
    side = "Client" if 400 <= status < 500 else "Server"
    body = (
        f'<soapenv:Envelope xmlns:soapenv="{_SOAP}"><soapenv:Body><soapenv:Fault>'
        f"<faultcode>soapenv:{side}</faultcode><faultstring>{escape(title)}</faultstring>"
        "</soapenv:Fault></soapenv:Body></soapenv:Envelope>"
    )
    return Reply(status, body.encode(), _XML)


def read(message: Message, declared: Declared) -> Adapted:
    """Read the notifications of one message; see `Adapter`.

    Never raises for the body: what is refused goes to quarantine without its session id.
    """
    try:
        notifications, origin = _notifications(message.unpacked, declared)
    except CollectorError as error:
        return Adapted(refused=[Refused(_without_session(message.unpacked), error)], reply=ACK)
    reader = Reader("salesforce.outbound", declared)
    parts = {_alone(each, origin): each for each in notifications}
    made = reader.each(parts, lambda part: _changes(parts[part], origin, declared))
    return Adapted(made.events, made.refused, reply=ACK, unrelated=made.unrelated)


def _notifications(body: bytes, declared: Declared) -> tuple[list[Element], dict[str, str]]:
    root = xml_of(body)
    holder = next((each for each in root.iter() if local(each.tag) == "notifications"), None)
    if holder is None:
        raise Invalid(
            "the XML is no outbound message",
            field="/Envelope/Body/notifications",
            remedy="Send outbound messages of Salesforce to this address.",
        )
    origin = {
        local(each.tag): (each.text or "").strip()
        for each in holder
        if local(each.tag) in {"OrganizationId", "ActionId"}
    }
    expected = declared.options.get("organization", "")
    if expected and origin.get("OrganizationId", "")[:15] != expected[:15]:
        raise Invalid(
            "the message is of another organisation than the declared one",
            field="/Envelope/Body/notifications/OrganizationId",
            remedy="Correct `options: {organization: …}`, or find out who sends this.",
        )
    return [each for each in holder if local(each.tag) == "Notification"], origin


def _changes(notification: Element, origin: dict[str, str], declared: Declared) -> Iterator[Change]:
    subject = next((each for each in notification if local(each.tag) == "sObject"), None)
    if subject is None:
        raise Invalid(
            "a notification holds no record",
            field="/Notification/sObject",
            remedy="Select at least Id, LastModifiedDate, LastModifiedById and the prediction.",
        )
    fields = {local(each.tag): _value(each) for each in subject}
    written = fields.get("LastModifiedDate") or fields.get("SystemModstamp")
    if written is None:
        raise Invalid(
            "the notification does not say when the record changed",
            field="/Notification/sObject/LastModifiedDate",
            remedy="Add LastModifiedDate and LastModifiedById to the outbound message's fields.",
        )
    notified = next((each.text for each in notification if local(each.tag) == "Id"), None)
    yield Change(
        system="salesforce",
        object=subject.get(_TYPE, "").rpartition(":")[2],
        id=fields.get("Id") or "",
        time=times.of_text(written),
        new=fields,
        changed=sent_on(declared, fields),
        accounts=accounts(fields.get("LastModifiedById"), None),
        origin={
            "notification": (notified or "").strip(),
            "organization": origin.get("OrganizationId", ""),
            "action": origin.get("ActionId", ""),
        },
    )


def _value(element: Element) -> str | None:
    if element.get(_NIL, "") in {"true", "1"}:
        return None
    return "".join(element.itertext()).strip() if len(element) else (element.text or "").strip()


def _alone(notification: Element, origin: dict[str, str]) -> bytes:
    """A message with one notification, which can be read again; without the session."""
    root = Element(f"{{{_SOAP}}}Envelope")
    holder = SubElement(SubElement(root, f"{{{_SOAP}}}Body"), f"{{{_OUTBOUND}}}notifications")
    for name, text in origin.items():
        SubElement(holder, f"{{{_OUTBOUND}}}{name}").text = text
    holder.append(notification)
    _drop_session(root)
    whole: bytes = tostring(root, encoding="utf-8")
    return whole


def bare(message: Message) -> Message:
    """The message without its session id; one that is compressed, as none is, without its body."""
    encoded = any(name == b"content-encoding" for name, _ in message.headers)
    body = b"" if encoded else _without_session(message.body)
    return msgspec.structs.replace(message, body=body, unpacked=b"")


def _without_session(body: bytes) -> bytes:
    """What may be kept of a body: where it is XML, all but the session; else what is not near it.

    XML is written anew, since there are many ways to write an element, and comments may hold one.
    """
    try:
        root = xml_of(body)
    except CollectorError:
        # Without its NULs, UTF-16 shows its ASCII: an element's name is found in either.
        return _without_traces(body.replace(b"\0", b"") if b"\0" in body else body)
    if not _drop_session(root) and not _named.search(body.replace(b"\0", b"")):
        return body
    whole: bytes = tostring(root, encoding="utf-8")
    return whole


def _drop_session(root: Element) -> bool:
    """Take every element and attribute of that name out; tells whether there was one."""
    found = False
    if local(root.tag).casefold() == _SESSION:
        root.clear()
        return True
    for each in root.iter():
        for child in [child for child in each if local(child.tag).casefold() == _SESSION]:
            each.remove(child)
            found = True
        for name in [name for name in each.attrib if local(name).casefold() == _SESSION]:
            del each.attrib[name]
            found = True
    return found


def _without_traces(body: bytes) -> bytes:
    """A body that is no XML without all that is between the first and the last tag of the name.

    A beginning that is missing is thought before the body, an end after it.
    """
    found = [(each.start(), each.end()) for each in _named.finditer(body)]
    if not found:
        return body
    first, last = found[0][0], found[-1]
    start = body.rfind(b"<", 0, first)
    if start < 0 or body.startswith(b"</", start):
        start = 0
    opened = body.rfind(b"<", 0, last[0])
    end = body.find(b">", last[1])
    closed = opened >= 0 and body.startswith(b"</", opened) and end >= 0
    return body[:start] + (body[end + 1 :] if closed else b"")


ADAPTER = Adapter(
    name="salesforce.outbound",
    read=read,
    unreadable=200,
    failing=failing,
    bare=bare,
    options={
        **changes.OPTIONS,
        "sent_on": changes.SENT_ON,
        "organization": "The organisation's id; messages of others are refused.",
    },
)
