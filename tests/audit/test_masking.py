"""Masks: what is hidden is named, and nothing is hidden by leaving it out."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audit.events import EVENT_TYPES
from audit.masking import MASK, seen

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
JSON = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
FIELDS = st.sampled_from(["inputs", "output", "subject", "references", "decision", "actor", "x/~y"])
BODIES = st.dictionaries(FIELDS, JSON, max_size=5)


def at(body: Any, pointer: str) -> Any:
    for token in pointer.split("/")[1:]:
        body = body[token.replace("~1", "/").replace("~0", "~")]
    return body


@given(st.sampled_from(sorted(EVENT_TYPES)), BODIES, st.sampled_from(["allow", "metadata"]))
def test_every_mask_is_named_by_a_pointer_that_leads_to_it(
    type: str, body: dict[str, Any], decision: str
) -> None:
    shown, masked = seen(type, body, decision)
    assert shown.keys() == body.keys()
    assert [at(shown, pointer) for pointer in masked] == [MASK] * len(masked)
    assert len(set(masked)) == len(masked)


@given(st.sampled_from(sorted(EVENT_TYPES)), BODIES)
def test_subject_and_references_are_masked_for_everyone(type: str, body: dict[str, Any]) -> None:
    shown, _ = seen(type, body, "allow")
    if "subject" in body:
        assert shown["subject"] == MASK
    found = shown.get("references", {})
    assert found == MASK or set(found.values()) <= {MASK}


@pytest.mark.parametrize("decision", ["deny", "request", "second", "break_glass", ""])
def test_no_other_decision_sees_anything(decision: str) -> None:
    assert seen("PredictionLogged", {"time": "now"}, decision) == ({}, [""])


def test_metadata_sees_what_the_system_did_but_not_who_or_why() -> None:
    body = {"id": "a1", "verdict": "shift", "actor": "ann", "reason": "because"}
    shown, masked = seen("AlertRaised", body, "metadata")
    assert shown == {"id": "a1", "verdict": "shift", "actor": MASK, "reason": MASK}
    assert masked == ["/actor", "/reason"]


def test_a_metadata_field_of_the_wrong_shape_is_masked_whole() -> None:
    shown, masked = seen("PredictionLogged", {"decision": "declined for Ann"}, "metadata")
    assert (shown, masked) == ({"decision": MASK}, ["/decision"])
