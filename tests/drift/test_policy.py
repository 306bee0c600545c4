"""Policies: what a file may say, how it is corrected, and when its revision changes."""

import pickle
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from drift.errors import BadPolicy
from drift.policy import DAY_US, HOUR_US, Limits, Policy, Rule, parse

FLIGHTS = """
kind: policy
model: late-arrival
owner: flights-ops
reference: {from: 2013-01-01T00:00:00Z, to: 2013-02-01T00:00:00Z, version: "1"}
window: month            # month|week|day|hour or "7d"/"6h"
lateness: 6h             # watermark
minimum_rows: 200
columns:                 # inputs by name; output/score implicit unless listed
  dep_delay:
    {kind: numeric, threshold: 0.1, limits: {null: 0.2, range: [-100, 2000]}, unit: minutes}
  carrier: {kind: categorical}
output: {kind: categorical}
score: {kind: numeric}
rule: {q: 0.01, confirm: {windows: 2, of: 3}, clear: 0.7}
segments: [ {field: inputs.origin} ]
actions:
  alert: true
  retrain: {url: "http://127.0.0.1:9000/x", secret: "env:HOOK", cooldown: 30d, approval: required}
"""
SMALLEST = """
kind: policy
model: m
reference: {trailing: 30d}
window: day
columns: {a: {kind: numeric}}
"""


def test_every_part_of_a_policy_is_read() -> None:
    policy = parse(FLIGHTS)
    assert (policy.model, policy.owner, policy.window) == ("late-arrival", "flights-ops", "month")
    assert policy.reference.from_us == 1_356_998_400_000_000
    assert policy.reference.to_us - policy.reference.from_us == 31 * DAY_US
    assert policy.reference.version == "1"
    assert (policy.lateness_us, policy.minimum_rows) == (6 * HOUR_US, 200)
    assert [(c.name, c.role, c.kind) for c in policy.columns] == [
        ("dep_delay", "input", "numeric"),
        ("carrier", "input", "categorical"),
        ("output", "output", "categorical"),
        ("score", "score", "numeric"),
    ]
    delay = policy.columns[0]
    assert delay.limits == Limits(null=0.2, low=-100, high=2000)
    assert (delay.unit, delay.path, delay.declared) == ("minutes", ("inputs", "dep_delay"), True)
    assert policy.rule == Rule(0.01, 2, 3, 0.7)
    assert policy.segments == (("inputs", "origin"),)
    assert policy.actions.retrain is not None
    assert policy.actions.retrain.secret == "env:HOOK"
    assert policy.actions.retrain.cooldown_us == 30 * DAY_US


def test_the_smallest_policy_gets_the_defaults() -> None:
    policy = parse(SMALLEST)
    assert policy.reference.trailing_us == 30 * DAY_US
    assert (policy.lateness_us, policy.minimum_rows, policy.rule) == (HOUR_US, 200, Rule())
    assert [(c.name, c.declared) for c in policy.columns[1:]] == [
        ("output", False),
        ("score", False),
    ]
    assert policy.actions.alert
    assert policy.actions.retrain is None


def test_the_revision_ignores_how_a_file_is_written() -> None:
    local = FLIGHTS.replace("2013-01-01T00:00:00Z", '"2013-01-01T01:00:00+01:00"')
    spaced = local.replace(": ", ":   ")
    assert parse(spaced).revision == parse(FLIGHTS).revision
    defaults = SMALLEST + "minimum_rows: 200\nlateness: 60m\nrule: {q: 0.01}\n# a remark\n"
    assert parse(defaults).revision == parse(SMALLEST).revision


def test_the_revision_changes_with_the_meaning() -> None:
    changed = [
        SMALLEST,
        SMALLEST + "minimum_rows: 201\n",
        SMALLEST + "rule: {q: 0.02}\n",
        SMALLEST.replace("numeric", "categorical"),
        SMALLEST.replace("30d", "31d"),
    ]
    revisions = {parse(text).revision for text in changed}
    assert len(revisions) == len(changed)
    assert all(len(revision) == 64 for revision in revisions)


def test_a_policy_survives_the_way_to_another_process() -> None:
    policy = parse(FLIGHTS)
    again = pickle.loads(pickle.dumps(policy))
    assert isinstance(again, Policy)
    assert again == policy
    assert again.revision == policy.revision


