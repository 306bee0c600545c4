"""A mapping: how the bodies of one sender become events.

Decides what a `mapping:` of a declaration may say.

    format: json            json (also lines of JSON), csv with a header line, or xml
    delimiter: ";"          of CSV: a comma (the default), semicolon, tab or |
    items: data[]           JMESPath of the list of items in the body; default: the body is one,
                            or each element of an array, each line, each row
    when: type == 'scored'  items for which this is false are none of our business
    verified: false         whether it was tried against the real sender
    events:
      - type: prediction    prediction, outcome, oversight, explanation, version, or change
        when: score != null
        fields:             names of the event record, dotted; values are expressions
          id: {join: [loan_id, revision], with: ":"}
          time: {path: scored_at, time: "%d.%m.%Y %H:%M", zone: Europe/Berlin}
          model.name: {const: credit}
          inputs: {object: {income: income, region: address.region}}
          output: decision

A `change` is a change of a business record, which `record:` and `writers:` of the declaration turn
into predictions, overrides and outcomes; its fields are object, id, time, actor, role, key, new,
old and changed. Everything is compiled once; `Mapping.read` is pure.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from audit.declared import Section
from audit.errors import BadDeclaration, Rejected
from audit.events import Event
from collector.adapters import times
from collector.adapters.changes import Change, Reader, event_from
from collector.adapters.wire import Adapted, Message, Refused
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared
from collector.mapping.expressions import Expression, Scope, compiled, plain
from collector.mapping.formats import FORMATS, Body, Raw, body_of

TYPES: Final = {
    "prediction": "PredictionLogged",
    "outcome": "OutcomeObserved",
    "oversight": "OversightRecorded",
    "explanation": "ExplanationAttached",
    "version": "VersionReleased",
    "change": "",
}
CHANGE: Final = ("object", "id", "time", "actor", "role", "key", "new", "old", "changed")
KEYS: Final = ("format", "delimiter", "items", "when", "verified", "events")
DELIMITERS: Final = (",", ";", "\t", "|")
_OWN: Final = frozenset({"origin", "cloudevent"})
_UNFORESEEN: Final = (
    ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Made:
    """One kind of event that an item may become."""

    type: str
    when: Expression | None
    fields: dict[str, Expression]


@dataclass(frozen=True, slots=True)
class Mapping:
    """A compiled mapping; `name` is what the origin of its events says."""

    name: str
    format: str
    delimiter: str
    items: Expression | None
    when: Expression | None
    verified: bool | None
    events: tuple[Made, ...]

    def read(self, message: Message, declared: Declared) -> Adapted:
        """Return what a message becomes. Raises `CollectorError` where no item can be told."""
        body = body_of(self.format, message.unpacked, self.delimiter)
        events: list[Event] = []
        refused: list[Refused] = []
        unrelated = count = 0
        for raw, item in self._items(body, message):
            count += 1
            try:
                made = self._events(Scope(item, body.whole, message), declared)
            except Rejected as error:
                refused.append(Refused(raw(), _refusal(error)))
            except _UNFORESEEN as error:
                # Whatever a value did to its evaluation must not sink the items beside it.
                refused.append(Refused(raw(), _unforeseen(error)))
            else:
                events += made
                unrelated += not made
        if count == 1 and refused:
            raise refused[0].error
        return Adapted(events=events, refused=refused, unrelated=unrelated)

    def _items(self, body: Body, message: Message) -> Iterable[tuple[Raw, Any]]:
        if self.items is None:
            return body.items()
        listed = self.items(Scope(body.whole(), body.whole, message))
        if listed is None:
            listed = []
        if not isinstance(listed, list):
            listed = [listed]
        return ((partial(body.encode, each), each) for each in listed)

    def _events(self, scope: Scope, declared: Declared) -> list[Event]:
        if self.when is not None and not _holds(self.when(scope)):
            return []
        events: list[Event] = []
        for each in self.events:
            if each.when is not None and not _holds(each.when(scope)):
                continue
            fields = {
                name: value
                for name, expression in each.fields.items()
                if (value := expression(scope)) is not None
            }
            if each.type:
                events.append(self._event(each.type, plain(fields), declared))
            else:
                events += self._changed(fields, declared)
        return events

    def _event(self, type: str, body: dict[str, Any], declared: Declared) -> Event:
        if type == "PredictionLogged":
            body.setdefault("inputs", {})
        if type in {"PredictionLogged", "VersionReleased"}:
            model = body.setdefault("model", {})
            if isinstance(model, dict):
                model.setdefault("name", declared.model)
                model.setdefault("version", declared.version)
        subject = body.get("subject")
        if isinstance(subject, str | int):
            body["subject"] = {"scheme": declared.subject_scheme, "id": str(subject)}
        body["origin"] = {"adapter": self.name}
        if self.verified is not None:
            body["origin"]["verified"] = self.verified
        return event_from(type, declared.name, body)

    def _changed(self, fields: dict[str, Any], declared: Declared) -> list[Event]:
        who, changed, new = fields.get("actor"), fields.get("changed"), fields.get("new", {})
        old = fields.get("old", {})
        if not isinstance(new, dict) or not isinstance(old, dict):
            raise Invalid("new and old of a change must be objects", field="/new", remedy=_REMEDY)
        if changed is None and old:
            changed = [name for name in new if new[name] != old.get(name)]
        change = Change(
            system=self.name,
            object=_text(fields.get("object", "record")),
            id=_text(fields.get("id", "")),
            time=times.of_value(fields.get("time", "")),
            new=new,
            old=old,
            changed=None if changed is None else frozenset(map(_text, changed)),
            accounts=() if who is None else (_text(who),),
            role=_text(fields.get("role", "")),
            key=_text(fields.get("key", "")),
        )
        verified = True if self.verified is None else self.verified
        return Reader(self.name, declared, verified).events(change)


def mapping_of(value: object, name: str, place: str = "mapping") -> Mapping:
    """Return the mapping that a declaration says; raises `BadDeclaration`."""
    section = Section(value, place, *KEYS)
    listed = section.required("events", "say which events an item becomes")
    if not isinstance(listed, list) or not listed:
        raise BadDeclaration(section.at("events"), "must be a list", "write - type: prediction …")
    items, when = section.take("items"), section.take("when")
    return Mapping(
        name=name,
        format=section.one_of("format", FORMATS, "json"),
        delimiter=section.one_of("delimiter", DELIMITERS, ","),
        items=None if items is None else compiled(items, section.at("items")),
        when=None if when is None else compiled(when, section.at("when")),
        verified=None if section.take("verified") is None else section.flag("verified", False),
        events=tuple(
            _made(each, f"{section.at('events')}[{number}]") for number, each in enumerate(listed)
        ),
    )


def _made(value: object, place: str) -> Made:
    section = Section(value, place, "type", "when", "fields")
    type = section.one_of("type", TYPES)
    when = section.take("when")
    fields = Section(section.required("fields", "say what the event holds"), section.at("fields"))
    found: dict[str, Expression] = {}
    for name, each in fields.items():
        at = fields.at(name)
        if type == "change" and name not in CHANGE:
            raise BadDeclaration(at, "is no field of a change", f"known: {', '.join(CHANGE)}")
        if name.partition(".")[0] in _OWN or "" in name.split("."):
            raise BadDeclaration(at, "cannot be set", "take another name")
        found[name] = compiled(each, at)
    _require_apart(fields, found)
    for needed in ("id", "time"):
        if needed not in found:
            raise BadDeclaration(fields.at(needed), "is missing", f"say where its {needed} stands")
    return Made(TYPES[type], None if when is None else compiled(when, section.at("when")), found)


def _require_apart(fields: Section, found: dict[str, Expression]) -> None:
    """Raise where one name is inside another: `model` beside `model.name`."""
    for name in found:
        parent = name.rpartition(".")[0]
        if parent and parent in found:
            raise BadDeclaration(fields.at(name), "is inside another field", "write one of the two")


def _refusal(error: Rejected) -> CollectorError:
    if isinstance(error, CollectorError):
        return error
    return Invalid(str(error), field=error.field, remedy=error.remedy)


def _unforeseen(error: Exception) -> Invalid:
    return Invalid(
        f"a value cannot be evaluated ({type(error).__name__})",
        remedy="Compare the body with the mapping: `modelwitness mapping try`.",
    )


def _holds(value: Any) -> bool:
    """Whether a condition is met, as JMESPath sees truth: empty things are false."""
    return value not in (None, False, "", [], {})


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and value is not True else ""


_REMEDY = "Make them with {object: …}, or of a path that leads to an object."
