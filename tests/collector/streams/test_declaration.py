"""What a declaration of a stream may say."""

import pytest
from faststream.security import SASLPlaintext, SASLScram512

from audit.errors import BadDeclaration, Rejected
from collector.streams.declaration import FORMATS, Security, Stream, parse
from collector.streams.security import addresses, credentials

PLAIN = """
kind: stream
name: decisions
broker: kafka
address: one:9092,two:9092
topics: [decisions]
integration: fraud
format: predictions
"""


def test_defaults_are_a_group_order_and_one_commit_for_many() -> None:
    found = parse(PLAIN, FORMATS)
    assert found == Stream(
        name="decisions",
        broker="kafka",
        address="one:9092,two:9092",
        topics=("decisions",),
        group="modelwitness",
        integration="fraud",
        format="predictions",
        batch=1_000,
        ordered=True,
        session_seconds=10,
    )


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("nmae: x", "nmae"),
        ("broker: mqtt", "broker"),
        ("topics: decisions", "topics"),
        ("topics: []", "topics"),
        ("format: prediction", "format"),
        ("name: two words", "name"),
        ("batch: 0", "batch"),
        ("session: 2", "session"),
        ("field: body", "field"),
        ("ordered: false", "ordered"),
        ("address: user:pass@one:9092", "address"),
        ("security: {password: hunter2, username: me}", "security.password"),
        ("security: {username: me}", "security.username"),
        ("security: {ca: env:CA}", "security.ca"),
        ("security: {tls: false, ca: file:/ca.pem}", "security.tls"),
        ("security: {mechanism: GSSAPI}", "security.mechanism"),
    ],
)
def test_what_is_wrong_is_named_with_its_place_and_without_its_value(line: str, field: str) -> None:
    key = line.partition(":")[0]
    text = "\n".join(each for each in PLAIN.splitlines() if not each.startswith(f"{key}:"))
    with pytest.raises(BadDeclaration) as raised:
        parse(f"{text}\n{line}\n", FORMATS)
    assert raised.value.field == field
    assert "hunter2" not in str(raised.value)
    assert "pass" not in str(raised.value).replace("password", "")


def test_an_adapter_is_a_format_where_it_is_known() -> None:
    text = PLAIN.replace("predictions", "kserve")
    assert parse(text, [*FORMATS, "kserve"]).format == "kserve"
    with pytest.raises(BadDeclaration):
        parse(text, FORMATS)


def test_addresses_are_what_each_client_wants() -> None:
    def of(broker: str, address: str, *, tls: bool = False) -> list[str]:
        text = PLAIN.replace("kafka", broker).replace("one:9092,two:9092", address)
        stream = parse(text + f"security: {{tls: {str(tls).lower()}}}\n", FORMATS)
        return addresses(stream, {"HERE": "amqp://me:secret@one/x"})

    assert of("kafka", "one:9092, two:9092") == ["one:9092", "two:9092"]
    assert of("nats", "one:4222", tls=True) == ["tls://one:4222"]
    assert of("redis", "one:6379") == ["redis://one:6379"]
    assert of("redis", "one:6379", tls=True) == ["rediss://one:6379"]
    assert of("rabbitmq", "env:HERE") == ["amqp://me:secret@one/x"]


def test_kafka_gets_account_and_mechanism_by_reference() -> None:
    environment = {"USER_NAME": "me", "PASSWORD": "secret"}
    user, password = "env:USER_NAME", "env:PASSWORD"
    scram = Security(mechanism="SCRAM-SHA-512", tls=True, username=user, password=password)
    found = credentials(scram, environment)
    assert isinstance(found, SASLScram512)
    assert (found.username, found.password, found.use_ssl) == ("me", "secret", True)
    assert found.ssl_context is not None
    assert found.ssl_context.check_hostname
    plain = Security(username=user, password=password)
    assert isinstance(credentials(plain, environment), SASLPlaintext)
    assert credentials(Security(), environment) is None
    with pytest.raises(Rejected, match="certificates"):
        credentials(Security(tls=True, ca="file:/there/is/none"), environment)
