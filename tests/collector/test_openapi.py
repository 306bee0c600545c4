"""The API document: valid, complete, and true to what the routes do."""

import json
import re
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import jsonschema_rs
import pytest
import schemathesis
import yaml
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from litestar.routes import HTTPRoute
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from audit.clock import system_clock
from collector.adapters.registry import ADAPTERS
from collector.delivery import CLOUDEVENTS, NATIVE
from collector.integrations.apply import apply_text
from collector.integrations.standard import ADDRESSES
from tests.collector.conftest import House, Open, listening
from tests.collector.reading_back import assert_all_can_be_read

Document = dict[str, Any]
INGEST = [f"/v1/{address}" for address in (*NATIVE, CLOUDEVENTS)]
OPEN = {"/healthz", "/readyz", "/metrics"}
DOORS = ["/in/{integration}", "/in/{integration}/{secret}"]
PROBES = {(path, "get") for path in DOORS}
REFUSALS = {"400", "401", "403", "406", "408", "409", "413", "415", "422", "429", "500", "503"}


@pytest.fixture
def document(house: House) -> Document:
    """The document as it is served."""
    found: Document = house.client.get("/schema/openapi.json").json()
    return found


def test_the_document_is_valid_openapi_31(document: Document) -> None:
    assert document["openapi"].startswith("3.1")
    schemathesis.openapi.from_dict(document).validate()
    for schema in document["components"]["schemas"].values():
        jsonschema_rs.meta.validate(schema)


def test_every_reference_leads_somewhere(document: Document) -> None:
    names = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert {"Prediction", "Outcome", "Oversight", "ExplanationEvent", "Receipt"} <= names
    assert names <= document["components"]["schemas"].keys()


def test_json_and_yaml_say_the_same(house: House, document: Document) -> None:
    assert yaml.safe_load(house.client.get("/schema/openapi.yaml").text) == document


def test_every_route_is_listed_with_all_its_methods(house: House, document: Document) -> None:
    for route in house.app.routes:
        assert isinstance(route, HTTPRoute)
        if not route.path.startswith("/schema"):
            methods = {each.lower() for each in route.methods} - {"options", "head"}
            assert methods <= document["paths"][route.path_format].keys(), route.path


@pytest.mark.parametrize("path", INGEST)
def test_an_ingest_route_names_its_body_and_every_answer(document: Document, path: str) -> None:
    operation = document["paths"][path]["post"]
    assert operation["responses"].keys() == {"200", "201", *REFUSALS}
    for status in REFUSALS:
        (media,) = operation["responses"][status]["content"]
        assert media == "application/problem+json"
    body = operation["requestBody"]["content"]
    if path.endswith(CLOUDEVENTS):
        assert body.keys() == {
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "application/json",
        }
    else:
        assert body.keys() == {"application/json", "application/x-ndjson"}
        one, many = body["application/json"]["schema"]["oneOf"]
        assert many["items"] == one


@pytest.mark.parametrize("path", INGEST)
def test_every_example_of_the_document_is_accepted(
    house: House, document: Document, path: str
) -> None:
    headers = house.token()
    content = document["paths"][path]["post"]["requestBody"]["content"]
    for media, described in content.items():
        for example in described.get("examples", {}).values():
            answer = house.client.post(
                path,
                content=json.dumps(example["value"]),
                headers={**headers, "Content-Type": media},
            )
            assert answer.is_success, answer.text
            if answer.status_code == 200 and "rejected" in answer.json():
                assert answer.json()["rejected"] == []


def test_only_health_and_consent_say_that_they_need_no_token(document: Document) -> None:
    free = {
        (path, method)
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if operation.get("security") == [{}]
    }
    doors = {(path, method) for path in DOORS for method in ("get", "options", "post")}
    assert free - doors == {*((path, "get") for path in OPEN), ("/v1/cloudevents", "options")}
    assert doors <= free  # each sender has a credential of its own


@pytest.mark.slow
def test_nothing_that_the_document_allows_or_forbids_makes_the_server_fail(
    house: House, address: str
) -> None:
    """Schemathesis makes good and bad requests of the document; answers must be documented.

    What came in meanwhile can be read by everybody afterwards.
    """
    schema = schemathesis.openapi.from_url(f"{address}/schema/openapi.json")
    headers = house.token()
    checks = [
        not_a_server_error,
        status_code_conformance,
        content_type_conformance,
        response_schema_conformance,
    ]
    seen: dict[str, set[int]] = defaultdict(set)
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)
        operation = found.ok()
        if operation.path in OPEN:
            continue
        for mode in schemathesis.GenerationMode:
            probe = operation.method == "options" or (operation.path, operation.method) in PROBES
            if mode.is_negative and probe:
                continue  # it takes nothing that could be wrong
            strategy = operation.as_strategy(generation_mode=mode)

            @settings(
                max_examples=25,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=strategy)
            def fuzz(case: schemathesis.Case[Any]) -> None:
                answer = case.call_and_validate(headers=headers, checks=checks)
                seen[case.operation.path].add(answer.status_code)

            fuzz()
    for path in INGEST:
        # It is no test if everything is refused at the door.
        assert seen[path] & {200, 201}, path
        assert seen[path] & {400, 422}, path
    assert len(seen) == len(INGEST) + 3 + len(DOORS) + len(ADDRESSES)
    assert assert_all_can_be_read(house) > len(INGEST)


@pytest.mark.slow
def test_no_body_makes_the_adapter_of_a_declared_sender_fail(
    opened: Open, free_port: Callable[[], int], caplog: pytest.LogCaptureFixture
) -> None:
    """Every adapter behind the real door takes what schemathesis makes up, or keeps it."""
    secret = "a-secret-of-many-letters"
    house = opened(environment={"SECRET": secret})
    names = [name for name in ADAPTERS if name != "mapping"]
    for name in names:
        text = (
            f"kind: integration\nname: {name}\nadapter: {name}\n"
            "credential: {verify: path, secrets: [env:SECRET]}\n"
            "record: {prediction: Score__c, outcome: {field: StageName, terminal: {Won: won}}}\n"
        )
        apply_text(house.store.ledger, house.store.documents, text, "ann", clock=system_clock)
    with listening(house.app, free_port()) as address:
        schema = schemathesis.openapi.from_url(f"{address}/schema/openapi.json")
        operation = schema[DOORS[1]]["POST"]

        @settings(
            max_examples=150,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(), name=st.sampled_from(names))
        def fuzz(case: schemathesis.Case[Any], name: str) -> None:
            case.path_parameters = {"integration": name, "secret": secret}
            answer = case.call()
            assert answer.status_code != 401
            assert "Internal error" not in answer.text

        fuzz()
    assert "adapter" not in caplog.text
