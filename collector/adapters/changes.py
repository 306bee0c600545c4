"""A change of a business record → predictions, human overrides and outcomes.

Decides, in one place for all business systems, what a change means. A declaration names the field
that holds the prediction, the accounts under which the model writes, and the field whose terminal
values are the truth (`Declared.record`, `Declared.writers`).

    a writer set the prediction field     PredictionLogged
    anyone else changed it                OversightRecorded, action override
    the outcome field became terminal     OutcomeObserved; a record that stays as it is says nothing
    nobody says who changed it            refused: a prediction and its override look the same

**Ids** are made of the change alone, so that what is sent again is a duplicate: the stamp that the
model wrote beside its prediction, else `object:id:field:commit time[:sender's event id]`. Only the
facts (id, model, output, outcome) are compared with what was sent before, never what a second
delivery may word otherwise (attempt numbers, the other fields' latest values).

**Snapshots.** Some senders tell a record's latest values and not what changed (`changed` is None).
Then a writer's record is its prediction, another's is no evidence of an override, and an outcome
has one id for each value, since every later message repeats it; so a record that is closed as won,
as lost and as won again keeps two outcomes. Where the sender is configured to send on a change of
certain fields only, option `sent_on` names them, and they count as changed.

**Joins.** An override or outcome names the prediction by the stamp where the message has it.
Senders mostly tell changed fields only, so the stamp is often not there, and "the last value that
we know was written" is knowledge of the log, not of a message. So all three events carry the
reference `record` = `system:object:id:field`, and what is not joined by a stamp names the field
itself (`object:id:field`, an id that no prediction has) and is marked `origin.joined: inferred`;
`collector.integrations.inferred` replaces that name by the newest prediction under the reference
when the event is appended. A redelivery is a duplicate whatever the join found: the name of the
prediction is no part of the facts that are compared.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import msgspec

from audit.errors import Rejected
from audit.events import Event, event_of
from collector.adapters import times
from collector.adapters.times import Moment
from collector.adapters.wire import Adapted, Refused
from collector.errors import CollectorError, Invalid
from collector.integrations.declaration import Declared, Record

OPTIONS: Mapping[str, str] = {
    "ignored_accounts": "Accounts, parted by commas, whose changes are neither the model's nor a "
    "person's: imports, workflows.",
    "numeric": "`yes` reads the prediction's text as a number, for systems that send only text.",
    "subject": "The field with the id of the person whom the record is about; without it the "
    "record itself is the subject.",
    "zone": "The zone of local times, such as Europe/Berlin.",
}
SENT_ON = "Fields, parted by commas, on whose change alone the sender is configured to send."
RECORD = "record"
"""The reference under which a record's prediction, overrides and outcomes are found."""

