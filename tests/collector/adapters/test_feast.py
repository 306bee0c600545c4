"""Feast: a version of a feature service is named by its content.

DUMP is what `feast registry-dump` of Feast 0.67.0 printed for a local registry, shortened.
"""

import json
from typing import Any

import pytest
from hypothesis import given

from collector.adapters.wire import Adapted
from collector.errors import CollectorError
from collector.integrations.declaration import Declared
from tests.collector.adapters import business
from tests.collector.adapters.business import altered, body_of

STORE = Declared(name="features", adapter="feast")
SERVICE: dict[str, Any] = {
    "meta": {
        "createdTimestamp": "2026-11-21T07:00:39.083114Z",
        "lastUpdatedTimestamp": "2026-11-21T07:00:39.083114Z",
    },
    "spec": {
        "features": [
            {
                "batchSource": {
                    "fileOptions": {"uri": "data/a.parquet"},
                    "name": "data/a.parquet",
                    "timestampField": "event_timestamp",
                    "type": "BATCH_FILE",
                },
                "featureColumns": [
                    {"name": "income", "valueType": "FLOAT"},
                    {"name": "age", "valueType": "INT64"},
                ],
                "featureViewName": "applicants",
                "viewType": "featureView",
            }
        ],
        "name": "credit_v3",
        "tags": {"model": "credit", "model_version": "3"},
    },
}
DUMP = {
    "dataSources": [],
    "entities": [],
    "featureServices": [SERVICE],
    "featureViews": [],
    "project": "lending",
}


def read(told: Any) -> Adapted:
    return business.read("feast", json.dumps(told).encode(), STORE)


def changed(**spec: Any) -> dict[str, Any]:
    return {**SERVICE, "spec": {**SERVICE["spec"], **spec}}


def test_a_service_that_is_tagged_with_a_version_is_its_feature_set() -> None:
    observed, released = read(DUMP).events
    feature_set = body_of(released)["model"]["lineage"]["feature_set"]
    assert (released.model, released.version) == ("credit", "3")
    place, _, digest = feature_set.partition("@")
    assert (place, len(digest)) == ("lending/credit_v3", 12)
    body = body_of(observed)
    assert body["inputs"] == [{"name": "feast/lending/applicants"}]
    assert body["outputs"][0]["digest"].startswith(f"sha256:{digest}")
    assert body["origin"]["features"] == ["applicants:income", "applicants:age"]


def test_other_content_is_another_version_and_another_order_is_not() -> None:
    view = SERVICE["spec"]["features"][0]
    columns = view["featureColumns"]
    reordered = changed(features=[{**view, "featureColumns": columns[::-1]}])
    fewer = changed(features=[{**view, "featureColumns": columns[:1]}])
    found = [
        body_of(read({**DUMP, "featureServices": [each]}).events[0])["outputs"][0]["digest"]
        for each in (SERVICE, reordered, fewer)
    ]
    assert found[0] == found[1] != found[2]


def test_one_service_by_itself_is_read_too_and_one_without_tags_releases_nothing() -> None:
    [observed] = read(changed(tags={}, project="lending")).events
    assert observed.type == "LineageObserved"
    assert body_of(observed)["job"] == "feast/lending/credit_v3"


def test_a_bad_service_does_not_sink_the_good_one() -> None:
    adapted = read({**DUMP, "featureServices": [{"spec": {}}, SERVICE, {**SERVICE, "meta": {}}]})
    assert (len(adapted.events), len(adapted.refused)) == (2, 2)


@pytest.mark.parametrize("told", [[], 5, {"featureServices": 5}])
def test_what_is_no_registry_is_refused(told: Any) -> None:
    with pytest.raises(CollectorError):
        read(told)


@given(altered(json.dumps(DUMP).encode()))
def test_no_altered_dump_does_harm(body: bytes) -> None:
    business.survives("feast", body, STORE)