@pytest.mark.parametrize(
    ("before", "after", "field", "remedy"),
    [
        ("owner:", "ownr:", "ownr", "did you mean 'owner'?"),
        ("columns:", "colums:", "colums", "did you mean 'columns'?"),
        ("kind: policy", "knd: policy", "knd", "did you mean 'kind'?"),
        ("kind: policy", "kind: polcy", "kind", "did you mean 'policy'?"),
        ("numeric,", "numerical,", "columns.dep_delay.kind", "did you mean 'numeric'?"),
        ("threshold", "treshold", "columns.dep_delay.treshold", "did you mean 'threshold'?"),
        ("null: 0.2", "nul: 0.2", "columns.dep_delay.limits.nul", "did you mean 'null'?"),
        ("null: 0.2", "null: 20", "columns.dep_delay.limits.null", "write a number 0…1"),
        ("[-100, 2000]", "[2000, -100]", "columns.dep_delay.limits.range", "write [lowest,"),
        ("[-100, 2000]", "2000", "columns.dep_delay.limits.range", "write [lowest,"),
        ("window: month", "window: monthly", "window", "write month, week, day, hour"),
        ("window: month", "window: 1s", "window", "write a length of 1m…366d"),
        ("lateness: 6h", "lateness: 6", "lateness", 'write it like "6h"'),
        ('version: "1"', "version: 1", "reference.version", "put it in quotes"),
        ("01-01T00:00:00Z", "01-01T00:00:00", "reference.from", "2013-01-01T00:00:00Z"),
        ("2013-02-01", "2012-02-01", "reference.to", "give a span that holds rows"),
        ("minimum_rows: 200", "minimum_rows: 0", "minimum_rows", "write a whole number"),
        ("minimum_rows: 200", "minimum_rows: yes", "minimum_rows", "write a whole number"),
        ("of: 3", "of: 1", "rule.confirm", "raise 'of'"),
        ("q: 0.01", "q: 1e-2", "rule.q", "without an exponent"),
        ("inputs.origin", "subject.id", "segments[0].field", "start it with inputs"),
        ("carrier:", "score:", "columns.score", "add 'field: inputs.score'"),
        ("carrier:", "NO:", "columns", "put it in quotes"),
        ("  carrier:", "  dep_delay:", "columns.dep_delay", "keep one of them"),
        ("alert: true", "alert: maybe", "actions.alert", "write true or false"),
        ("approval: required", "approval: nobody", "actions.retrain.approval", "required, none"),
        ("model: late-arrival", "model: late arrival", "model", "use A-Z"),
        ("{kind: categorical}", "&x {kind: categorical}", "", "write the value out"),
        ("{kind: categorical}", "!!python/name:os.system", "", "correct the syntax"),
        ("kind: policy", "kind: [", "", "correct the syntax"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_remedy(
    before: str, after: str, field: str, remedy: str
) -> None:
    assert before in FLIGHTS
    with pytest.raises(BadPolicy) as caught:
        parse(FLIGHTS.replace(before, after, 1))
    assert caught.value.field == field
    assert remedy in caught.value.remedy
    assert caught.value.remedy in str(caught.value)


@pytest.mark.parametrize("key", ["kind", "model", "reference", "window", "columns"])
def test_a_missing_key_is_named(key: str) -> None:
    lines = [line for line in SMALLEST.splitlines() if not line.startswith(f"{key}:")]
    with pytest.raises(BadPolicy, match=f"^{key}: is missing"):
        parse("\n".join(lines))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('"env:HOOK"', "hunter2-secret"),
        ('"env:HOOK"', '{value: "hunter2-secret"}'),
        ("http://127.0.0.1:9000/x", "http://user:hunter2-secret@host/x"),
        ("http://127.0.0.1:9000/x", "ftp://hunter2-secret"),
    ],
)
def test_a_secret_by_value_is_refused_and_not_repeated(before: str, after: str) -> None:
    with pytest.raises(BadPolicy) as caught:
        parse(FLIGHTS.replace(before, after))
    assert "hunter2" not in str(caught.value)
    assert "env:NAME" in caught.value.remedy


@pytest.mark.parametrize("reference", ["env:HOOK", f"file:{Path('/run/secrets/hook')}"])
def test_a_secret_by_reference_is_kept_as_the_reference(reference: str) -> None:
    retrain = parse(FLIGHTS.replace("env:HOOK", reference)).actions.retrain
    assert retrain is not None
    assert retrain.secret == reference


@pytest.mark.parametrize(
    "text",
    ["", "[]", "a", "~", "a: " * 5_000, "[" * 5_000, "x" * 300_000, "a: {b: " * 400, "---\n---\n"],
    ids=["empty", "list", "text", "null", "colons", "brackets", "long", "deep", "documents"],
)
def test_what_is_no_policy_at_all_is_refused_as_such(text: str) -> None:
    with pytest.raises(BadPolicy):
        parse(text)


leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
names = st.sampled_from(
    ["kind", "model", "reference", "window", "columns", "rule", "from", "to", "q", "null"]
) | st.text(max_size=6)
trees = st.recursive(
    leaves, lambda below: st.lists(below, max_size=3) | st.dictionaries(names, below, max_size=5)
)


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=200))
def test_garbage_is_refused_and_never_crashes(text: str) -> None:
    with pytest.raises(BadPolicy):
        parse(text)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(names, trees, max_size=6))
def test_any_yaml_over_a_good_policy_is_read_or_refused(changes: dict[str, object]) -> None:
    merged = yaml.load(SMALLEST, Loader=yaml.BaseLoader) | changes
    try:
        policy = parse(yaml.safe_dump(merged))
    except BadPolicy:
        return
    assert policy.columns


def test_the_sources_that_are_believed_stand_in_the_policy_and_its_revision() -> None:
    without = parse(SMALLEST)
    assert (without.labels_from, without.releases_from) == ((), ())
    assert b"from" not in without.canonical.replace(b"from_us", b"")  # older revisions stay
    assert without.predictions_from == ()
    senders = parse(SMALLEST + "predictions: {from: [b, a]}\n")
    assert senders.predictions_from == ("a", "b")
    assert senders.revision != without.revision
    listed = parse(SMALLEST + "labels: {from: [b, a]}\nreleases: {from: [registry]}\n")
    assert (listed.labels_from, listed.releases_from) == (("a", "b"), ("registry",))
    assert listed.revision == parse(SMALLEST + LISTED_OTHERWISE).revision != without.revision


LISTED_OTHERWISE = "releases: {from: [registry]}\nlabels: {from: [a, b]}\n"


@pytest.mark.parametrize(
    "said", ["{}", "{from: a}", "{from: []}", "{from: [a, a]}", "{from: ['é']}"]
)
def test_a_list_of_sources_that_says_nothing_clear_is_refused(said: str) -> None:
    with pytest.raises(BadPolicy, match=r"^labels\.from"):
        parse(SMALLEST + f"labels: {said}\n")
