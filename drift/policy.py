"""The policy of a model: what is judged, against what, how often, and what follows.

Decides which policies exist at all: `parse` reads the YAML file strictly, and everything after it
works on the frozen `Policy`. Hides the file: two files that mean the same have one canonical form
and one `revision`. Secrets stand here only as references (`env:NAME`, `file:PATH`); they are
resolved by the process that uses them.

    kind: policy
    model: late-arrival
    owner: flights-ops
    reference: {from: 2013-01-01T00:00:00Z, to: 2013-02-01T00:00:00Z, version: "1"}
    window: month
    columns:
      dep_delay: {kind: numeric, limits: {null: 0.2, range: [-100, 2000]}, unit: minutes}
      carrier: {kind: categorical}
    output: {kind: categorical}
    predictions: {from: [gate, web]}      # whose rows are the model's; without it, everybody's
    labels: {from: [arrivals-office]}     # whose outcomes count beside the predicting integration's
    releases: {from: [model-registry]}    # whose versions count beside the retrainer's; without it,
                                          # those of the first integration that predicted
"""

import hashlib
import re
from typing import Final

from msgspec import Struct

from audit import references
from audit.declared import Section, canonical, duration_of, load, number_of, text_of
from audit.errors import BadDeclaration
from drift.errors import BadPolicy

CALENDAR: Final = ("month", "week", "day", "hour")
KINDS: Final = ("numeric", "categorical")
HOUR_US: Final = 3_600_000_000
DAY_US: Final = 24 * HOUR_US
MAX_COLUMNS: Final = 2_000
MAX_SOURCES: Final = 64
_name = re.compile(r"[A-Za-z0-9._:/@-]{1,128}")
_address = re.compile(r"https?://[A-Za-z0-9\[\]._:-]+(/[^\s]*)?")


class Limits(Struct, frozen=True):
    """Declared shares (0…1) above which a column is at fault; None: judged against the reference.

    `low` and `high` bound the values; `outside` is the share that may lie beyond them.
    """

    null: float | None = None
    type: float | None = None
    unseen: float | None = None
    outside: float | None = None
    low: float | None = None
    high: float | None = None


class ColumnRule(Struct, frozen=True):
    """One judged column: where it stands in the prediction's body and when it counts as moved.

    `path` leads to the value in the body. A column that was not `declared` (output, score) is
    judged only where the reference has values for it.
    """

    name: str
    role: str
    kind: str
    path: tuple[str, ...]
    threshold: float = 0.1
    limits: Limits = Limits()
    unit: str | None = None
    declared: bool = True


class Reference(Struct, frozen=True):
    """A fixed span of event time [from, to), or what lies `trailing_us` before each window."""

    from_us: int = 0
    to_us: int = 0
    trailing_us: int = 0
    version: str | None = None


class Rule(Struct, frozen=True):
    """When moved columns make a shift, and when shifts make an entry (see `drift.rule`)."""

    q: float = 0.01
    needed: int = 2
    of: int = 3
    clear: float = 0.7


class Retrain(Struct, frozen=True):
    """Where an approved retraining goes; `url` and `secret` may be references."""

    url: str
    secret: str
    cooldown_us: int = 30 * DAY_US
    approval: str = "required"


class Actions(Struct, frozen=True):
    alert: bool = True
    retrain: Retrain | None = None


class Policy(Struct, frozen=True):
    """Everything that judging a model needs to know; times in microseconds since the epoch.

    `window` is a calendar unit or a fixed length ("6h"); a window is judged once the watermark
    has passed its end by `lateness_us`. `segments` are paths into the body, judged apart.
    `predictions_from` names the integrations whose predictions are the model's (none: all);
    `labels_from` and `releases_from` those that are believed about outcomes beside the predicting
    one, and about new versions.
    """

    model: str
    reference: Reference
    window: str
    columns: tuple[ColumnRule, ...]
    owner: str | None = None
    lateness_us: int = HOUR_US
    minimum_rows: int = 200
    rule: Rule = Rule()
    segments: tuple[tuple[str, ...], ...] = ()
    actions: Actions = Actions()
    labels_from: tuple[str, ...] = ()
    releases_from: tuple[str, ...] = ()
    predictions_from: tuple[str, ...] = ()

    @property
    def canonical(self) -> bytes:
        """The one JSON form of this policy: sorted keys, compact, defaults left out."""
        return canonical(self)

    @property
    def revision(self) -> str:
        """SHA-256 of the canonical form, in hex: changes exactly when the meaning does."""
        return hashlib.sha256(self.canonical).hexdigest()


