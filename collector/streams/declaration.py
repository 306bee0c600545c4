"""The declaration of a stream: what a YAML file of `kind: stream` says.

Decides the fields and which of them belong to which broker. Secrets are references (`env:NAME`,
`file:PATH`) and an address that holds a password must be one; `collector.streams.security`
resolves them.

    kind: stream
    name: fraud-decisions
    broker: kafka                  # kafka | rabbitmq | nats | redis
    address: env:KAFKA_ADDRESS     # host:port[,host:port…], a URL, or a reference to either
    topics: [decisions]            # topics, queues, subjects or streams; they must exist
    group: modelwitness            # consumers of one group share what comes
    integration: fraud             # the owner of the events
    format: predictions            # or outcomes, oversight, explanations, cloudevents; integration:
                                   # by the adapter that it is declared with, or that one's name
    content_type: application/json # where a message names none
    batch: 1000                    # most messages that are logged in one commit
    ordered: true                  # but for Kafka: one consumer of the group reads, others stand by
    session: 10s                   # silence after which another consumer takes a reader's place
    paused: false                  # true: declared, and not consumed
    field: data                    # Redis: the field of an entry that is the body
    security:
      tls: true
      ca: file:/etc/ssl/broker.pem       # file: PATH of certificates; default: the system's
      certificate: file:/etc/ssl/us.pem  # with key: client certificate
      key: file:/etc/ssl/us.key
      mechanism: SCRAM-SHA-512           # Kafka: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512
      username: env:BROKER_USER
      password: env:BROKER_PASSWORD
"""

from collections.abc import Collection
from typing import Final

import msgspec

from audit.declared import Section, load, text_of
from audit.errors import BadDeclaration, Rejected
from audit.events import checked_name
from audit.references import PATTERN, REMEDY
from collector.delivery import CLOUDEVENTS, NATIVE

BY_INTEGRATION: Final = "integration"
FORMATS: Final = (*NATIVE, CLOUDEVENTS, BY_INTEGRATION)
"""Formats besides the names of adapters."""
BROKERS: Final = ("kafka", "rabbitmq", "nats", "redis")
MECHANISMS: Final = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512")
_KEYS: Final = (
    "kind", "name", "broker", "address", "topics", "group", "integration", "format",
    "content_type", "batch", "ordered", "session", "paused", "field", "security",
)  # fmt: skip


class Security(msgspec.Struct, frozen=True, kw_only=True):
    """How a broker is spoken to: references and switches, no secret."""

    tls: bool = False
    ca: str = ""
    certificate: str = ""
    key: str = ""
    mechanism: str = "PLAIN"
    username: str = ""
    password: str = ""


class Stream(msgspec.Struct, frozen=True, kw_only=True):
    """One stream; `address`, and what `security` names, may be references."""

    name: str
    broker: str
    address: str
    topics: tuple[str, ...]
    group: str
    integration: str
    format: str
    content_type: str = ""
    batch: int = 1_000
    ordered: bool = True
    session_seconds: int = 10
    paused: bool = False
    field: str = "data"
    security: Security = Security()


def parse(text: str, formats: Collection[str]) -> Stream:
    """Return the stream that a file declares; `formats` are the names of formats that exist.

    Raises `BadDeclaration` naming place and remedy.
    """
    file = Section(load(text), "", *_KEYS)
    file.one_of("kind", ["stream"])
    broker = file.one_of("broker", BROKERS)
    if broker != "redis" and file.take("field") is not None:
        raise BadDeclaration("field", "belongs to redis", f"leave it out for {broker}")
    if broker == "kafka" and file.take("ordered") is not None:
        raise BadDeclaration("ordered", "is always so in Kafka", "leave it out")
    session = file.duration("session", 10_000_000)
    return Stream(
        name=_name(file, "name"),
        broker=broker,
        address=_address(file),
        topics=_topics(file),
        group=file.text("group", "modelwitness") or "",
        integration=_name(file, "integration"),
        format=file.one_of("format", formats),
        content_type=file.text("content_type", "") or "",
        batch=file.count("batch", 1, 10_000, 1_000),
        ordered=file.flag("ordered", True),
        session_seconds=max(1, (session or 0) // 1_000_000),
        paused=file.flag("paused", False),
        field=file.text("field", "data") or "",
        security=_security(file, broker),
    )


def _name(file: Section, key: str) -> str:
    name = text_of(file.required(key, "write a name of letters, digits and ._:/@-"), key)
    try:
        return checked_name(name)
    except Rejected as error:
        raise BadDeclaration(key, "holds characters that a name may not", error.remedy) from None


def _address(file: Section) -> str:
    wanted = "write host:port, a URL, or env:NAME"
    address = text_of(file.required("address", wanted), "address")
    if "@" in address and not PATTERN.fullmatch(address):
        raise BadDeclaration("address", "holds an account", REMEDY)
    return address


def _topics(file: Section) -> tuple[str, ...]:
    wanted = "write a list of names: [decisions]"
    names = file.required("topics", wanted)
    if not isinstance(names, list) or not 1 <= len(names) <= 64:
        raise BadDeclaration("topics", "is no list of 1 to 64 names", wanted)
    return tuple(text_of(name, f"topics[{at}]") for at, name in enumerate(names))


def _security(file: Section, broker: str) -> Security:
    section = file.section("security", *Security.__struct_fields__)
    if section is None:
        return Security()
    if broker != "kafka" and section.take("mechanism") is not None:
        raise BadDeclaration("security.mechanism", "belongs to kafka", f"leave it out for {broker}")
    secret = {}
    for key in ("ca", "certificate", "key", "username", "password"):
        secret[key] = section.text(key, "") or ""
        if secret[key] and key != "username" and not PATTERN.fullmatch(secret[key]):
            raise BadDeclaration(section.at(key), "is no reference", REMEDY)
        if key in {"ca", "certificate", "key"} and secret[key].startswith("env:"):
            raise BadDeclaration(section.at(key), "is no file", 'write "file:PATH"')
    for one, other in (("username", "password"), ("certificate", "key")):
        if bool(secret[one]) != bool(secret[other]):
            raise BadDeclaration(section.at(one), f"goes with {other}", "write both or neither")
    tls = section.flag("tls", bool(secret["ca"] or secret["certificate"]))
    if not tls and (secret["ca"] or secret["certificate"]):
        raise BadDeclaration(section.at("tls"), "is off, but certificates are named", "turn it on")
    return Security(tls=tls, mechanism=section.one_of("mechanism", MECHANISMS, "PLAIN"), **secret)