_encode = msgspec.json.Encoder(order="deterministic").encode
_number = re.compile(r"[+-]?\d{1,15}(?:\.\d{0,15})?(?:[eE][+-]?\d{1,2})?", re.ASCII)
_LONGEST_ID = 240
_KEPT_WIRE = 8192


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change of one record, in the system's own names.

    `new` holds all that the message tells of the record now, `old` what it tells of before;
    `changed` are the names of what changed, None where the sender does not say. `accounts` all
    name the one who changed it, best first; empty where unknown. `alone`: this sender tells one
    field at a time. `key` is the sender's id of the change, the same in every delivery.
    """

    system: str
    object: str
    id: str
    time: Moment
    new: Mapping[str, Any]
    old: Mapping[str, Any] = field(default_factory=dict)
    changed: frozenset[str] | None = None
    accounts: tuple[str, ...] = ()
    role: str = ""
    created: bool = False
    alone: bool = False
    key: str = ""
    origin: Mapping[str, Any] = field(default_factory=dict)
    wire: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads one message's parts with one declaration; `verified` is what `origin` says."""

    adapter: str
    declared: Declared
    verified: bool = True

    def read(self, parts: Iterable[bytes], changes: Callable[[bytes], Iterable[Change]]) -> Adapted:
        """Return the events of all parts; a part that cannot be read is refused by itself.

        Raises `CollectorError` where the one part of a message cannot be read: the message is then
        kept whole, with its headers, and the sender gets the status `unreadable`.
        """
        listed = list(parts)
        made = self.each(listed, changes)
        if len(listed) == 1 and made.refused:
            raise made.refused[0].error
        return made

    def each(self, parts: Iterable[bytes], changes: Callable[[bytes], Iterable[Change]]) -> Adapted:
        """Return the events of all parts, and each part that cannot be read; raises nothing."""
        events: list[Event] = []
        refused: list[Refused] = []
        unrelated = 0
        for part in parts:
            try:
                made = [event for each in changes(part) for event in self.events(each)]
            except CollectorError as error:
                refused.append(Refused(part, error))
                continue
            events.extend(made)
            unrelated += not made
        return Adapted(events=events, refused=refused, unrelated=unrelated)

    def events(self, change: Change) -> list[Event]:
        """Return what a change means; raises `CollectorError`."""
        record = self.declared.record
        if record is None:
            raise Invalid(
                "the integration does not declare which field of a record holds the prediction",
                field="/record",
                remedy="Declare `record: {prediction: FIELD}` and the model's `writers`.",
            )
        if not change.object or not change.id:
            raise Invalid(
                "the message does not say which record it is about",
                remedy="Send the record's type and id.",
            )
        events = []
        said = self._said(change, record)
        if said is not None:
            events.append(said)
        outcome = self._outcome(change, record)
        if outcome is not None:
            events.append(outcome)
        return events

    def _said(self, change: Change, record: Record) -> Event | None:
        """The prediction or the override, where the prediction field is concerned."""
        changed = change.changed
        told = record.prediction in change.new
        restamped = changed is not None and bool(record.id) and record.id in changed
        if not told and not (restamped and not change.alone):
            return None
        if changed is not None and record.prediction not in changed and not restamped:
            return None
        if not change.accounts:
            raise Invalid(
                "the message does not say who changed the record",
                remedy="Let the sender include the account that changed it; without it a "
                "prediction cannot be told from its override.",
            )
        ignored = _listed(self.declared.options.get("ignored_accounts", ""))
        if not ignored.isdisjoint(change.accounts):
            return None
        if not set(self.declared.writers).isdisjoint(change.accounts):
            if not told:
                raise Invalid(
                    "the stamp of a prediction changed, and the message lacks the prediction",
                    field=f"/{record.prediction}",
                    remedy="Let the sender include the prediction's field in every message.",
                )
            return self._prediction(change, record)
        overridden = changed is not None and record.prediction in changed and not change.created
        return self._override(change, record) if overridden else None

    def _prediction(self, change: Change, record: Record) -> Event | None:
        output = self._value(change.new.get(record.prediction))
        if output is None:
            return None  # the model took its prediction back
        stamp = change.new.get(record.scored_at) if record.scored_at else None
        zone = self.declared.options.get("zone", "")
        moment = change.time if stamp is None or stamp == "" else times.of_value(stamp, zone)
        origin = self._origin(change, moment)
        id = _text(change.new.get(record.id)) if record.id else ""
        model = self._model(change, record)
        body: dict[str, Any] = {
            "id": id or _id(change, record.prediction),
            "time": moment.rfc3339,
            "model": model or {"name": self.declared.model, "version": self.declared.version},
            "inputs": {name: change.new[name] for name in record.inputs if name in change.new},
            "output": output,
            **self._shared(change, record),
            "origin": origin,
        }
        if isinstance(output, int | float) and not isinstance(output, bool):
            body["score"] = output
        return self._event("PredictionLogged", body, ("id", "model", "output"))

    def _override(self, change: Change, record: Record) -> Event | None:
        final = self._value(change.new.get(record.prediction))
        body: dict[str, Any] = {
            "id": _id(change, record.prediction),
            "time": change.time.rfc3339,
            "action": "override",
            "final_output": final,
            "reviewer": change.accounts[0],
            **({"role": change.role} if change.role else {}),
        }
        if record.prediction in change.old:
            before = self._value(change.old[record.prediction])
            if before == final:
                return None  # sent, but not changed
            body["previous_output"] = before
        self._about(change, record, body)
        return self._event("OversightRecorded", body, ("id", "action", "final_output"))

    def _outcome(self, change: Change, record: Record) -> Event | None:
        wanted = record.outcome
        if wanted is None or wanted.field not in change.new:
            return None
        if change.changed is not None and wanted.field not in change.changed:
            return None
        value = _text(change.new[wanted.field])
        # Systems write the same status as a label, a code, in capitals.
        folded = {name.casefold(): truth for name, truth in wanted.terminal.items()}
        if value not in wanted.terminal and value.casefold() not in folded:
            return None
        truth = wanted.terminal.get(value, folded.get(value.casefold()))
        own = not set(self.declared.writers).isdisjoint(change.accounts)
        repeated = change.changed is None
        source = f"{change.system}:{wanted.field}"
        body: dict[str, Any] = {
            "id": _id(change, wanted.field, str(truth) if repeated else None),
            "time": change.time.rfc3339,
            "outcome": truth,
            # What the model's own account wrote must not pass for the truth about it unseen.
            "label_source": f"{source}:writer" if own else source,
        }
        self._about(change, record, body)
        return self._event("OutcomeObserved", body, ("id", "outcome"))

    def _about(self, change: Change, record: Record, body: dict[str, Any]) -> None:
        """Add what overrides and outcomes share: the prediction they are about."""
        # Whoever overrides a prediction may clear its stamp too: what stood there before counts.
        stamp = change.old.get(record.id, change.new.get(record.id)) if record.id else None
        origin = self._origin(change, change.time)
        if _text(stamp):
            body["prediction"] = {"id": _text(stamp)}
        else:
            body["prediction"] = {"id": _shortened([change.object, change.id, record.prediction])}
            origin["joined"] = "inferred"
        model = self._model(change, record)
        if model is not None:
            body["model"] = model
        body.update(self._shared(change, record))
        body["origin"] = origin

    def _shared(self, change: Change, record: Record) -> dict[str, Any]:
        reference = _shortened([change.system, change.object, change.id, record.prediction])
        shared: dict[str, Any] = {"references": {RECORD: reference}}
        named = self.declared.options.get("subject", "")
        person = _text(change.new.get(named)) if named else f"{change.object}:{change.id}"
        if person:
            shared["subject"] = {"scheme": self.declared.subject_scheme, "id": person[:512]}
        return shared

    def _model(self, change: Change, record: Record) -> dict[str, Any] | None:
        """The model, as far as it is known; None where only its name or version is."""
        stamp = _text(change.new.get(record.version)) if record.version else ""
        version = stamp or self.declared.version
        if "-" in {self.declared.model, version}:
            return None
        return {"name": self.declared.model, "version": version}

    def _value(self, value: Any) -> Any:
        numeric = self.declared.options.get("numeric", "").casefold() in {"yes", "true", "1"}
        if value == "":
            return None
        if numeric and isinstance(value, str) and _number.fullmatch(value.strip()):
            return float(value)
        return value

    def _origin(self, change: Change, moment: Moment) -> dict[str, Any]:
        origin: dict[str, Any] = {"adapter": self.adapter, **change.origin}
        if not self.verified:
            origin["verified"] = False
        if change.accounts:
            origin["account"] = change.accounts[0]
        if moment.original is not None:
            origin["received_time_text"] = moment.original
        if change.wire and _size(change.wire) <= _KEPT_WIRE:
            origin["wire"] = dict(change.wire)
        return origin

    def _event(self, type: str, body: dict[str, Any], facts: tuple[str, ...]) -> Event:
        return event_from(
            type, self.declared.name, body, {key: body[key] for key in facts if key in body}
        )


