"""A declaration is read strictly: what is wrong is named with its place and what to write."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.declared import canonical
from audit.errors import BadDeclaration
from collector.adapters.registry import ADAPTERS
from collector.adapters.wire import Adapted, Adapter
from collector.integrations.declaration import Credential, Declared, Outcome, Record
from collector.integrations.reading import parse
from collector.integrations.verifiers import VERIFIERS

KNOWN = {
    each.name: each
    for each in (
        Adapter("crm", lambda *_: Adapted(), options={"zone": "Time zone of naive times."}),
        Adapter("deals", lambda *_: Adapted(), verifiers=frozenset({"hubspot-v3"})),
        Adapter("mapping", lambda *_: Adapted()),
    )
}
FULL = """
kind: integration
name: crm
owner: sales-ops
adapter: crm
url: https://logs.example.com/in/crm
credential:
  verify: header
  secrets: [env:NEW, file:/run/old]
  options: {header: X-Secret, addresses: [192.0.2.0/24, 2001:db8::/32]}
model: {name: lead-score, version: "3"}
subject_scheme: crm
writers: ["0055g00000AbCde"]
record:
  prediction: Score__c
  id: Score_Id__c
  version: Score_Version__c
  scored_at: Scored_At__c
  inputs: [Region__c]
  outcome: {field: StageName, terminal: {Closed Won: won, Closed Lost: false}}