def parse(text: str) -> Policy:
    """The policy that a YAML file declares; BadPolicy names the place and the remedy."""
    try:
        return _parsed(text)
    except BadPolicy:
        raise
    except BadDeclaration as error:
        raise BadPolicy(error.field, error.problem, error.remedy) from error


def _parsed(text: str) -> Policy:
    top = Section(load(text), "", *_TOP)
    top.one_of("kind", ["policy"])
    model = _clear_name(top.required("model", "name the model as it is logged"), "model")
    owner = top.text("owner")
    reference = _reference(top.required("reference", _SPAN))
    window = _window(top.required("window", _CADENCE))
    lateness = top.duration("lateness", HOUR_US)
    minimum = top.count("minimum_rows", 1, 10_000_000, 200)
    columns = _columns(top)
    rule = _rule(top.section("rule", "q", "confirm", "clear"))
    segments = _segments(top.take("segments"))
    actions = _actions(top.section("actions", "alert", "retrain"))
    return Policy(
        model=model,
        reference=reference,
        window=window,
        columns=columns,
        owner=owner,
        lateness_us=lateness or 0,
        minimum_rows=minimum,
        rule=rule,
        segments=segments,
        actions=actions,
        labels_from=_sources(top.section("labels", "from")),
        releases_from=_sources(top.section("releases", "from")),
        predictions_from=_sources(top.section("predictions", "from")),
    )


_TOP = (
    "kind", "model", "owner", "reference", "window", "lateness", "minimum_rows", "columns",
    "output", "score", "rule", "segments", "actions", "labels", "releases", "predictions",
)  # fmt: skip
_COLUMN = ("kind", "threshold", "limits", "unit", "field")
_LIMITS = {
    "numeric": ("null", "type", "range", "outside"),
    "categorical": ("null", "type", "unseen"),
}
_SPAN = 'write {from: 2013-01-01T00:00:00Z, to: 2013-02-01T00:00:00Z} or {trailing: "30d"}'
_CADENCE = 'write month, week, day, hour or a length like "7d"'


def _clear_name(value: object, path: str) -> str:
    name = text_of(value, path)
    if not _name.fullmatch(name):
        raise BadPolicy(path, "holds a character that names may not", "use A-Z a-z 0-9 . _ : / @ -")
    return name


def _reference(value: object) -> Reference:
    section = Section(value, "reference", "from", "to", "trailing", "version")
    trailing = section.duration("trailing", None)
    version = section.take("version")
    name = None if version is None else _clear_name(version, section.at("version"))
    if trailing is not None:
        return Reference(trailing_us=trailing, version=name)
    start, end = section.instant("from"), section.instant("to")
    if end <= start:
        raise BadPolicy(section.at("to"), "is not after 'from'", "give a span that holds rows")
    return Reference(start, end, version=name)


def _window(value: object) -> str:
    if isinstance(value, str) and value in CALENDAR:
        return value
    try:
        length = duration_of(value, "window")
    except BadDeclaration as error:
        raise BadPolicy("window", "is no cadence", _CADENCE) from error
    if not 60_000_000 <= length <= 366 * DAY_US:
        raise BadPolicy("window", "is out of range", "write a length of 1m…366d")
    return str(value)


def _columns(top: Section) -> tuple[ColumnRule, ...]:
    inputs = Section(top.required("columns", "name at least one input"), "columns")
    rules = [
        _column(Section(value, inputs.at(name), *_COLUMN), name, "input", ("inputs", name))
        for name, value in inputs.items()
    ]
    for role, kind in (("output", "categorical"), ("score", "numeric")):
        if any(rule.name == role for rule in rules):
            raise BadPolicy(
                f"columns.{role}",
                f"an input may not be called '{role}'",
                f"rename it and add 'field: inputs.{role}'",
            )
        section = top.section(role, *_COLUMN)
        rules.append(
            ColumnRule(role, role, kind, (role,), declared=False)
            if section is None
            else _column(section, role, role, (role,))
        )
    if not 2 < len(rules) <= MAX_COLUMNS:
        raise BadPolicy("columns", "names no input or too many", f"name 1…{MAX_COLUMNS - 2}")
    return tuple(rules)


def _column(section: Section, name: str, role: str, path: tuple[str, ...]) -> ColumnRule:
    text_of(name, section.path)
    kind = section.one_of("kind", KINDS)
    threshold = section.number("threshold", 0.001, 100, 0.1)
    limits = _limits(section.section("limits", *_LIMITS[kind]), kind)
    unit = section.text("unit")
    field = section.text("field")
    where = path if field is None else _path(field, section.at("field"))
    return ColumnRule(name, role, kind, where, threshold or 0.1, limits, unit)


