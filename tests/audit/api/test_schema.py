"""The OpenAPI document of the read routes, and the routes against it."""

from collections import Counter
from typing import Any

import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.audit.reading import Site, prediction

CHECKS: Any = (
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
)


def test_every_route_is_typed_and_says_what_it_refuses(site: Site) -> None:
    document = site.client.app.openapi_schema.to_schema()
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method in methods.values():
            answers = method["responses"]
            assert "application/problem+json" in answers["503"]["content"], path
            good = answers["200"]["content"]
            assert all("schema" in each for each in good.values()), path
            assert method["summary"], path


def test_ranges_are_named_from_and_to(site: Site) -> None:
    document = site.client.app.openapi_schema.to_schema()
    search = document["components"]["schemas"]["Search"]
    assert {"from", "to"} <= set(search["required"])
    edge = document["components"]["schemas"]["Edge"]
    assert {"from", "to"} <= set(edge["properties"])


def test_requests_made_from_the_document_find_no_surprise(site: Site) -> None:
    """Fuzzing: whatever fits the document (and much that does not) is answered as documented."""
    site.log(*(prediction(n) for n in range(3)))
    api = schemathesis.openapi.from_dict(site.client.app.openapi_schema.to_schema())
    headers = site.bearer("audit")
    few = settings(
        max_examples=15,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    statuses: Counter[int] = Counter()
    for result in api.get_all_operations():
        assert isinstance(result, Ok)
        if result.ok().path == "/v1/signout":
            continue  # it would end the token that the others are asked with

        @few
        @given(result.ok().as_strategy())
        def ask(case: Any) -> None:
            asked = case.as_transport_kwargs(base_url="http://testserver.local", headers=headers)
            asked.pop("cookies")
            # Not case.call(): its transport leaves streams open, which our warnings forbid.
            answer = site.client.request(**asked)
            statuses[answer.status_code] += 1
            case.validate_response(answer, checks=CHECKS)

        ask()
    assert statuses[200] > 0, statuses