options: {zone: Europe/Berlin}
origins: [EventGrid.azure.net]
cadence: 1h
region: eu
"""


def read(text: str) -> Declared:
    return parse(text, KNOWN, VERIFIERS)


def test_everything_that_can_be_declared_is_read() -> None:
    assert read(FULL) == Declared(
        name="crm",
        adapter="crm",
        owner="sales-ops",
        url="https://logs.example.com/in/crm",
        credential=Credential(
            verify="header",
            secrets=("env:NEW", "file:/run/old"),
            options={"header": "X-Secret", "addresses": "192.0.2.0/24\n2001:db8::/32"},
        ),
        model="lead-score",
        version="3",
        subject_scheme="crm",
        writers=("0055g00000AbCde",),
        record=Record(
            prediction="Score__c",
            id="Score_Id__c",
            version="Score_Version__c",
            scored_at="Scored_At__c",
            inputs=("Region__c",),
            outcome=Outcome(
                field="StageName", terminal={"Closed Won": "won", "Closed Lost": False}
            ),
        ),
        options={"zone": "Europe/Berlin"},
        origins=("eventgrid.azure.net",),
        cadence_seconds=3600,
        region="eu",
    )


def test_little_is_enough_and_then_our_own_token_is_the_credential() -> None:
    found = read("kind: integration\nname: crm\nadapter: crm\n")
    assert found == Declared(name="crm", adapter="crm")
    assert found.credential.verify == "bearer"


BEFORE = "kind: integration\nname: crm\nadapter: crm\n"


@pytest.mark.parametrize(
    ("text", "place", "told"),
    [
        ("name: crm\nadapter: crm\n", "kind", "write one of: integration"),
        ("kind: integration\nadapter: crm\n", "name", "is missing"),
        (BEFORE.replace("name: crm", "name: a/b"), "name", "leave out '/'"),
        (BEFORE.replace("name: crm", "name: modelwitness"), "name", "rename it"),
        (BEFORE.replace("name: crm", "name: 'a b'"), "name", "Use 1 to 128"),
        ("kind: integration\nname: crm\n", "adapter", "is missing"),
        (BEFORE.replace("adapter: crm", "adapter: crn"), "adapter", "did you mean 'crm'?"),
        (BEFORE + "ownr: me\n", "ownr", "did you mean 'owner'?"),
        (BEFORE + "credential: {verify: heather}\n", "credential.verify", "'header'?"),
        (BEFORE + "credential: {verify: hubspot-v3}\n", "credential.verify", "not a known value"),
        (BEFORE + "credential: {verify: path}\n", "credential.secrets", "is missing"),
        (BEFORE + "credential: {secrets: [env:A]}\n", "credential.secrets", "means nothing"),
        (
            BEFORE + "credential: {verify: path, secrets: [hunter2]}\n",
            "credential.secrets[0]",
            "is not a reference",
        ),
        (
            BEFORE + "credential: {verify: path, secrets: [env:A, env:B, env:C]}\n",
            "credential.secrets",
            "keep the newest two",
        ),
        (
            BEFORE + "credential: {verify: path, secrets: [env:A, env:A]}\n",
            "credential.secrets",
            "says one thing twice",
        ),
        (
            BEFORE + "credential: {verify: header, secrets: [env:A]}\n",
            "credential.options.header",
            "is missing",
        ),
        (
            BEFORE + "credential: {verify: header, secrets: [env:A], options: {haeder: x}}\n",
            "credential.options.haeder",
            "did you mean 'header'?",
        ),
        (
            BEFORE + "credential: {verify: path, secrets: [env:A], options: {addresses: [here]}}\n",
            "credential.options.addresses",
            "holds what is no network",
        ),
        (
            BEFORE
            + "credential: {verify: jwt, options: {issuer: i, audience: a, jwks: https://k/}}",
            "credential.options.email",
            "name the account",
        ),
        (
            BEFORE
            + "credential:\n  verify: jwt\n  options:"
            + " {issuer: i, audience: a, jwks: keys, email: e}\n",
            "credential.options.jwks",
            "is no address",
        ),
        *(
            (
                BEFORE
                + "credential:\n  verify: jwt\n  options:"
                + f" {{issuer: i, audience: a, jwks: '{keys}', email: e}}\n",
                "credential.options.jwks",
                "is no address",
            )
            for keys in ("http://keys.example/", "http://127.0.0.1.example/", "http://localhost.x")
        ),
        (
            BEFORE.replace("adapter: crm", "adapter: deals")
            + "credential: {verify: hubspot-v3, secrets: [env:A]}\n",
            "url",
            "it signs that",
        ),
        (BEFORE + "url: https://user:pw@a.example/\n", "url", "without credentials"),
        (BEFORE + "url: ftp://a.example/\n", "url", "write https://"),
        (BEFORE + "options: {zoen: x}\n", "options.zoen", "did you mean 'zone'?"),
        (BEFORE + "mapping: {a: b}\n", "mapping", "leave it out"),
        (BEFORE.replace("adapter: crm", "adapter: mapping"), "mapping", "is missing"),
        (BEFORE + "record: {id: x}\n", "record.prediction", "is missing"),
        (BEFORE + "record: {prediction: x, outcome: {field: y}}\n", "record.outcome", "is missing"),
        (BEFORE + "writers: all\n", "writers", "is no short list"),
        (BEFORE + "origins: ['a b']\n", "origins[0]", "is no host"),
        (BEFORE + "cadence: hourly\n", "cadence", "write it like"),
        (BEFORE + "model: {name: 'a b'}\n", "model.name", "Use 1 to 128"),
        (BEFORE + "? [a]\n: b\n", "", "a key is not text"),
    ],
)
def test_a_mistake_is_told_with_place_and_remedy(text: str, place: str, told: str) -> None:
    with pytest.raises(BadDeclaration) as caught:
        read(text)
    assert caught.value.field.startswith(place)
    assert told in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "pw" not in str(caught.value)


@pytest.mark.parametrize("name", sorted(ADAPTERS))
def test_every_adapter_can_be_declared(name: str) -> None:
    """Its verifiers are known, and each of its options can be written."""
    adapter = ADAPTERS[name]
    assert adapter.verifiers <= VERIFIERS.keys()
    assert all(sentence for sentence in adapter.options.values())


def test_what_means_the_same_is_the_same_however_it_is_written() -> None:
    other = FULL.replace("cadence: 1h", "cadence: 60m").replace("owner: sales-ops\n", "")
    assert canonical(read(other + "owner: sales-ops\n")) == canonical(read(FULL))
    assert canonical(read(FULL.replace("region: eu", "region: us"))) != canonical(read(FULL))


@given(
    at=st.integers(0, len(FULL)),
    cut=st.integers(0, 9),
    put=st.text(st.sampled_from("{}[]:-,'\"\n\t &*!|>%@`ae1ü\x00"), max_size=6),
)
def test_a_damaged_file_is_read_or_refused(at: int, cut: int, put: str) -> None:
    with suppress(BadDeclaration):  # and nothing else
        assert read(FULL[:at] + put + FULL[at + cut :]).name
