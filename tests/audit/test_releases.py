"""Whose releases are believed, and that nobody else can hide them."""

import pytest

from audit.catalog import Released
from audit.events import SYSTEM
from audit.governed import Policy
from audit.releases import believed, told


def release(
    integration: str, index: int, run: str = "", version: str = "1", model: str = "credit"
) -> Released:
    lineage = {"training_run": run or integration}
    return Released(model, version, index, "2013-01-01T00:00:00Z", integration, lineage)


COUNTS = believed(
    {"credit": "web", "other": "rival", "listed": "web"},
    {"trainer"},
    {"credit": Policy("credit"), "listed": Policy("listed", releases=("registry",))},
)


@pytest.mark.parametrize("integration", [SYSTEM, "trainer", "web"])
def test_the_service_retrainers_and_the_first_sender_are_believed(integration: str) -> None:
    assert COUNTS(release(integration, 1))


@pytest.mark.parametrize(
    ("integration", "counts"),
    [("registry", True), (SYSTEM, True), ("trainer", True), ("web", False)],
)
def test_a_list_in_the_policy_takes_the_place_of_the_first_sender(
    integration: str, counts: bool
) -> None:
    assert COUNTS(release(integration, 1, model="listed")) is counts


def test_who_predicts_with_another_model_is_not_believed() -> None:
    assert not COUNTS(release("rival", 1))
    assert not COUNTS(release("registry", 1))
    assert not believed({}, set(), {})(release("web", 1))


def test_a_later_release_of_a_stranger_does_not_hide_the_one_that_is_believed() -> None:
    rows = [release("web", 1), release("trainer", 2, "run-2"), release("rival", 9)]
    [first, second] = told(rows, COUNTS)["credit", "1"]
    assert (first.lineage, first.unverified) == ({"training_run": "run-2"}, False)
    assert (second.integration, second.unverified) == ("rival", True)


def test_what_only_strangers_said_is_told_as_unverified() -> None:
    found = told([release("rival", 3), release("web", 1, version="2")], COUNTS)
    assert [each.unverified for each in found["credit", "1"]] == [True]
    assert [each.unverified for each in found["credit", "2"]] == [False]


def test_sources_that_are_believed_add_up_and_the_newest_word_wins() -> None:
    run = Released("credit", "1", 1, "2013-01-01T00:00:00Z", "web", {"training_run": "r-1"}, "c-1")
    named = {"feature_set": "loans@1", "training_run": "r-2"}
    features = Released("credit", "1", 2, "2013-01-01T00:00:00Z", "trainer", named)
    [found] = told([run, features], COUNTS)["credit", "1"]
    assert found.lineage == named
    assert (found.index, found.case) == (2, "c-1")