def _limits(section: Section | None, kind: str) -> Limits:
    if section is None:
        return Limits()
    null, wrong = section.number("null", 0, 1, None), section.number("type", 0, 1, None)
    if kind == "categorical":
        return Limits(null, wrong, section.number("unseen", 0, 1, None))
    outside = section.number("outside", 0, 1, None)
    bounds, path = section.take("range"), section.at("range")
    if bounds is None:
        return Limits(null, wrong, outside=outside)
    if not isinstance(bounds, list) or len(bounds) != 2:
        raise BadPolicy(path, "is not a pair", "write [lowest, highest]")
    low, high = (number_of(bound, path, -1e300, 1e300) for bound in bounds)
    if low >= high:
        raise BadPolicy(path, "ends before it starts", "write [lowest, highest]")
    return Limits(null, wrong, None, outside, low, high)


def _rule(section: Section | None) -> Rule:
    if section is None:
        return Rule()
    q = section.number("q", 0.000001, 0.5, 0.01)
    clear = section.number("clear", 0.01, 1, 0.7)
    confirm = section.section("confirm", "windows", "of")
    needed, of = 2, 3
    if confirm is not None:
        needed, of = confirm.count("windows", 1, 100, 2), confirm.count("of", 1, 100, 3)
        if needed > of:
            raise BadPolicy(confirm.path, "asks for more windows than it looks at", "raise 'of'")
    return Rule(q or 0.01, needed, of, clear or 0.7)


def _segments(value: object) -> tuple[tuple[str, ...], ...]:
    if value is None:
        return ()
    if not isinstance(value, list) or len(value) > 8:
        raise BadPolicy("segments", "is no short list", "write [{field: inputs.origin}], up to 8")
    fields = []
    for position, item in enumerate(value):
        section = Section(item, f"segments[{position}]", "field")
        field = section.required("field", "write {field: inputs.origin}")
        fields.append(_path(text_of(field, section.at("field")), section.at("field")))
    if len(set(fields)) < len(fields):
        raise BadPolicy("segments", "names a field twice", "keep one of them")
    return tuple(fields)


def _sources(section: Section | None) -> tuple[str, ...]:
    """Names of integrations, in one order however they were written."""
    if section is None:
        return ()
    place = section.at("from")
    names = section.required("from", "write {from: [name-of-an-integration]}")
    if not isinstance(names, list) or not 0 < len(names) <= MAX_SOURCES:
        raise BadPolicy(place, "is no short list", f"name 1…{MAX_SOURCES} integrations")
    found = [_clear_name(name, f"{place}[{at}]") for at, name in enumerate(names)]
    if len(set(found)) < len(found):
        raise BadPolicy(place, "names an integration twice", "keep one of them")
    return tuple(sorted(found))


def _path(text: str, place: str) -> tuple[str, ...]:
    parts = tuple(text.split("."))
    if not all(parts) or len(parts) > 8:
        raise BadPolicy(place, "is not a path", "write it like inputs.origin")
    if parts[0] not in {"inputs", "output", "score", "context", "decision", "confidence"}:
        raise BadPolicy(
            place,
            "leads to no judged part of a prediction",
            "start it with inputs, output or context",
        )
    return parts


def _actions(section: Section | None) -> Actions:
    if section is None:
        return Actions()
    alert, retrain = (
        section.flag("alert", True),
        section.section("retrain", "url", "secret", "cooldown", "approval"),
    )
    if retrain is None:
        return Actions(alert)
    url = text_of(retrain.required("url", 'write "env:NAME" or an http(s) address'), "url")
    if not references.ENVIRONMENT.fullmatch(url) and not _address.fullmatch(url):
        raise BadPolicy(
            retrain.at("url"),
            "is neither an address without credentials nor a reference",
            'write "env:NAME" or an http(s) address',
        )
    by_reference = 'write "env:NAME" or "file:PATH"; the value itself never stands in a policy'
    secret = retrain.required("secret", by_reference)
    if not isinstance(secret, str) or not references.PATTERN.fullmatch(secret):
        raise BadPolicy(retrain.at("secret"), "is not a reference", by_reference)
    cooldown = retrain.duration("cooldown", 30 * DAY_US)
    approval = retrain.one_of("approval", ["required", "none"], "required")
    return Actions(alert, Retrain(url, secret, cooldown or 0, approval))