def event_from(
    type: str, integration: str, body: dict[str, Any], facts: dict[str, Any] | None = None
) -> Event:
    """Return the event of a body, compared on redelivery by `facts`; raises `CollectorError`.

    A digest of the facts stands in the body, at `origin.content`, so that whoever opens the ledger
    can tell what the event was compared by.
    """
    try:
        if facts is None:
            return event_of(type, integration, body)
        content = sha256(_encode(facts)).hexdigest()
        body = {**body, "origin": {**body.get("origin", {}), "content": content}}
        event = event_of(type, integration, body)
        return msgspec.structs.replace(event, content=content.encode())
    except CollectorError:
        raise
    except Rejected as error:
        raise Invalid(str(error), field=error.field, remedy=error.remedy) from None
    except (OverflowError, RecursionError, TypeError, ValueError):
        raise Invalid(
            "a value is beyond what an event can hold",
            remedy="Send whole numbers within 64 bits, and text in UTF-8.",
        ) from None


def sent_on(declared: Declared, present: Iterable[str]) -> frozenset[str] | None:
    """The fields that count as changed by option `sent_on`, None where it is not set."""
    named = _listed(declared.options.get("sent_on", ""))
    return frozenset(named.intersection(present)) if named else None


def _size(wire: Mapping[str, Any]) -> int:
    try:
        return len(_encode(wire))
    except (OverflowError, RecursionError, TypeError, ValueError):
        return _KEPT_WIRE + 1  # not worth refusing an event for


def _listed(text: str) -> set[str]:
    return {each.strip() for each in text.split(",") if each.strip()}


def _text(value: Any) -> str:
    """A value that serves as a key, as text: empty for what is none."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value).strip() if isinstance(value, str | int | float) else ""


def _id(change: Change, name: str, value: str | None = None) -> str:
    """The id of what a change says of a field; of a snapshot it is the value that tells apart."""
    parts = [change.object, change.id, name]
    if value is not None:
        return _shortened([*parts, "is", value])
    return _shortened([*parts, change.time.rfc3339, *([change.key] if change.key else [])])


def _shortened(parts: list[str]) -> str:
    text = ":".join(parts)
    if len(text) <= _LONGEST_ID:
        return text
    digest = sha256("\0".join(parts).encode("utf-8", "surrogatepass")).hexdigest()
    return f"{text[: _LONGEST_ID - 65]}:{digest}"
